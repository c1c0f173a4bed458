import { type CliLeaf, EXIT_FAILED, runCommandLine } from "@isthmus/shared/kernel/command";
import { SUITE_VERSION } from "@isthmus/shared/kernel/version";
import { readStartOptions, START_OPTIONS } from "./options.ts";
import { createOutput } from "./output.ts";
import { start } from "./start.ts";
import { tour } from "./tour/tour.ts";

const startCommand: CliLeaf = {
  name: "start",
  summary: "run the control plane, the three connectors and an internal web site, until Ctrl-C",
  options: START_OPTIONS,
  async run(call) {
    const options = readStartOptions(call, process.env);
    await start(options, createOutput(call.isJson), stopSignal());
    return undefined;
  },
};

const tourCommand: CliLeaf = {
  name: "tour",
  summary:
    "play the whole story on free ports in a temporary folder; exit code 0 if all of it passes",
  options: {
    keep: { type: "boolean", summary: "leave the temporary folder with its logs in place" },
  },
  async run(call) {
    const hasPassed = await tour(createOutput(call.isJson), call.flag("keep"), stopSignal());
    return hasPassed ? undefined : { text: "", value: { failed: true }, exitCode: EXIT_FAILED };
  },
};

/** Aborts when a person or a supervisor asks to stop; a second Ctrl-C ends at once. */
function stopSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(name, () => controller.abort());
  }
  return controller.signal;
}

process.exitCode = await runCommandLine(
  {
    name: "isthmus",
    summary: "Isthmus on one machine",
    version: SUITE_VERSION,
    commands: [startCommand, tourCommand],
  },
  process.argv.slice(2),
);
