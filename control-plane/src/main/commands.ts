import { resolve } from "node:path";
import { systemClock } from "@isthmus/shared/clock";
import type { AuditReport } from "@isthmus/shared/kernel/audit-verification";
import { describeAudit } from "@isthmus/shared/kernel/audit-verification";
import {
  type CliAnswer,
  type CliCall,
  type CliCommand,
  type CliOption,
  EXIT_FAILED,
  EXIT_OK,
} from "@isthmus/shared/kernel/command";
import { loadConfiguration } from "@isthmus/shared/kernel/configuration";
import type { NamedResult } from "@isthmus/shared/kernel/health";
import { runUntilStopped } from "@isthmus/shared/kernel/lifetime";
import { makeLog } from "@isthmus/shared/kernel/log";
import { requireNode } from "@isthmus/shared/kernel/require-node";
import { readSecretFile } from "@isthmus/shared/kernel/secret-file";
import { checkLines } from "@isthmus/shared/kernel/status-text";
import { SERVICES } from "@isthmus/shared/link/messages";
import { systemRandom } from "@isthmus/shared/random";
import { type Configuration, configuration } from "../config/configuration.ts";
import { Passwords } from "../core/password.ts";
import { ROLES } from "../core/roles.ts";
import { verifySignedLog } from "../signer/signed-log.ts";
import { ask } from "./ask.ts";
import { checkAll } from "./check.ts";
import { startControlPlane } from "./control-plane.ts";
import { signerCommand } from "./signer-command.ts";
import { signerFolder } from "./signer-paths.ts";

const CONFIG: Readonly<Record<string, CliOption>> = {
  config: {
    type: "string",
    summary: "the configuration file",
    valueName: "PATH",
    isRequired: true,
  },
};
const PASSWORD_FILE: Readonly<Record<string, CliOption>> = {
  "password-file": {
    type: "string",
    summary: "a file with the password; without it one is made up and printed",
    valueName: "PATH",
  },
};

/** The command line of the control plane. */
export const commands: readonly CliCommand[] = [
  { name: "run", summary: "serve until SIGTERM or SIGINT", options: CONFIG, run },
  {
    name: "check",
    summary: "test what a start needs, and say what to mend",
    options: CONFIG,
    run: check,
  },
  {
    name: "status",
    summary: "show where the running control plane is and how it is",
    options: CONFIG,
    run: status,
  },
  {
    name: "token",
    summary: "one-time tokens that connectors enrol with",
    commands: [
      {
        name: "create",
        summary: "make a token and print it",
        options: {
          ...CONFIG,
          service: {
            type: "string",
            summary: "the service that may enrol with it",
            valueName: "SERVICE",
            isRequired: true,
            values: SERVICES,
          },
          name: { type: "string", summary: "name the connector gets", valueName: "NAME" },
          "valid-minutes": {
            type: "string",
            summary: "how long it may be used",
            valueName: "N",
            default: "60",
          },
        },
        run: createToken,
      },
    ],
  },
  {
    name: "admin",
    summary: "administrator accounts",
    commands: [
      {
        name: "create",
        summary: "make an account",
        positionals: [{ name: "user-name", summary: "name to sign in with" }],
        options: {
          ...CONFIG,
          ...PASSWORD_FILE,
          role: {
            type: "string",
            summary: "role of the account; may be repeated",
            valueName: "ROLE",
            isRequired: true,
            isRepeatable: true,
            values: ROLES,
          },
        },
        run: createAdministrator,
      },
      { name: "list", summary: "list the accounts", options: CONFIG, run: listAdministrators },
      {
        name: "reset-password",
        summary: "give an account another password and end its sessions",
        positionals: [{ name: "user-name", summary: "name of the account" }],
        options: { ...CONFIG, ...PASSWORD_FILE },
        run: resetPassword,
      },
    ],
  },
  signerCommand,
  {
    name: "tenant-key",
    summary: "the key whose signatures connectors trust",
    commands: [
      {
        name: "rotate",
        summary: "make the next key, announce it by the present one, and sign with it from then on",
        options: CONFIG,
        run: rotateTenantKey,
      },
    ],
  },
  {
    name: "audit",
    summary: "the record of what administrators and the signer did",
    commands: [
      {
        name: "verify",
        summary: "recompute the chains and check the countersignatures",
        options: CONFIG,
        run: verify,
      },
    ],
  },
];

