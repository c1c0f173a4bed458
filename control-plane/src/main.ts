import { runCommandLine } from "@isthmus/shared/kernel/command";
import { SUITE_VERSION } from "@isthmus/shared/kernel/version";
import { commands } from "./main/commands.ts";

process.exitCode = await runCommandLine(
  {
    name: "control-plane",
    summary: "the cloud counterpart of the connectors: enrolment, configuration, commands, API",
    version: SUITE_VERSION,
    commands,
  },
  process.argv.slice(2),
);
