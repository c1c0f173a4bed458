import { z } from "zod";
import { systemClock } from "../clock.ts";
import { ConnectorError } from "../errors.ts";
import type { Service } from "../link/messages.ts";
import { openStore, type Store } from "../store/store.ts";
import type { Operations } from "../store/transaction.ts";
import type { StorePlace } from "../store/worker-messages.ts";
import { eraseRecorded } from "./audit-erasure.ts";
import { type AuditReport, describeAudit, verifyAudit } from "./audit-verification.ts";
import {
  type CliAnswer,
  type CliCall,
  type CliCommand,
  type CliLeaf,
  EXIT_FAILED,
  EXIT_OK,
  UsageError,
} from "./command.ts";
import {
  type ConnectorStatus,
  MAX_DENIAL_LENGTH,
  type WaitingCommand,
} from "./connector-control.ts";
import type { ConnectorOperations } from "./connector-operations.ts";
import { askRunningService } from "./control-socket.ts";
import { loadIdentity } from "./identity.ts";
import { CONFIG_OPTION, loadLocalConfiguration, loadStateFolder } from "./local-configuration.ts";
import { readRunFile } from "./run-file.ts";
import type { ServiceDefinition } from "./service-definition.ts";
import { holdStateFolder, type StateFolder, stateFolderAt } from "./state-folder.ts";
import { describeStatus } from "./status-text.ts";
import { storePlaceOf } from "./store-place.ts";
import { Trust } from "./trust.ts";

type AnyDefinition<Local, Desired, Rules, Ops extends Operations> = ServiceDefinition<
  Local,
  Desired,
  Rules,
  Ops
>;

const DENIED = "a second person on the connector's host refused it";

/** `status`: what a running connector says of itself. */
export function statusCommand<Local, Desired, Rules, Ops extends Operations>(
  definition: AnyDefinition<Local, Desired, Rules, Ops>,
): CliLeaf {
  return {
    name: "status",
    summary:
      "show the state of the running service; exit code 1 where something is unhealthy, or nothing runs",
    options: { config: CONFIG_OPTION },
    async run(call) {
      const file = call.required("config");
      const folder = stateFolderAt(loadStateFolder(file));
      const answered = await askRunningService(folder.controlSocket, "status");
      if (answered === undefined) {
        const local = loadLocalConfiguration(definition, file);
        return notRunning(definition.service, folder, local.standalone !== undefined);
      }
      // The answer comes from the same code at the other end of a socket in our own state folder.
      const status = answered.result as ConnectorStatus;
      const isWell = status.health.checks.every((check) => check.status !== "unhealthy");
      const text = describeStatus(definition.service, status);
      return { text, value: status, exitCode: isWell ? EXIT_OK : EXIT_FAILED };
    },
  };
}

function notRunning(service: Service, folder: StateFolder, isStandalone: boolean): CliAnswer {
  const identity = isStandalone ? undefined : loadIdentity(folder, service);
  const unknown = isStandalone ? "standalone" : "not enrolled";
  const who = identity === undefined ? unknown : `enrolled as ${identity.connectorId}`;
  const left = readRunFile(folder.runFile);
  const how =
    left === undefined ? "" : ` Its last process (pid ${left.pid}) was killed or crashed.`;
  return {
    text: `${service} is not running (${who}).${how}`,
    value: {
      running: false,
      connectorId: identity?.connectorId ?? null,
      wasKilled: left !== undefined,
    },
    exitCode: EXIT_FAILED,
  };
}

/** `approve`: lets a command run that waits for a second person on this host; without an id it lists them. */
export function approveCommand<Local, Desired, Rules, Ops extends Operations>(
  definition: AnyDefinition<Local, Desired, Rules, Ops>,
): CliLeaf {
  return {
    name: "approve",
    summary: "approve a command that waits for a second person; without an id, list them",
    options: { config: CONFIG_OPTION },
    positionals: [{ name: "id", summary: "the command's id", isOptional: true }],
    async run(call) {
      const [id] = call.positionals;
      if (id === undefined) return await listWaiting(folderOf(call));
      const decision = { name: "approve", argument: { id }, event: "command.approved-locally" };
      await decide(definition, call, decision, (store, now) =>
        store.run("approveCommand", { id, now }),
      );
      return { text: `Approved ${id}.`, value: { id } };
    },
  };
}

/** `deny`: ends a command that waits for a second person on this host. */
export function denyCommand<Local, Desired, Rules, Ops extends Operations>(
  definition: AnyDefinition<Local, Desired, Rules, Ops>,
): CliLeaf {
  return {
    name: "deny",
    summary: "refuse a command that waits for a second person; whoever asked for it reads why",
    options: {
      config: CONFIG_OPTION,
      reason: { type: "string", valueName: "TEXT", summary: "why", default: DENIED },
    },
    positionals: [{ name: "id", summary: "the command's id, as `approve` lists it" }],
    async run(call) {
      const [id = ""] = call.positionals;
      const reason = call.required("reason");
      if (reason.length < 1 || reason.length > MAX_DENIAL_LENGTH) {
        throw new UsageError(`--reason has to have 1 to ${MAX_DENIAL_LENGTH} characters`);
      }
      const argument = { id, reason };
      const decision = { name: "deny", argument, event: "command.denied-locally" };
      await decide(definition, call, decision, (store, now) =>
        store.run("denyCommand", { ...argument, now }),
      );
      return { text: `Denied ${id}.`, value: { id, reason } };
    },
  };
}

