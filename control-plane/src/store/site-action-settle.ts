import type { CommandState } from "@isthmus/shared/link/messages";
import { siteOperation } from "@isthmus/shared/link/site-messages";
import type { Row, Transaction } from "@isthmus/shared/store/transaction";
import { actionTitle } from "../core/action-words.ts";
import { type DeviceActionState, isEnded } from "../core/device-action.ts";
import {
  isActionEnded,
  judgeSiteAction,
  type SiteActionState,
  type SiteActionVerdict,
  type SiteCommandKind,
} from "../core/site-action.ts";
import { END_WORDS } from "../core/timeline-words.ts";
import type { IngestContext } from "./ingest-context.ts";
import { recordTimeline } from "./timeline-operations.ts";

/** Brings an action to where it stands by what is known of it. For use inside other operations. */

const OPEN = "('queued', 'sent', 'running')";
const WAITING = "waitingForApproval";
/** Where neither side kept what happened. */
const UNKNOWN_WITHOUT_WORDS =
  "what became of it is not known: no answer came in time, or the connector or the control plane was put back to an earlier state since";
/** Of one statement; an action has no more devices than that. */
const MAX_DEVICES_AT_ONCE = 10_000;

/** After its command or a device of it was heard of. Answers whether it has ended. */
export function settleAction(transaction: Transaction, actionId: string, now: number): boolean {
  const row = transaction.get(
    `SELECT a.*, c.state AS command_state, c.result AS command_result, c.error AS command_error,
       c.waits_for FROM site_action a
       LEFT JOIN command c ON c.id = a.command_id WHERE a.id = ?`,
    actionId,
  );
  if (row === undefined) return true;
  const operation = operationOf(transaction, row);
  const verdict = judgeSiteAction({
    kind: row["kind"] as SiteCommandKind,
    state: row["state"] as SiteActionState,
    // A command that was thrown away is long over, and nobody knows how.
    command: (row["command_state"] ?? "unknown") as CommandState,
    isWaiting: row["waits_for"] !== null,
    isOfNamedDevices: (JSON.parse(String(row["target"])) as { kind?: string }).kind === "devices",
    expectedDevices: operation.expectedDevices,
    ...devicesOf(transaction, actionId),
  });
  const isWaiting = verdict.state === WAITING;
  const isCleared = row["state"] === "unknown" && verdict.state === "completed";
  const reason = isCleared ? undefined : reasonFor(row, verdict);
  if (row["state"] === WAITING && !isWaiting) forgetWait(transaction, actionId);
  if (isCleared) forgetUnknown(transaction, actionId);
  if (verdict.openDevices !== undefined) {
    endOpenDevices(transaction, { actionId, state: verdict.openDevices, reason, now });
  }
  if (verdict.state !== row["state"]) {
    setActionState(transaction, { actionId, state: verdict.state, reason, now });
    if (isWaiting) tellWait(transaction, { actionId, reason, now });
  }
  return isActionEnded(verdict.state);
}

/** Why an action stands as it does, where there is something to say. */
function reasonFor(row: Row, { state, openDevices }: SiteActionVerdict): string | undefined {
  const told = reasonOf(row[state === WAITING ? "waits_for" : "command_error"]);
  const isUnknown = state === "unknown" || openDevices === "unknown";
  return told ?? (isUnknown ? UNKNOWN_WITHOUT_WORDS : undefined);
}

/** Says of each device that is known what its action waits for; the ones of a collection are known once it is taken up. */
function tellWait(
  transaction: Transaction,
  { actionId, reason, now }: { actionId: string; reason: string | undefined; now: number },
): void {
  const action = transaction.get(
    "SELECT action, actor, details FROM site_action WHERE id = ?",
    actionId,
  );
  const devices = transaction.all(
    `SELECT record_id FROM device_action WHERE action_id = ? AND record_id IS NOT NULL AND state = 'queued' LIMIT ${MAX_DEVICES_AT_ONCE}`,
    actionId,
  );
  transaction.run(
    "UPDATE device_action SET reason = ? WHERE action_id = ? AND state = 'queued'",
    reason ?? null,
    actionId,
  );
  for (const { record_id: recordId } of devices) {
    recordTimeline(transaction, {
      recordId: Number(recordId),
      at: now,
      now,
      kind: "action.waiting",
      actor: String(action?.["actor"]),
      title: `${titleOf(action)} waits for approval`,
      detail: { actionId, action: action?.["action"], reason },
    });
  }
}

/** What was waited for is no reason for what comes next. */
function forgetWait(transaction: Transaction, actionId: string): void {
  transaction.run("UPDATE site_action SET reason = NULL WHERE id = ?", actionId);
  transaction.run(
    "UPDATE device_action SET reason = NULL WHERE action_id = ? AND state = 'queued'",
    actionId,
  );
}

/** Why nobody knew is no reason once it is known; what the site counts stays one. */
function forgetUnknown(transaction: Transaction, actionId: string): void {
  transaction.run(
    "UPDATE site_action SET reason = NULL WHERE id = ? AND site_counts IS NULL",
    actionId,
  );
}