function load(call: CliCall): Configuration {
  return loadConfiguration(configuration, resolve(call.required("config")));
}

async function run(call: CliCall): Promise<CliAnswer> {
  requireNode();
  const loaded = load(call);
  const log = makeLog("control-plane", loaded.log.level);
  const settings = {
    configuration: loaded,
    clock: systemClock,
    random: systemRandom,
    log,
    passwords: new Passwords(systemRandom),
  };
  const exitCode = await runUntilStopped(async (lifetime) => {
    await startControlPlane(settings, lifetime);
  }, log);
  return { text: "", value: {}, exitCode: exitCode === 0 ? EXIT_OK : EXIT_FAILED };
}

async function check(call: CliCall): Promise<CliAnswer> {
  return checksAnswer(await checkAll(load(call)));
}

async function status(call: CliCall): Promise<CliAnswer> {
  const value = (await ask(load(call), "status")) as { url: string; checks: NamedResult[] };
  const { text, exitCode } = checksAnswer(value.checks);
  return { text: `control plane at ${value.url}\n${text}`, value, exitCode: exitCode ?? EXIT_OK };
}

function checksAnswer(checks: readonly NamedResult[]): CliAnswer {
  const isSound = checks.every(({ status: state }) => state !== "unhealthy");
  const text = checkLines(checks).join("\n");
  return { text, value: { checks }, exitCode: isSound ? EXIT_OK : EXIT_FAILED };
}

async function createToken(call: CliCall): Promise<CliAnswer> {
  const value = (await ask(load(call), "token.create", {
    service: call.required("service"),
    displayName: call.text("name"),
    validityMinutes: Number(call.text("valid-minutes")),
  })) as { token: string };
  return { text: value.token, value };
}

async function rotateTenantKey(call: CliCall): Promise<CliAnswer> {
  const value = (await ask(load(call), "tenant-key.rotate")) as { thumbprint: string };
  return { text: value.thumbprint, value };
}

async function createAdministrator(call: CliCall): Promise<CliAnswer> {
  const argument = {
    userName: call.positionals[0],
    roles: call.list("role"),
    ...passwordOf(call),
  };
  return passwordAnswer(await ask(load(call), "admin.create", argument));
}

async function resetPassword(call: CliCall): Promise<CliAnswer> {
  const argument = { userName: call.positionals[0], ...passwordOf(call) };
  return passwordAnswer(await ask(load(call), "admin.reset-password", argument));
}

function passwordOf(call: CliCall): { readonly password?: string } {
  const file = call.text("password-file");
  return file === undefined ? {} : { password: readSecretFile(resolve(file)) };
}

function passwordAnswer(answer: unknown): CliAnswer {
  const value = answer as { userName: string; password?: string };
  const { userName, password } = value;
  return { text: password === undefined ? userName : `${userName} ${password}`, value };
}

async function listAdministrators(call: CliCall): Promise<CliAnswer> {
  const value = (await ask(load(call), "admin.list")) as {
    userName: string;
    roles: string[];
    isDisabled: boolean;
  }[];
  const lines = value.map(
    ({ userName, roles, isDisabled }) =>
      `${userName}: ${roles.join(", ")}${isDisabled ? " (disabled)" : ""}`,
  );
  return { text: lines.join("\n"), value };
}

/** The own chain, and the signer's log where this control plane runs its own signer. */
async function verify(call: CliCall): Promise<CliAnswer> {
  const loaded = load(call);
  const report = (await ask(loaded, "audit.verify")) as AuditReport;
  const log =
    loaded.signer === undefined
      ? await verifySignedLog(signerFolder(loaded.stateFolder))
      : undefined;
  const signer = log === undefined ? "" : `\nThe signer's log is intact: ${log.lines} lines.`;
  return {
    text: `${describeAudit(report)}${signer}`,
    value: { ...report, signerLog: log },
    exitCode: report.isIntact ? EXIT_OK : EXIT_FAILED,
  };
}
