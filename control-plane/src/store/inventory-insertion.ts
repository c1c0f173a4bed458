import { bucketOf, recordDigest, VOLATILE_FACET } from "@isthmus/shared/link/inventory-digest";
import type { SqlValue } from "@isthmus/shared/store/transaction";
import { RowInsert } from "./insert-rows.ts";
import {
  LASTING_COLUMNS,
  lastingColumns,
  MOVING_COLUMNS,
  movingColumns,
} from "./inventory-columns.ts";
import { insertDocuments } from "./inventory-documents.ts";
import { COLLECTIONS_FACET, insertMemberships } from "./inventory-facets.ts";
import { arrangeIdentifiers } from "./inventory-identifiers.ts";
import type { RecordsTarget } from "./inventory-records.ts";
import { tellAppearances } from "./inventory-timeline.ts";
import type { ToldFacet, ToldRecord } from "./told-records.ts";

const RECORDS = new RowInsert("inventory_record", [
  ...["source_id", "kind", "key", "revision", "digest", "bucket", "first_seen_at", "changed_at"],
  ...LASTING_COLUMNS,
  ...MOVING_COLUMNS,
]);
/** Of the columns of a row: where the name stands. */
const NAME_AT = 8 + LASTING_COLUMNS.indexOf("name");

/** Writes records that are new; all of them together cost half of what one after the other does. */
export function insertRecords(target: RecordsTarget, records: readonly ToldRecord[]): void {
  if (records.length === 0) return;
  const { transaction, sourceId } = target;
  const rows = records.map((record) => rowOf(sourceId, record));
  const ids = RECORDS.run(transaction, rows);
  arrangeIdentifiers(transaction, ids[0] ?? 0, ids.at(-1) ?? 0);
  const made = records.map((record, index) => ({
    record,
    id: ids[index] as number,
    name: rows[index]?.[NAME_AT] ?? record.key,
  }));
  insertDocuments(
    transaction,
    made.map(({ id, record: { facets, revision, at } }) => ({ id, revision, at, facets })),
  );
  insertMemberships(
    transaction,
    sourceId,
    made.map(({ id, record }) => ({ id, collections: valueIn(record, COLLECTIONS_FACET) })),
  );
  tellAppearances(
    target,
    made.map(({ id, name, record: { kind, at } }) => ({ id, name, kind, at })),
  );
}

function rowOf(sourceId: number, record: ToldRecord): SqlValue[] {
  const { kind, key, revision, at } = record;
  return [
    ...[sourceId, kind, key, revision, recordDigest(key, hashesOf(record)), bucketOf(key), at, at],
    ...lastingColumns(valueIn(record, "identity"), valueIn(record, "stable")),
    ...movingColumns(valueIn(record, VOLATILE_FACET)),
  ];
}

function hashesOf({ facets }: ToldRecord): Record<string, string> {
  const hashes: Record<string, string> = {};
  for (const { name, hash, text } of facets) if (text !== undefined) hashes[name] = hash;
  return hashes;
}

function valueIn({ facets }: ToldRecord, name: string): unknown {
  const value = facets.find((facet: ToldFacet) => facet.name === name)?.value;
  return value === null ? undefined : value;
}