/** The same by the command that carries an action; another command is none's. */
export function settleActionOf(context: IngestContext, commandId: string): void {
  const { transaction, now } = context;
  const row = transaction.get("SELECT id FROM site_action WHERE command_id = ?", commandId);
  if (row === undefined) return;
  const id = String(row["id"]);
  transaction.run("UPDATE site_action SET heard_at = ? WHERE id = ?", now, id);
  settleAction(transaction, id, now);
  context.changedActions.add(id);
}

/** What the bridge answered when the site had taken it, kept with the action so that the command can go. */
function operationOf(transaction: Transaction, row: Row) {
  const present = row["expected_devices"];
  if (present !== null) return { expectedDevices: Number(present) };
  if (row["command_state"] !== "succeeded" || row["command_result"] === null) {
    return { expectedDevices: undefined };
  }
  const { data } = siteOperation.safeParse(JSON.parse(String(row["command_result"])));
  if (data === undefined) return { expectedDevices: undefined };
  transaction.run(
    "UPDATE site_action SET operation_id = ?, expected_devices = ? WHERE id = ?",
    data.operationId ?? null,
    data.devices,
    String(row["id"]),
  );
  return { expectedDevices: data.devices };
}

function devicesOf(transaction: Transaction, actionId: string) {
  const row = transaction.get(
    `SELECT count(*) AS devices, coalesce(sum(state IN ${OPEN}), 0) AS open, coalesce(sum(state <> 'queued'), 0) AS heard,
       coalesce(sum(state = 'unknown'), 0) AS unknown
     FROM device_action WHERE action_id = ?`,
    actionId,
  );
  return {
    devices: Number(row?.["devices"]),
    openDevices: Number(row?.["open"]),
    unknownDevices: Number(row?.["unknown"]),
    devicesHeardOf: Number(row?.["heard"]),
  };
}

function reasonOf(error: unknown): string | undefined {
  if (typeof error !== "string") return undefined;
  const { message, rule } = JSON.parse(error) as { message?: string; rule?: string };
  return rule === undefined ? message : `${message} (${rule})`;
}

/** The state of an action, with why where there is something to say. */
export function setActionState(
  transaction: Transaction,
  of: {
    readonly actionId: string;
    readonly state: SiteActionState;
    readonly reason: string | undefined;
    readonly now: number;
  },
): void {
  const { actionId, state, reason, now } = of;
  transaction.run(
    "UPDATE site_action SET state = ?, state_at = ?, ended_at = ?, reason = coalesce(?, reason) WHERE id = ?",
    state,
    now,
    isActionEnded(state) ? now : null,
    reason ?? null,
    actionId,
  );
}

/** Ends an action on all devices where it has no end. */
export function endOpenDevices(
  transaction: Transaction,
  of: {
    readonly actionId: string;
    readonly state: DeviceActionState;
    readonly reason: string | undefined;
    readonly now: number;
  },
): void {
  const { actionId, state, reason, now } = of;
  const devices = transaction.all(
    `SELECT key, record_id FROM device_action WHERE action_id = ? AND state IN ${OPEN} LIMIT ${MAX_DEVICES_AT_ONCE}`,
    actionId,
  );
  transaction.run(
    `UPDATE device_action SET state = ?, state_at = ?, reason = coalesce(?, reason)
     WHERE action_id = ? AND state IN ${OPEN}`,
    state,
    now,
    reason ?? null,
    actionId,
  );
  for (const { record_id: recordId } of devices) {
    if (recordId === null || recordId === undefined) continue;
    tellDeviceEnd(transaction, {
      actionId,
      recordId: Number(recordId),
      state,
      reason,
      at: now,
      now,
    });
  }
}

export interface DeviceEnd {
  readonly actionId: string;
  readonly recordId: number;
  readonly state: DeviceActionState;
  readonly reason?: string | undefined;
  readonly errorCode?: number | undefined;
  readonly exitCode?: number | undefined;
  readonly at: number;
  readonly now: number;
}

/** Writes the end of an action on a device into its timeline. */
export function tellDeviceEnd(transaction: Transaction, end: DeviceEnd): void {
  if (!isEnded(end.state)) return;
  const { actionId, recordId, state, reason, errorCode, exitCode, at, now } = end;
  const row = transaction.get(
    "SELECT action, actor, details FROM site_action WHERE id = ?",
    actionId,
  );
  const action = String(row?.["action"]);
  recordTimeline(transaction, {
    recordId,
    at,
    now,
    kind: "action.ended",
    actor: String(row?.["actor"]),
    title: `${titleOf(row)} ${END_WORDS[state]}`,
    detail: { actionId, action, state, reason, errorCode, exitCode },
  });
}

/** `Install Editor`, of the row of an action. */
function titleOf(row: Row | undefined): string {
  return actionTitle(String(row?.["action"]), JSON.parse(String(row?.["details"] ?? "{}")));
}
