import { ProtocolError } from "@isthmus/shared/errors";
import {
  type ActionEntry,
  actionEntry,
  MAX_ACTION_DEVICES,
  type SiteCounts,
} from "@isthmus/shared/link/site-messages";
import type { Row, Transaction } from "@isthmus/shared/store/transaction";
import { type DeviceActionState, isEnded, nextDeviceState } from "../core/device-action.ts";
import type { IngestContext } from "./ingest-context.ts";
import { settleAction, tellDeviceEnd } from "./site-action-settle.ts";

/** Own limits: what is kept of one action. Beyond them it is said that something was left out. */
export const MAX_QUERY_ROWS = 100_000;
export const MAX_RESULT_BYTES = 67_108_864;

type Progress = Extract<ActionEntry, { type: "progress" }>;
type Rows = Extract<ActionEntry, { type: "rows" }>;
type DeviceNews = Progress["devices"][number];

interface Action {
  readonly transaction: Transaction;
  readonly id: string;
  readonly sourceId: number;
  readonly requestedAt: number;
  /** Nobody ends a device any more that is first heard of afterwards: it is unknown until it tells its end itself. */
  readonly firstState: DeviceActionState;
  /** How many devices are known of it; counted once for an entry. */
  devices: number;
  readonly now: number;
}

/**
 * Takes an entry of the `actions` stream: how an action fares on devices, or rows of a query. Throws ProtocolError `entry-invalid`,
 * `action-unknown`, and `action-contradicts` where it comes from another connector than the one that was asked.
 */
export function takeActionEntry(context: IngestContext, value: unknown): void {
  const parsed = actionEntry.safeParse(value);
  if (!parsed.success) {
    throw new ProtocolError("entry-invalid", "action entry is invalid", parsed.error);
  }
  const entry = parsed.data;
  const { transaction, now } = context;
  const row = actionAskedOf(context, entry);
  const id = String(row["id"]);
  const sourceId = Number(row["source_id"]);
  const requestedAt = Number(row["requested_at"]);
  const devices = deviceCount(transaction, id);
  const firstState: DeviceActionState = row["ended_at"] === null ? "queued" : "unknown";
  const action = { transaction, id, sourceId, requestedAt, firstState, devices, now };
  transaction.run("UPDATE site_action SET heard_at = ? WHERE id = ?", now, id);
  if (entry.type === "rows") takeRows(action, entry);
  else {
    for (const device of entry.devices) takeDevice(action, device, entry.at);
    if (entry.counts !== undefined) takeCounts(action, entry.counts);
  }
  settleAction(transaction, id, now);
  context.changedActions.add(id);
}

function actionAskedOf({ transaction, connectorId }: IngestContext, entry: ActionEntry): Row {
  const row = transaction.get(
    `SELECT a.id, a.source_id, a.connector_id, a.kind, a.requested_at, a.ended_at, s.name AS source FROM site_action a
       JOIN inventory_source s ON s.id = a.source_id WHERE a.command_id = ?`,
    entry.commandId,
  );
  if (row === undefined) {
    throw new ProtocolError("action-unknown", "no action was asked for by this command");
  }
  const isAsked = row["connector_id"] === connectorId && row["source"] === entry.source;
  const isQuery = row["kind"] === "site.query";
  if (isAsked && (isQuery || entry.type === "progress")) return row;
  throw new ProtocolError("action-contradicts", "another connector or something else was asked");
}

/** Own limit: operations of one action whose counts are kept. */
const MAX_COUNTED_OPERATIONS = 100;

/** The counts of an operation, once it is over; the action says so, since its devices cannot. */
function takeCounts({ transaction, id }: Action, { operationId, devices }: SiteCounts): void {
  const words = Object.entries(devices).map(([state, count]) => `${count} ${state}`);
  transaction.run(
    `UPDATE site_action SET reason = ?, site_counts = json_set(coalesce(site_counts, '{}'), '$."' || ? || '"', json(?))
     WHERE id = ? AND (SELECT count(*) FROM json_each(coalesce(site_counts, '{}'))) < ${MAX_COUNTED_OPERATIONS}`,
    `the site counts ${words.join(", ")} and does not say which`,
    String(operationId),
    JSON.stringify(devices),
    id,
  );
}

function takeDevice(action: Action, told: DeviceNews, at: number): void {
  const device = deviceRow(action, told.key);
  if (device === undefined) return;
  const present = device["state"] as DeviceActionState;
  const state = nextDeviceState(present, told.state);
  // Told late or once more: what is known stays.
  if (state !== told.state || (state === present && isEnded(state))) return;
  const output = told.output === undefined ? undefined : fittingOutput(action, told.output);
  const isCut = told.isTruncated === true || output !== told.output;
  writeDevice(
    action,
    { ...told, output, isCut },
    state === present ? device["state_at"] : undefined,
  );
  if (isCut) markTruncated(action);
  if (device["record_id"] === null) return;
  const { errorCode, exitCode, reason } = told;
  const recordId = Number(device["record_id"]);
  const { id: actionId, now } = action;
  const end = { actionId, recordId, state, reason, errorCode, exitCode, at, now };
  tellDeviceEnd(action.transaction, end);
}

