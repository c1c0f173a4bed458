import { RefusalError } from "@isthmus/shared/errors";
import { recordAudit } from "@isthmus/shared/kernel/audit-operations";
import { consumeLimit } from "@isthmus/shared/kernel/limit-operations";
import type { SiteCounts } from "@isthmus/shared/link/site-messages";
import type { Transaction } from "@isthmus/shared/store/transaction";
import {
  type DeviceNews,
  type DeviceState,
  isFinal,
  type NewAction,
  type RequestState,
} from "../core/actions/action-state.ts";
import { tellProgress, tellRows } from "./action-entries.ts";
import { actionReadings, MAX_DEVICES, MAX_OPEN_ACTIONS } from "./action-readings.ts";

/** Own limits. */
const MAX_PRUNED = 100;
/** An ended action is remembered this long, far beyond what the link remembers of its command. */
const KEPT_MS = 30 * 86_400_000;

interface Moment {
  readonly id: string;
  readonly at: number;
}

/**
 * Opens an action that was judged: counts its devices and tells that they wait. Throws RefusalError `limit-exceeded`,
 * ConnectorError `stream-full`.
 */
function openAction(transaction: Transaction, action: NewAction): void {
  const { id, source, plan, resourceIds, passedOver, at, expiresAt } = action;
  const { open } = transaction.get(
    "SELECT count(*) AS open FROM site_action WHERE ended_at IS NULL",
  ) as { open: number };
  if (open >= MAX_OPEN_ACTIONS) {
    throw new RefusalError(
      "actions-too-many",
      "bridge.actions",
      `${MAX_OPEN_ACTIONS} actions are under way already`,
    );
  }
  for (const { kind, max, windowMs } of action.windows) {
    consumeLimit(transaction, { kind, max, windowMs, count: resourceIds.length, now: at });
  }
  transaction.run(
    "INSERT INTO site_action (id, source, plan, count, at, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
    ...[id, source, JSON.stringify(plan), resourceIds.length + passedOver.length, at, expiresAt],
  );
  for (const resourceId of resourceIds) insertDevice(transaction, id, resourceId, "queued");
  for (const { resourceId, state } of passedOver) insertDevice(transaction, id, resourceId, state);
  const queued = resourceIds.map((resourceId): DeviceNews => ({ resourceId, state: "queued" }));
  tellProgress(transaction, { id, source, at }, [...queued, ...passedOver]);
  const payload = { id, kind: plan.kind, actor: action.actor, source, devices: resourceIds.length };
  recordAudit(transaction, { at, event: "action.opened", payload });
  endWhereDone(transaction, { id, at });
}

function insertDevice(
  transaction: Transaction,
  id: string,
  resourceId: number,
  state: DeviceState,
): void {
  transaction.run(
    "INSERT INTO site_action_device (action_id, resource_id, state, request, attempts) VALUES (?, ?, ?, 0, 0)",
    id,
    resourceId,
    state,
  );
}

/** Notes what is about to be sent. The digest stands for the request: a script's parameters are in no table. */
function intendRequest(
  transaction: Transaction,
  {
    id,
    at,
    resourceIds,
    digest,
  }: Moment & { readonly resourceIds: readonly number[]; readonly digest: string },
): number {
  const row = transaction.get(
    "SELECT coalesce(max(n), 0) AS last FROM site_action_request WHERE action_id = ?",
    id,
  );
  const n = Number(row?.["last"]) + 1;
  transaction.run(
    "INSERT INTO site_action_request (action_id, n, state, digest, intended_at) VALUES (?, ?, 'intended', ?, ?)",
    ...[id, n, digest, at],
  );
  for (const resourceId of resourceIds) {
    transaction.run(
      "UPDATE site_action_device SET request = ?, attempts = attempts + 1 WHERE action_id = ? AND resource_id = ?",
      ...[n, id, resourceId],
    );
  }
  const payload = { id, request: n, digest, devices: resourceIds.length };
  recordAudit(transaction, { at, event: "action.intended", payload });
  return n;
}

/** How a request ended: with `taken` its devices count as sent. */
function settleRequest(
  transaction: Transaction,
  {
    id,
    at,
    n,
    state,
    operationId,
    how,
    isUnsent = false,
  }: Moment & {
    readonly n: number;
    readonly state: Exclude<RequestState, "intended">;
    readonly operationId?: number | undefined;
    /** `answered` by the site, or `looked-up` there. */
    readonly how: "answered" | "looked-up";
    /** Of one that never left: its devices were not asked. */
    readonly isUnsent?: boolean;
  },
): void {
  const { changes } = transaction.run(
    "UPDATE site_action_request SET state = ?, operation_id = ?, taken_at = ? WHERE action_id = ? AND n = ? AND state = 'intended'",
    ...[state, operationId ?? null, state === "taken" ? at : null, id, n],
  );
  if (changes === 0) return;
  const payload = { id, request: n, ...(operationId !== undefined && { operationId }), how };
  recordAudit(transaction, { at, event: `action.${state}`, payload });
  const rows = devicesOf(transaction, id, n);
  if (state === "taken") {
    noteDevices(transaction, {
      ...{ id, at },
      devices: rows.map(({ resourceId }) => ({ resourceId, state: "sent" })),
    });
  } else if (state === "absent" || isUnsent) {
    transaction.run(
      "UPDATE site_action_device SET request = 0, attempts = attempts - ? WHERE action_id = ? AND request = ?",
      ...[isUnsent ? 1 : 0, id, n],
    );
  }
}

