import type { Operations } from "../store/transaction.ts";
import { type CliLeaf, EXIT_FAILED, runCommandLine } from "./command.ts";
import { checkCommand } from "./command-check.ts";
import { approveCommand, auditCommand, denyCommand, statusCommand } from "./command-control.ts";
import { enrolCommand, trustCommand } from "./command-enrol.ts";
import { startConnector } from "./connector.ts";
import { rememberFile } from "./file-as-read.ts";
import { runUntilStopped } from "./lifetime.ts";
import { CONFIG_OPTION, loadLocalConfiguration } from "./local-configuration.ts";
import { makeLog } from "./log.ts";
import { requireNode } from "./require-node.ts";
import type { ServiceDefinition } from "./service-definition.ts";
import { SUITE_VERSION } from "./version.ts";

/**
 * The whole command line of a service: `enrol`, `run`, `check`, `status`, `approve`, `deny`, `trust`, `audit`, `completion` and
 * the service's own commands. `argv` is the process's. Never throws.
 *
 * @returns the exit code: 0 done, 1 failed, 2 wrong usage.
 */
export async function runService<Local, Desired, Rules, Ops extends Operations>(
  definition: ServiceDefinition<Local, Desired, Rules, Ops>,
  argv: readonly string[],
): Promise<number> {
  const line = {
    name: definition.service,
    summary: definition.summary,
    version: SUITE_VERSION,
    commands: [
      enrolCommand(definition),
      runCommand(definition),
      checkCommand(definition),
      statusCommand(definition),
      approveCommand(definition),
      denyCommand(definition),
      trustCommand(definition),
      auditCommand(definition),
      ...(definition.commands ?? []),
    ],
  };
  return await runCommandLine(line, argv.slice(2));
}

function runCommand<Local, Desired, Rules, Ops extends Operations>(
  definition: ServiceDefinition<Local, Desired, Rules, Ops>,
): CliLeaf {
  return {
    name: "run",
    summary: "run the service until SIGTERM or SIGINT",
    options: { config: CONFIG_OPTION },
    async run(call) {
      requireNode();
      const file = call.required("config");
      const configuration = rememberFile(file);
      const local = loadLocalConfiguration(definition, file);
      const log = makeLog(definition.service, local.log.level);
      const exitCode = await runUntilStopped(
        (lifetime) => startConnector(definition, { local, configuration }, log, lifetime),
        log,
      );
      if (exitCode === 0) return undefined;
      return { text: "", value: { stopped: "failed" }, exitCode: EXIT_FAILED };
    },
  };
}
