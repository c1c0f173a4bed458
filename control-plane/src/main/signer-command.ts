import { resolve } from "node:path";
import {
  type CliAnswer,
  type CliCall,
  type CliCommand,
  EXIT_FAILED,
  EXIT_OK,
} from "@isthmus/shared/kernel/command";
import { LOG_LEVELS } from "../config/configuration.ts";
import { runSigner } from "./run-signer.ts";

export const signerCommand: CliCommand = {
  name: "signer",
  summary: "the process that holds the tenant key",
  commands: [
    {
      name: "run",
      summary: "sign typed statements until SIGTERM or SIGINT",
      options: {
        "state-folder": {
          type: "string",
          summary: "key and log",
          valueName: "PATH",
          isRequired: true,
        },
        socket: {
          type: "string",
          summary: "Unix socket to listen on",
          valueName: "PATH",
          isRequired: true,
        },
        "log-level": {
          type: "string",
          summary: "least severe entries that are logged",
          valueName: "LEVEL",
          default: "info",
          values: LOG_LEVELS,
        },
        "until-stdin-ends": {
          type: "boolean",
          summary: "stop with the process that started this one",
        },
      },
      run: runTheSigner,
    },
  ],
};

async function runTheSigner(call: CliCall): Promise<CliAnswer> {
  const exitCode = await runSigner({
    stateFolder: resolve(call.required("state-folder")),
    socket: resolve(call.required("socket")),
    logLevel: call.required("log-level"),
    isUntilStdinEnds: call.flag("until-stdin-ends"),
  });
  return { text: "", value: {}, exitCode: exitCode === 0 ? EXIT_OK : EXIT_FAILED };
}
