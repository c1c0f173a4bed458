import { INVENTORY_STREAM, type RecordKind } from "@isthmus/shared/link/inventory-messages";
import type { Operations, Transaction } from "@isthmus/shared/store/transaction";
import type { InventoryState, SourceFigures } from "../core/inventory-state.ts";
import { takeDifferences, tellDigest } from "./inventory-digests.ts";
import { tellEvent } from "./inventory-entries.ts";
import { applyChanges, applyRange, passOverRange } from "./inventory-readings.ts";
import { sourceState, takeLease } from "./inventory-telling.ts";
import { kindState, pagesOf } from "./kind-state.ts";
import { approveDeletions, endScan, leaving, MISSING, waitingDeletions } from "./scan-end.ts";

/** Own limit: kinds of all sources, far above what any site has. */
const MAX_KINDS = 1_000;

/** What the bridge knows of its sources' records; `core/inventory-state.ts` says what each of these does. */
export const inventoryOperations = {
  pagesOf,
  applyRange,
  passOverRange,
  applyChanges,
  endScan,
  leaving,
  approveDeletions,
  waitingDeletions,
  tellDigest,
  takeDifferences,
  takeLease,
  note,
  sourceFigures,
  backlog,
} satisfies Operations & Partial<{ [Name in keyof InventoryState]: Operations[string] }>;

function note(transaction: Transaction, argument: Parameters<InventoryState["note"]>[0]): void {
  tellEvent(transaction, argument, argument);
}

function sourceFigures(transaction: Transaction, _none: Record<string, never>): SourceFigures[] {
  const kinds = transaction.all(
    "SELECT source, kind FROM kind_state ORDER BY id LIMIT ?",
    MAX_KINDS,
  );
  return kinds.map((row) =>
    figuresOf(transaction, String(row["source"]), row["kind"] as RecordKind),
  );
}

function figuresOf(transaction: Transaction, source: string, kind: RecordKind): SourceFigures {
  const state = kindState(transaction, { source, kind });
  const { lease = 0, revision = 0 } = sourceState(transaction, source) ?? {};
  const count = (which: string) =>
    Number(transaction.get(`SELECT count(*) AS count FROM ${which}`, state.id)?.["count"]);
  const missing = `${MISSING} WHERE kind_id = ? AND missed_after IS NOT NULL`;
  return {
    source,
    kind,
    lease,
    revision,
    records: state.records,
    missing: count(`${missing} AND is_suspected = 0`),
    unknown: count("record_state WHERE kind_id = ? AND is_suspected = 1"),
    waiting: count(`${missing} AND waits = 1 AND approved_by IS NULL`),
    approved: count(`${missing} AND approved_by IS NOT NULL`),
    completeScans: state.completeScans,
    lastScan: state.lastScan,
    lastDigestAt: state.lastDigestAt,
    refused: count("refusal WHERE kind_id = ?"),
  };
}

function backlog(
  transaction: Transaction,
  _none: Record<string, never>,
): { readonly entries: number } {
  const row = transaction.get(
    "SELECT last_seq - acked_seq + unsequenced AS entries FROM stream WHERE name = ?",
    INVENTORY_STREAM,
  );
  return { entries: Number(row?.["entries"] ?? 0) };
}
