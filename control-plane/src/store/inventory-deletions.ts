import type { InventoryEntry } from "@isthmus/shared/link/inventory-messages";
import type { Transaction } from "@isthmus/shared/store/transaction";
import {
  archiveFacet,
  COLLECTIONS_FACET,
  storedFacets,
  storedValue,
  writeMemberships,
} from "./inventory-facets.ts";
import type { RecordsTarget } from "./inventory-records.ts";
import { recordSourceEvent } from "./inventory-sources.ts";
import { tellDeletion } from "./inventory-timeline.ts";

type DeletedEntry = Extract<InventoryEntry, { readonly type: "deleted" }>;

/** Takes records out that the bridge says are gone. Their rows stay with their history; one that came back since is not touched. */
export function applyDeletions(target: Omit<RecordsTarget, "refuse">, entry: DeletedEntry): void {
  const { transaction, sourceId, now } = target;
  const { kind, at, revision, evidence } = entry;
  let deleted = 0;
  for (const key of entry.keys) {
    const row = transaction.get(
      `SELECT id, name FROM inventory_record
       WHERE source_id = ? AND kind = ? AND key = ? AND deleted_at IS NULL AND revision < ?`,
      sourceId,
      kind,
      key,
      revision,
    );
    if (row === undefined) continue;
    const id = Number(row["id"]);
    const collections = storedValue(transaction, id, COLLECTIONS_FACET);
    writeMemberships(transaction, { id, sourceId }, collections, undefined);
    endFacets(transaction, id, at);
    transaction.run(
      "UPDATE inventory_record SET deleted_at = ?, changed_at = ?, revision = ? WHERE id = ?",
      at,
      at,
      revision,
      id,
    );
    tellDeletion(target, { id, kind, at, name: row["name"] ?? key }, evidence);
    deleted += 1;
  }
  transaction.run(
    "UPDATE inventory_source SET revision = max(revision, ?), last_entry_at = ? WHERE id = ?",
    revision,
    now,
    sourceId,
  );
  if (deleted === 0) return;
  const how = evidence.approvedBy === undefined ? "" : `, approved by ${evidence.approvedBy}`;
  recordSourceEvent(transaction, {
    sourceId,
    at,
    now,
    side: "bridge",
    event: "records.deleted",
    kind,
    message: `${deleted} gone, known by ${evidence.how}${how}`,
    figures: { deleted },
  });
}

/** All values become history, the last of volatile too. */
function endFacets(transaction: Transaction, recordId: number, at: number): void {
  for (const facet of storedFacets(transaction, recordId)) {
    archiveFacet(transaction, recordId, facet, Math.max(at, facet.at), true);
  }
  transaction.run("DELETE FROM inventory_facet WHERE record_id = ?", recordId);
}
