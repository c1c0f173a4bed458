import type { Transaction } from "@isthmus/shared/store/transaction";

/** How long what was is kept. */
export interface InventoryRetention {
  /** Former values of facets, records that are gone, and what happened to sources. */
  readonly historyDays: number;
  readonly timelineDays: number;
}

const DAY_MS = 86_400_000;
/** Rows of one transaction, so that no commit waits for them; a record takes its own facets, history and timeline along. */
const ROWS_AT_ONCE = 2_000;
const RECORDS_AT_ONCE = 100;

/** Throws away what is too old, some at a time; answers whether there may be more. */
function pruneInventory(
  transaction: Transaction,
  of: InventoryRetention & { readonly now: number },
): { readonly isMore: boolean } {
  const historyFrom = of.now - of.historyDays * DAY_MS;
  const history = transaction.run(
    `DELETE FROM inventory_history WHERE (record_id, facet, revision) IN
       (SELECT record_id, facet, revision FROM inventory_history WHERE until < ? LIMIT ${ROWS_AT_ONCE})`,
    historyFrom,
  );
  const records = transaction.run(
    `DELETE FROM inventory_record WHERE id IN
       (SELECT id FROM inventory_record WHERE deleted_at < ? LIMIT ${RECORDS_AT_ONCE})`,
    historyFrom,
  );
  const lines = pruneOldest(transaction, "timeline_event", of.now - of.timelineDays * DAY_MS);
  const events = pruneOldest(transaction, "inventory_event", historyFrom);
  const isMore =
    records.changes >= RECORDS_AT_ONCE || Math.max(history.changes, lines, events) >= ROWS_AT_ONCE;
  return { isMore };
}

/** Both grow by id as time passes, so that the oldest are the lowest and need no index by time. */
function pruneOldest(
  transaction: Transaction,
  table: "timeline_event" | "inventory_event",
  before: number,
): number {
  const { changes } = transaction.run(
    `DELETE FROM ${table} WHERE id IN (SELECT id FROM
       (SELECT id, recorded_at FROM ${table} ORDER BY id LIMIT ${ROWS_AT_ONCE}) WHERE recorded_at < ?)`,
    before,
  );
  return changes;
}

export const inventoryRetentionOperations = { pruneInventory };