async function listWaiting(folder: StateFolder): Promise<CliAnswer> {
  const answered = await askRunningService(folder.controlSocket, "awaiting");
  if (answered === undefined) throw new ConnectorError("not-running", "the service does not run");
  const waiting = answered.result as readonly WaitingCommand[];
  const lines = waiting.map(
    ({ id, kind, actor, payload }) => `${id}  ${kind}  by ${actor}  ${JSON.stringify(payload)}`,
  );
  const text = lines.length === 0 ? "No command waits for approval." : lines.join("\n");
  return { text, value: { awaitingApproval: waiting } };
}

/** A second person's word about a command: what the running service is asked, and the event that it leaves in the audit. */
interface Decision {
  readonly name: string;
  readonly argument: Readonly<Record<string, unknown>>;
  readonly event: string;
}

/** Has the running service do it. While it is stopped a decision is stored, and counts when it runs again. */
async function decide<Local, Desired, Rules, Ops extends Operations>(
  definition: AnyDefinition<Local, Desired, Rules, Ops>,
  call: CliCall,
  { name, argument, event }: Decision,
  keep: (store: Store<ConnectorOperations>, now: number) => Promise<void>,
): Promise<void> {
  const answered = await askRunningService(folderOf(call).controlSocket, name, argument);
  if (answered !== undefined) return;
  const { folder, place } = placesOf(definition, call);
  using _held = holdStateFolder(folder);
  await using store = await openStore<ConnectorOperations>({
    ...place,
    module: definition.storeModule,
  });
  const now = systemClock.now();
  await keep(store, now);
  await store.run("recordAudit", { at: now, event, payload: argument });
}

/** `audit verify` and `audit erase`. */
export function auditCommand<Local, Desired, Rules, Ops extends Operations>(
  definition: AnyDefinition<Local, Desired, Rules, Ops>,
): CliCommand {
  return {
    name: "audit",
    summary: "verify the audit journal, or erase old payloads from it",
    commands: [
      {
        name: "verify",
        summary:
          "recompute the chain and compare it with the heads the control plane countersigned",
        options: { config: CONFIG_OPTION },
        async run(call) {
          const answered = await askRunningService(folderOf(call).controlSocket, "verify-audit");
          const report =
            answered === undefined
              ? await verifyStopped(definition, placesOf(definition, call))
              : (answered.result as AuditReport);
          const exitCode = report.isIntact ? EXIT_OK : EXIT_FAILED;
          return { text: describeAudit(report), value: report, exitCode };
        },
      },
      {
        name: "erase",
        summary: "erase the payloads of old entries (personal data); the chain stays verifiable",
        options: {
          config: CONFIG_OPTION,
          before: {
            type: "string",
            valueName: "DATE",
            summary: "entries before this date or time, e.g. 2026-01-31",
            isRequired: true,
          },
        },
        run: (call) => erase(definition, call),
      },
    ],
  };
}

/** Offline: the store is opened so that nothing can change it. */
async function verifyStopped<Local, Desired, Rules, Ops extends Operations>(
  definition: AnyDefinition<Local, Desired, Rules, Ops>,
  { folder, place }: Places,
): Promise<AuditReport> {
  const identity = loadIdentity(folder, definition.service);
  await using store = await openStore<ConnectorOperations>({
    ...place,
    module: definition.storeModule,
    isReadOnly: true,
  });
  const keys = Trust.load(folder.trustFile, systemClock).ever();
  return await verifyAudit(store, keys, identity?.connectorId ?? "standalone");
}

async function erase<Local, Desired, Rules, Ops extends Operations>(
  definition: AnyDefinition<Local, Desired, Rules, Ops>,
  call: CliCall,
): Promise<CliAnswer> {
  const before = Date.parse(call.required("before"));
  if (!Number.isFinite(before)) throw new UsageError("--before is no date, e.g. 2026-01-31");
  const { controlSocket } = folderOf(call);
  const answered = await askRunningService(controlSocket, "erase-audit", { before });
  const erased =
    answered === undefined
      ? await eraseStopped(definition, placesOf(definition, call), before)
      : z.object({ erased: z.number() }).parse(answered.result).erased;
  return { text: `Erased the payloads of ${erased} entries.`, value: { erased } };
}

async function eraseStopped<Local, Desired, Rules, Ops extends Operations>(
  definition: AnyDefinition<Local, Desired, Rules, Ops>,
  { folder, place }: Places,
  before: number,
): Promise<number> {
  using _held = holdStateFolder(folder);
  await using store = await openStore<ConnectorOperations>({
    ...place,
    module: definition.storeModule,
  });
  return await eraseRecorded(store, before);
}

interface Places {
  readonly folder: StateFolder;
  readonly place: StorePlace;
}

/** All that is needed to ask the running service. */
function folderOf(call: CliCall): StateFolder {
  return stateFolderAt(loadStateFolder(call.required("config")));
}

/** Where nothing runs. Only a service whose store may be in a database needs more of its configuration than the folder. */
function placesOf<Local, Desired, Rules, Ops extends Operations>(
  definition: AnyDefinition<Local, Desired, Rules, Ops>,
  call: CliCall,
): Places {
  const folder = folderOf(call);
  if (definition.database === undefined) return { folder, place: { file: folder.storeFile } };
  const local = loadLocalConfiguration(definition, call.required("config"));
  return { folder, place: storePlaceOf(definition, local) };
}
