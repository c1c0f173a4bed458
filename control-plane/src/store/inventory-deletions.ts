import { ProtocolError } from "@isthmus/shared/errors";
import type { InventoryEntry } from "@isthmus/shared/link/inventory-messages";
import { isPlausibleRevision } from "@isthmus/shared/link/inventory-revision";
import type { Transaction } from "@isthmus/shared/store/transaction";
import { latestTime } from "./inventory-checks.ts";
import { deleteDocument, RecordDocument } from "./inventory-documents.ts";
import { archiveFacet, COLLECTIONS_FACET, writeMemberships } from "./inventory-facets.ts";
import type { RecordsTarget } from "./inventory-records.ts";
import { recordSourceEvent } from "./inventory-sources.ts";
import { tellDeletion } from "./inventory-timeline.ts";

type DeletedEntry = Extract<InventoryEntry, { readonly type: "deleted" }>;

/** Takes records out that the bridge says are gone. Their rows stay with their history; one that came back since is not touched. */
export function applyDeletions(target: Omit<RecordsTarget, "refuse">, entry: DeletedEntry): void {
  const { transaction, sourceId, now } = target;
  const { kind, revision, evidence } = entry;
  const at = Math.min(entry.at, latestTime(now));
  if (!isPlausibleRevision(revision, now)) {
    throw new ProtocolError("revision-implausible", "a source cannot have come to that revision");
  }
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
    const document = RecordDocument.read(transaction, id);
    const collections = document?.value(COLLECTIONS_FACET);
    writeMemberships(transaction, { id, sourceId }, collections, undefined);
    if (document !== undefined) endFacets(transaction, id, document, at);
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
function endFacets(
  transaction: Transaction,
  recordId: number,
  document: RecordDocument,
  at: number,
): void {
  for (const facet of document.facets) {
    const text = () => document.text(facet.name);
    archiveFacet(transaction, recordId, facet, { until: Math.max(at, facet.at), text }, true);
  }
  deleteDocument(transaction, recordId);
}