function writeDevice(
  { transaction, id, now }: Action,
  told: Omit<DeviceNews, "output"> & { output: string | undefined; readonly isCut: boolean },
  stateAt: unknown,
): void {
  transaction.run(
    `UPDATE device_action SET state = ?, state_at = ?, error_code = coalesce(?, error_code), reason = ?,
       exit_code = coalesce(?, exit_code), output = coalesce(?, output), is_truncated = max(is_truncated, ?)
     WHERE action_id = ? AND key = ?`,
    told.state,
    Number(stateAt ?? now),
    told.errorCode ?? null,
    told.reason ?? null,
    told.exitCode ?? null,
    told.output ?? null,
    told.isCut ? 1 : 0,
    id,
    told.key,
  );
}

/** A script's output where there is still room for it. */
function fittingOutput({ transaction, id }: Action, output: string): string | undefined {
  const bytes = Buffer.byteLength(output);
  const { changes } = transaction.run(
    "UPDATE site_action SET result_bytes = result_bytes + ? WHERE id = ? AND result_bytes + ? <= ?",
    bytes,
    id,
    bytes,
    MAX_RESULT_BYTES,
  );
  return changes > 0 ? output : undefined;
}

/** The row of a device, made where it is the first news of it; undefined over the limit. */
function deviceRow(action: Action, key: string): Row | undefined {
  const { transaction, id } = action;
  const present = transaction.get(
    "SELECT state, state_at, record_id FROM device_action WHERE action_id = ? AND key = ?",
    id,
    key,
  );
  if (present !== undefined) return present;
  if (action.devices >= MAX_ACTION_DEVICES) {
    markTruncated(action);
    return undefined;
  }
  action.devices += 1;
  return insertDevice(action, key);
}

function deviceCount(transaction: Transaction, id: string): number {
  const sql = "SELECT count(*) AS n FROM device_action WHERE action_id = ?";
  return Number(transaction.get(sql, id)?.["n"]);
}

function insertDevice(action: Action, key: string): Row {
  const { transaction, id, sourceId, requestedAt, firstState, now } = action;
  const record = transaction.get(
    "SELECT id FROM inventory_record WHERE source_id = ? AND kind = 'device' AND key = ?",
    sourceId,
    key,
  );
  const recordId = record?.["id"] ?? null;
  transaction.run(
    `INSERT INTO device_action (action_id, key, record_id, state, state_at, requested_at)
     VALUES (?, ?, ?, ?, ?, ?)`,
    id,
    key,
    recordId,
    firstState,
    now,
    requestedAt,
  );
  return { state: firstState, state_at: now, record_id: recordId };
}

function markTruncated({ transaction, id }: Action): void {
  transaction.run("UPDATE site_action SET is_truncated = 1 WHERE id = ?", id);
}

/** Rows of a device come before its end; those after it are told once more, and passed over. */
function takeRows(action: Action, { key, rows, isTruncated }: Rows): void {
  const device = deviceRow(action, key);
  if (device === undefined) return;
  const present = device["state"] as DeviceActionState;
  if (isEnded(present) && present !== "unknown") return;
  const { transaction, id, now } = action;
  const kept = keepRows(action, key, rows);
  const isCut = isTruncated || kept < rows.length;
  const state = nextDeviceState(present, "running");
  transaction.run(
    `UPDATE device_action SET state = ?, state_at = ?, rows_kept = rows_kept + ?, is_truncated = max(is_truncated, ?)
     WHERE action_id = ? AND key = ?`,
    state,
    state === present ? Number(device["state_at"]) : now,
    kept,
    isCut ? 1 : 0,
    id,
    key,
  );
  if (isCut) markTruncated(action);
}

/** As many rows as there is room for. */
function keepRows({ transaction, id }: Action, key: string, rows: Rows["rows"]): number {
  const row = transaction.get("SELECT rows_kept, result_bytes FROM site_action WHERE id = ?", id);
  const before = Number(row?.["rows_kept"]);
  let bytes = Number(row?.["result_bytes"]);
  let kept = 0;
  for (const each of rows) {
    const value = JSON.stringify(each);
    const size = Buffer.byteLength(value);
    if (before + kept >= MAX_QUERY_ROWS || bytes + size > MAX_RESULT_BYTES) break;
    bytes += size;
    kept += 1;
    transaction.run(
      "INSERT INTO query_row (action_id, number, key, value) VALUES (?, ?, ?, ?)",
      id,
      before + kept,
      key,
      value,
    );
  }
  transaction.run(
    "UPDATE site_action SET rows_kept = ?, result_bytes = ? WHERE id = ?",
    before + kept,
    bytes,
    id,
  );
  return kept;
}