/** Keeps what the site told first. */
function noteRequestedTime(
  transaction: Transaction,
  of: { readonly id: string; readonly n: number; readonly requestedTime: string },
): void {
  transaction.run(
    "UPDATE site_action_request SET requested_time = ? WHERE action_id = ? AND n = ? AND requested_time IS NULL",
    ...[of.requestedTime, of.id, of.n],
  );
}

/** Tells what is new of devices. What is final stays; what was told already is told no second time. */
function noteDevices(
  transaction: Transaction,
  {
    id,
    at,
    devices,
    counts,
  }: Moment & { readonly devices: readonly DeviceNews[]; readonly counts?: SiteCounts },
): number {
  const action = transaction.get("SELECT source FROM site_action WHERE id = ?", id);
  if (action === undefined) return 0;
  const news = devices.filter(({ resourceId, state }) => {
    const { changes } = transaction.run(
      "UPDATE site_action_device SET state = ? WHERE action_id = ? AND resource_id = ? AND state IN ('queued', 'sent', 'running') AND state <> ?",
      ...[state, id, resourceId, state],
    );
    return changes > 0;
  });
  tellProgress(transaction, { id, source: String(action["source"]), at }, news, counts);
  if (news.some(({ state }) => isFinal(state))) endWhereDone(transaction, { id, at });
  return news.length;
}

/** Rows of a query on a device, and with them that it is done there. */
function noteRows(
  transaction: Transaction,
  {
    id,
    at,
    ...of
  }: Moment & {
    readonly resourceId: number;
    readonly rows: readonly Readonly<Record<string, unknown>>[];
    readonly isTruncated: boolean;
  },
): void {
  const action = transaction.get("SELECT source FROM site_action WHERE id = ?", id);
  const device = transaction.get(
    "SELECT state FROM site_action_device WHERE action_id = ? AND resource_id = ?",
    id,
    of.resourceId,
  );
  if (action === undefined || device === undefined) return;
  if (isFinal(String(device["state"]) as DeviceState)) return;
  tellRows(transaction, { id, source: String(action["source"]), at }, of);
  noteDevices(transaction, {
    ...{ id, at },
    devices: [{ resourceId: of.resourceId, state: "succeeded", isTruncated: of.isTruncated }],
  });
}

/** Puts devices back that are to be asked again. */
function requeueDevices(
  transaction: Transaction,
  { id, at, resourceIds }: Moment & { readonly resourceIds: readonly number[] },
): void {
  noteDevices(transaction, {
    ...{ id, at },
    devices: resourceIds.map((resourceId) => ({ resourceId, state: "queued" })),
  });
  for (const resourceId of resourceIds) {
    transaction.run(
      "UPDATE site_action_device SET request = 0 WHERE action_id = ? AND resource_id = ? AND state = 'queued'",
      id,
      resourceId,
    );
  }
}

function endWhereDone(transaction: Transaction, { id, at }: Moment): void {
  const open = transaction.get(
    "SELECT 1 FROM site_action_device WHERE action_id = ? AND state IN ('queued', 'sent', 'running') LIMIT 1",
    id,
  );
  if (open !== undefined) return;
  transaction.run("UPDATE site_action SET ended_at = ? WHERE id = ? AND ended_at IS NULL", at, id);
  const counts = transaction.all(
    "SELECT state, count(*) AS count FROM site_action_device WHERE action_id = ? GROUP BY state LIMIT 20",
    id,
  );
  const devices = Object.fromEntries(counts.map((row) => [String(row["state"]), row["count"]]));
  recordAudit(transaction, { at, event: "action.ended", payload: { id, devices } });
}

function devicesOf(
  transaction: Transaction,
  id: string,
  n: number,
): readonly { readonly resourceId: number }[] {
  return transaction
    .all(
      "SELECT resource_id FROM site_action_device WHERE action_id = ? AND request = ? ORDER BY resource_id LIMIT ?",
      ...[id, n, MAX_DEVICES],
    )
    .map((row) => ({ resourceId: Number(row["resource_id"]) }));
}

/** Forgets what ended long ago; returns how many actions. */
function pruneActions(transaction: Transaction, { now }: { readonly now: number }): number {
  const old = transaction.all(
    "SELECT id FROM site_action WHERE ended_at < ? ORDER BY ended_at LIMIT ?",
    now - KEPT_MS,
    MAX_PRUNED,
  );
  for (const { id } of old) {
    for (const [table, column] of [
      ["site_action_device", "action_id"],
      ["site_action_request", "action_id"],
      ["site_action", "id"],
    ]) {
      transaction.run(`DELETE FROM ${table} WHERE ${column} = ?`, String(id));
    }
  }
  return old.length;
}

export const actionOperations = {
  openAction,
  intendRequest,
  settleRequest,
  noteRequestedTime,
  noteDevices,
  noteRows,
  requeueDevices,
  pruneActions,
  ...actionReadings,
};
