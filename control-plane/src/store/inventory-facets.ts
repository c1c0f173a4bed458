import { VOLATILE_FACET } from "@isthmus/shared/link/inventory-digest";
import type { SqlValue, Transaction } from "@isthmus/shared/store/transaction";
import { RowInsert } from "./insert-rows.ts";
import type { StoredFacet } from "./inventory-documents.ts";

/** Facets of records: what they were, and the collections that one of them names. */

const DAY_MS = 86_400_000;

/** Keeps the value that a facet had until now; of volatile the last one of a day alone, since every contact brings another. */
export function archiveFacet(
  transaction: Transaction,
  recordId: number,
  facet: StoredFacet,
  of: { readonly until: number; readonly text: () => string | undefined },
  isLast = false,
): void {
  const { until } = of;
  const isSameDay = Math.floor(facet.at / DAY_MS) === Math.floor(until / DAY_MS);
  if (facet.name === VOLATILE_FACET && isSameDay && !isLast) return;
  transaction.run(
    `INSERT INTO inventory_history (record_id, facet, revision, at, until, hash, value) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT DO NOTHING`,
    recordId,
    facet.name,
    facet.revision,
    facet.at,
    until,
    facet.hash,
    of.text() ?? "null",
  );
}

/** The facet that says which collections a record is in: CollectionIDs, or rows that have one. */
export const COLLECTIONS_FACET = "collections";
/** Own limits: collections of one record, and characters of a CollectionID as a source may write it. */
const MAX_COLLECTIONS = 10_000;
const MAX_COLLECTION_KEY = 256;

/** Makes the memberships of a record those that the facet says. */
export function writeMemberships(
  transaction: Transaction,
  record: { readonly id: number; readonly sourceId: number },
  before: unknown,
  after: unknown,
): void {
  const had = collectionsIn(before);
  const has = collectionsIn(after);
  for (const key of had) {
    if (has.has(key)) continue;
    transaction.run(
      "DELETE FROM inventory_membership WHERE source_id = ? AND collection_key = ? AND record_id = ?",
      record.sourceId,
      key,
      record.id,
    );
  }
  const fresh = [...has].filter((key) => !had.has(key));
  MISSING_MEMBERSHIPS.run(
    transaction,
    fresh.map((key) => [record.sourceId, key, record.id]),
  );
}

/** Writes the memberships of records that have none yet. */
export function insertMemberships(
  transaction: Transaction,
  sourceId: number,
  records: readonly { readonly id: number; readonly collections: unknown }[],
): void {
  const rows: SqlValue[][] = [];
  for (const { id, collections } of records) {
    for (const key of collectionsIn(collections)) rows.push([sourceId, key, id]);
  }
  MEMBERSHIPS.run(transaction, rows);
}

const COLUMNS = ["source_id", "collection_key", "record_id"];
const MEMBERSHIPS = new RowInsert("inventory_membership", COLUMNS);
const MISSING_MEMBERSHIPS = new RowInsert(
  "inventory_membership",
  COLUMNS,
  " ON CONFLICT DO NOTHING",
);

function collectionsIn(value: unknown): Set<string> {
  const keys = new Set<string>();
  if (!Array.isArray(value)) return keys;
  for (const each of value.slice(0, MAX_COLLECTIONS)) {
    const key = typeof each === "object" && each !== null ? collectionIdOf(each) : each;
    if (typeof key === "string" && key !== "" && key.length <= MAX_COLLECTION_KEY) keys.add(key);
  }
  return keys;
}

function collectionIdOf(row: object): unknown {
  const named = row as Readonly<Record<string, unknown>>;
  return named["CollectionID"] ?? named["collectionId"];
}
