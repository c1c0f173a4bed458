import { recordAudit } from "@isthmus/shared/kernel/audit-operations";
import { MAX_EVENT_KEYS, MAX_WANTED_KEYS } from "@isthmus/shared/link/inventory-messages";
import type { Row, SqlValue, Transaction } from "@isthmus/shared/store/transaction";
import type {
  EndedScan,
  InventoryState,
  Leaving,
  ScanEnd,
  WaitingDeletion,
} from "../core/inventory-state.ts";
import { tellDeleted, tellEvent } from "./inventory-entries.ts";
import { sourceState, Telling } from "./inventory-telling.ts";
import { countRecords, findKind, forgetPagesAt, type KindState, kindState } from "./kind-state.ts";

type Scan = NonNullable<KindState["lastScan"]>;

/**
 * Missing when the last complete scan ended, and not found since; and looked for in this scan, which says that its range was indeed read: a
 * record outside of all ranges is not.
 */
const CANDIDATE = "kind_id = ? AND missed_after < ? AND missed_at >= ?";
/** Few records are missing; left alone SQLite looks at all of a kind, where it has not yet counted them. */
export const MISSING = "record_state INDEXED BY record_state_missing";
const WAITING = "waits = 1 AND approved_by IS NULL";
/** Own limits: records that are looked for once more before they go, and those on either side of them that have to be seen meanwhile. */
const MAX_LOOKED_FOR = 1_000;
const NEIGHBOURS = 20;

/** See `InventoryState.endScan`. */
export function endScan(transaction: Transaction, argument: EndedScan): ScanEnd {
  const telling = new Telling(transaction, argument);
  const kind = kindState(transaction, argument);
  const scan = { beganAt: argument.beganAt, endedAt: argument.at };
  // The process was killed before its loop knew that this scan had ended: no second look.
  if (scan.beganAt === kind.lastScan?.beganAt) {
    return { deleted: 0, waiting: countWaiting(transaction, kind.id) };
  }
  const waitedBefore = countWaiting(transaction, kind.id);
  const deleted = deleteMissing(transaction, telling, kind, scan, argument);
  const waiting = countWaiting(transaction, kind.id);
  transaction.run(
    `UPDATE kind_state SET complete_scans = complete_scans + 1, last_began_at = ?, last_ended_at = ?
     WHERE id = ?`,
    scan.beganAt,
    scan.endedAt,
    kind.id,
  );
  const keys = waiting === 0 ? undefined : waitingKeys(transaction, kind.id);
  if (waiting > waitedBefore) tellWaiting(transaction, telling, kind, { waiting, keys });
  tellEnded(transaction, telling, kind, { scan, deleted, waiting, keys });
  telling.end();
  return { deleted, waiting };
}

/** Values of `CANDIDATE`, and whether all of them may go. */
function candidates(
  transaction: Transaction,
  kind: KindState,
  { beganAt, maxDeletedShare, minDeleted }: EndedScan,
): { readonly candidate: readonly SqlValue[]; readonly mayAll: boolean } {
  const candidate = [kind.id, kind.completeScans, beganAt];
  const { unapproved, suspected } = transaction.get(
    `SELECT count(*) FILTER (WHERE approved_by IS NULL) AS unapproved,
       count(*) FILTER (WHERE is_suspected = 1) AS suspected
     FROM record_state WHERE ${CANDIDATE}`,
    ...candidate,
  ) as { unapproved: number; suspected: number };
  const allowed = Math.max(minDeleted, Math.floor(maxDeletedShare * (kind.records + suspected)));
  return { candidate, mayAll: unapproved <= allowed };
}

/** See `InventoryState.leaving`. */
export function leaving(transaction: Transaction, argument: EndedScan): Leaving {
  const nothing = { keys: [], neighbours: [] };
  const kind = kindState(transaction, argument);
  if (kind.lastScan === undefined) return nothing;
  const { candidate, mayAll } = candidates(transaction, kind, argument);
  if (!mayAll) return nothing;
  const rows = transaction.all(
    `SELECT key, number FROM ${MISSING} WHERE ${CANDIDATE} AND approved_by IS NULL ORDER BY number, key LIMIT ?`,
    ...candidate,
    MAX_LOOKED_FOR,
  );
  const [first, last] = [rows[0], rows.at(-1)];
  if (first === undefined || last === undefined) return nothing;
  const there = (where: string, order: string, { number = null }: Row) =>
    transaction.all(
      `SELECT key FROM record_state WHERE kind_id = ? AND number ${where} ? AND missed_after IS NULL AND is_suspected = 0
       ORDER BY number ${order} LIMIT ?`,
      kind.id,
      number,
      NEIGHBOURS,
    );
  const neighbours = [...there("<", "DESC", first), ...there(">", "ASC", last)];
  const keyOf = (row: Row) => String(row["key"]);
  return { keys: rows.map(keyOf), neighbours: neighbours.map(keyOf) };
}

