import { runCommandLine } from "@isthmus/shared/kernel/command";
import { SUITE_VERSION } from "@isthmus/shared/kernel/version";
import { signerCommand } from "./signer-command.ts";

// What a control plane starts beside itself: of the whole command line only this, for the memory of all the rest.
process.exitCode = await runCommandLine(
  {
    name: "control-plane",
    summary: "the process that holds the tenant key",
    version: SUITE_VERSION,
    commands: [signerCommand],
  },
  process.argv.slice(2),
);