function deleteMissing(
  transaction: Transaction,
  telling: Telling,
  kind: KindState,
  scan: Scan,
  argument: EndedScan,
): number {
  if (kind.lastScan === undefined) return 0;
  const { candidate, mayAll } = candidates(transaction, kind, argument);
  if (!mayAll) {
    transaction.run(
      `UPDATE record_state SET waits = 1, waits_since = CASE waits WHEN 1 THEN waits_since ELSE ? END WHERE ${CANDIDATE}`,
      scan.endedAt,
      ...candidate,
    );
  }
  const groups = transaction.all(
    `SELECT DISTINCT is_suspected, approved_by FROM record_state WHERE ${CANDIDATE}
       AND (? OR approved_by IS NOT NULL)`,
    ...candidate,
    mayAll ? 1 : 0,
  );
  const scans = [kind.lastScan, scan];
  let deleted = 0;
  for (const { is_suspected: isSuspected = 0, approved_by: approvedBy = null } of groups) {
    const evidence = {
      how: isSuspected === 1 ? ("repair" as const) : ("scans" as const),
      scans,
      ...(approvedBy !== null && { approvedBy: String(approvedBy) }),
    };
    const which = `${CANDIDATE} AND is_suspected = ? AND approved_by IS ?`;
    const values = [...candidate, isSuspected, approvedBy];
    for (;;) {
      const keys = takeKeys(transaction, which, values);
      if (keys.length === 0) break;
      tellDeleted(transaction, telling, { kind: kind.kind, keys, evidence });
      countRecords(transaction, kind.id, isSuspected === 1 ? 0 : -keys.length);
      deleted += keys.length;
    }
  }
  return deleted;
}

/** Removes as many rows as one entry names, and returns their keys. */
function takeKeys(transaction: Transaction, which: string, values: readonly SqlValue[]): string[] {
  const rows = transaction.all(
    `SELECT kind_id, number, key FROM record_state WHERE ${which} LIMIT ?`,
    ...values,
    MAX_WANTED_KEYS,
  );
  for (const { kind_id = null, number = null, key = null } of rows) {
    transaction.run(
      "DELETE FROM record_state WHERE kind_id = ? AND number = ? AND key = ?",
      kind_id,
      number,
      key,
    );
    // Should it come back, it is told with all facets, even those whose pages still had it.
    forgetPagesAt(transaction, Number(kind_id), Number(number));
  }
  return rows.map(({ key }) => String(key));
}

function tellWaiting(
  transaction: Transaction,
  telling: Telling,
  { kind, records }: KindState,
  { waiting, keys }: { readonly waiting: number; readonly keys: string[] | undefined },
): void {
  const message = `${waiting} of ${records} records of kind ${kind} are missing from two complete scans: more than may be deleted without an approval`;
  const figures = { waiting, records };
  tellEvent(transaction, telling, { event: "deletions.waiting", message, kind, figures, keys });
}

function tellEnded(
  transaction: Transaction,
  telling: Telling,
  { id, kind, completeScans }: KindState,
  of: {
    readonly scan: Scan;
    readonly deleted: number;
    readonly waiting: number;
    readonly keys: string[] | undefined;
  },
): void {
  const row = transaction.get("SELECT records FROM kind_state WHERE id = ?", id);
  const durationMs = of.scan.endedAt - of.scan.beganAt;
  const figures = {
    records: Number(row?.["records"]),
    deleted: of.deleted,
    waiting: of.waiting,
    durationMs,
    completeScans: completeScans + 1,
  };
  const message = `all of kind ${kind} was read`;
  tellEvent(transaction, telling, { event: "scan.ended", message, kind, figures, keys: of.keys });
}

/** The first that wait: the control plane, which has the records, can name them. */
function waitingKeys(transaction: Transaction, kindId: number): string[] {
  const rows = transaction.all(
    `SELECT key FROM ${MISSING} WHERE kind_id = ? AND missed_after IS NOT NULL AND ${WAITING} ORDER BY number, key LIMIT ?`,
    kindId,
    MAX_EVENT_KEYS,
  );
  return rows.map(({ key }) => String(key));
}

function countWaiting(transaction: Transaction, kindId: number): number {
  const row = transaction.get(
    `SELECT count(*) AS count FROM ${MISSING} WHERE kind_id = ? AND missed_after IS NOT NULL AND ${WAITING}`,
    kindId,
  );
  return Number(row?.["count"]);
}

/** See `InventoryState.approveDeletions`. */
export function approveDeletions(
  transaction: Transaction,
  { source, kind, by, at }: Parameters<InventoryState["approveDeletions"]>[0],
): number {
  const state = findKind(transaction, { source, kind });
  const lease = sourceState(transaction, source)?.lease;
  if (state === undefined || lease === undefined) return 0;
  const { changes: count } = transaction.run(
    `UPDATE ${MISSING} SET approved_by = ? WHERE kind_id = ? AND missed_after IS NOT NULL AND ${WAITING}`,
    by,
    state.id,
  );
  if (count === 0) return 0;
  recordAudit(transaction, {
    at,
    event: "deletions.approved",
    payload: { source, kind, count, by },
  });
  const message = `${by} approved ${count} deletions of kind ${kind}`;
  const figures = { approved: count };
  const event = { event: "deletions.approved", message, kind, figures };
  tellEvent(transaction, { source, lease, at }, event);
  return count;
}

/** See `InventoryState.waitingDeletions`. */
export function waitingDeletions(
  transaction: Transaction,
  { source, kind, limit }: Parameters<InventoryState["waitingDeletions"]>[0],
): WaitingDeletion[] {
  const state = findKind(transaction, { source, kind });
  if (state === undefined) return [];
  return transaction
    .all(
      `SELECT key, missed_at, waits_since, approved_by FROM record_state
       WHERE kind_id = ? AND missed_after IS NOT NULL AND waits = 1 ORDER BY number, key LIMIT ?`,
      state.id,
      limit,
    )
    .map((row) => ({
      key: String(row["key"]),
      missedAt: Number(row["missed_at"]),
      since: row["waits_since"] === null ? undefined : Number(row["waits_since"]),
      approvedBy: row["approved_by"] === null ? undefined : String(row["approved_by"]),
    }));
}
