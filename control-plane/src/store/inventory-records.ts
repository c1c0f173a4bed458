import { bucketOf, recordDigest, VOLATILE_FACET } from "@isthmus/shared/link/inventory-digest";
import { type InventoryRecord, MAX_FACETS } from "@isthmus/shared/link/inventory-messages";
import { isPlausibleRevision } from "@isthmus/shared/link/inventory-revision";
import type { Row, SqlValue, Transaction } from "@isthmus/shared/store/transaction";
import { latestTime, type RecordsEntry } from "./inventory-checks.ts";
import {
  LASTING_COLUMNS,
  lastingColumns,
  MOVING_COLUMNS,
  movingColumns,
} from "./inventory-columns.ts";
import { insertDocument, RecordDocument, type StoredFacet } from "./inventory-documents.ts";
import {
  archiveFacet,
  COLLECTIONS_FACET,
  readFacets,
  type ToldFacet,
  writeMemberships,
} from "./inventory-facets.ts";
import { tellAppearance, tellChanges, tellPresence } from "./inventory-timeline.ts";

/** Takes records in: what is new is written, what changed takes the place of what was, and that becomes history. */

/** Where and for whom records are applied. */
export interface RecordsTarget {
  readonly transaction: Transaction;
  readonly sourceId: number;
  readonly sourceName: string;
  readonly now: number;
  /** A record that cannot be taken; the others of its entry are. */
  readonly refuse: (record: InventoryRecord, code: string) => void;
}

/** A facet that changes in a record: from what is stored to what was told; absent for none. */
export interface FacetChange {
  readonly name: string;
  readonly before: StoredFacet | undefined;
  readonly after: ToldFacet | undefined;
}

/** Applies the records of an entry, each whole or not at all. */
export function applyRecords(target: RecordsTarget, entry: RecordsEntry): void {
  const latest = latestTime(target.now);
  let highest = 0;
  for (const told of entry.records) {
    const record = told.at > latest ? { ...told, at: latest } : told;
    const code = applyRecord(target, record);
    if (code !== "revision-implausible") highest = Math.max(highest, record.revision);
    if (code !== undefined) target.refuse(record, code);
  }
  target.transaction.run(
    "UPDATE inventory_source SET revision = max(revision, ?), last_entry_at = ? WHERE id = ?",
    highest,
    target.now,
    target.sourceId,
  );
}

/** The code of the refusal where the record cannot be taken. */
function applyRecord(target: RecordsTarget, record: InventoryRecord): string | undefined {
  // SQLite would keep two keys of broken UTF-16 as one.
  if (!record.key.isWellFormed()) return "record-key-malformed";
  if (!isPlausibleRevision(record.revision, target.now)) return "revision-implausible";
  const told = readFacets(record);
  if (told === undefined) return "facet-hash-wrong";
  const row = target.transaction.get(
    `SELECT id, revision, deleted_at, is_online, name FROM inventory_record
     WHERE source_id = ? AND kind = ? AND key = ?`,
    target.sourceId,
    record.kind,
    record.key,
  );
  if (row === undefined) return insertRecord(target, record, told);
  return record.revision > Number(row["revision"])
    ? updateRecord(target, record, told, row)
    : undefined;
}

const INSERT_RECORD = insertStatement();

function insertStatement(): string {
  const columns = [
    ...["source_id", "kind", "key", "revision", "digest", "bucket", "first_seen_at", "changed_at"],
    ...LASTING_COLUMNS,
    ...MOVING_COLUMNS,
  ];
  const places = columns.map(() => "?").join(", ");
  return `INSERT INTO inventory_record (${columns.join(", ")}) VALUES (${places})`;
}

function insertRecord(
  target: RecordsTarget,
  record: InventoryRecord,
  told: readonly ToldFacet[],
): undefined {
  const { transaction, sourceId } = target;
  const { kind, key, revision, at } = record;
  const present = told.filter(isPresent);
  const valueIn = (facet: string) => present.find(({ name }) => name === facet)?.value;
  const hashes: Record<string, string> = {};
  for (const { name, hash } of present) hashes[name] = hash;
  const lasting = lastingColumns(valueIn("identity"), valueIn("stable"));
  const { lastInsertRowid: id } = transaction.run(
    INSERT_RECORD,
    sourceId,
    kind,
    key,
    revision,
    recordDigest(key, hashes),
    bucketOf(key),
    at,
    at,
    ...lasting,
    ...movingColumns(valueIn(VOLATILE_FACET)),
  );
  insertDocument(
    transaction,
    id,
    present.map((facet) => ({ ...facet, revision, at })),
  );
  writeMemberships(transaction, { id, sourceId }, undefined, valueIn(COLLECTIONS_FACET));
  tellAppearance(target, { id, kind, at, name: lasting[0] ?? key });
  return undefined;
}

function isPresent(facet: ToldFacet): facet is ToldFacet & { readonly text: string } {
  return facet.text !== undefined;
}

function updateRecord(
  target: RecordsTarget,
  record: InventoryRecord,
  told: readonly ToldFacet[],
  row: Row,
): string | undefined {
  const id = Number(row["id"]);
  const { transaction } = target;
  const { revision, at } = record;
  const isBack = row["deleted_at"] !== null;
  const document = RecordDocument.read(transaction, id);
  const changes = changesOf(document?.facets ?? [], told, record.isWhole);
  const hashes = hashesAfter(document?.facets ?? [], changes);
  if (Object.keys(hashes).length > MAX_FACETS) return "facets-too-many";
  if (isBack) transaction.run("UPDATE inventory_record SET deleted_at = NULL WHERE id = ?", id);
  // Before the old values go: the lines of the timeline and the memberships need them.
  const before = new Map(
    changes
      .filter(({ name, before }) => before !== undefined && name !== VOLATILE_FACET)
      .map(({ name }) => [name, document?.value(name)]),
  );
  const after = replaceFacets(transaction, { id, revision, at }, document, changes);
  const collections = changes.find(({ name }) => name === COLLECTIONS_FACET);
  if (collections !== undefined) {
    const membership = { id, sourceId: target.sourceId };
    writeMemberships(
      transaction,
      membership,
      before.get(COLLECTIONS_FACET),
      collections.after?.value,
    );
  }
  const columns = updateRow(transaction, { ...record, id }, { changes, hashes, isBack, after });
  const device = { id, kind: record.kind, at, name: columns["name"] ?? row["name"] ?? record.key };
  if (isBack) tellAppearance(target, device, true);
  else tellChanges(target, { ...device, revision }, changes, before);
  if (!isBack) tellPresence(target, device, row["is_online"], columns["is_online"]);
  return undefined;
}

/** What differs between what is stored and what was told; a whole record has no other facets than those. */
function changesOf(
  stored: readonly StoredFacet[],
  told: readonly ToldFacet[],
  isWhole: boolean,
): FacetChange[] {
  const present = new Map(stored.map((facet) => [facet.name, facet]));
  const changes: FacetChange[] = [];
  for (const facet of told) {
    const before = present.get(facet.name);
    present.delete(facet.name);
    const after = facet.text === undefined ? undefined : facet;
    if (before?.hash !== after?.hash) changes.push({ name: facet.name, before, after });
  }
  if (isWhole) {
    for (const before of present.values()) {
      changes.push({ name: before.name, before, after: undefined });
    }
  }
  return changes;
}

function hashesAfter(
  stored: readonly StoredFacet[],
  changes: readonly FacetChange[],
): Record<string, string> {
  const hashes: Record<string, string> = {};
  for (const { name, hash } of stored) hashes[name] = hash;
  for (const { name, after } of changes) {
    if (after === undefined) delete hashes[name];
    else hashes[name] = after.hash;
  }
  return hashes;
}

/** Writes what a record has now, and what it had as history; answers what its facets are then. */
function replaceFacets(
  transaction: Transaction,
  record: { readonly id: number; readonly revision: number; readonly at: number },
  document: RecordDocument | undefined,
  changes: readonly FacetChange[],
): (facet: string) => unknown {
  const { id, revision } = record;
  if (document === undefined) {
    const present = changes.flatMap(({ after }) => (after && isPresent(after) ? [after] : []));
    insertDocument(
      transaction,
      id,
      present.map((facet) => ({ ...facet, revision, at: record.at })),
    );
    return (facet) => present.find(({ name }) => name === facet)?.value;
  }
  for (const { name, before, after } of changes) {
    // A clock that was put back must not make a value end before it began.
    const at = Math.max(record.at, before?.at ?? 0);
    const text = () => document.text(name);
    if (before !== undefined) archiveFacet(transaction, id, before, { until: at, text });
    if (after !== undefined && isPresent(after)) document.set({ ...after, revision, at });
    else document.remove(name);
  }
  if (changes.length > 0) document.write();
  return (facet) => document.value(facet);
}

/** Changes the columns that the changed facets tell, and no others: each one that is named costs its indexes. */
function updateRow(
  transaction: Transaction,
  record: { readonly id: number; readonly key: string; readonly revision: number; at: number },
  of: {
    readonly changes: readonly FacetChange[];
    readonly hashes: Record<string, string>;
    /** What the columns say is from before it was gone. */
    readonly isBack: boolean;
    /** The value that a facet has now. */
    readonly after: (facet: string) => unknown;
  },
): Record<string, SqlValue> {
  const { id, key, revision, at } = record;
  const changed = new Set(of.changes.map(({ name }) => name));
  const columns: Record<string, SqlValue> = { revision };
  if (of.isBack || changed.has("identity") || changed.has("stable")) {
    const values = lastingColumns(of.after("identity"), of.after("stable"));
    for (const [index, name] of LASTING_COLUMNS.entries()) columns[name] = values[index] ?? null;
  }
  if (of.isBack || changed.has(VOLATILE_FACET)) {
    const change = of.changes.find(({ name }) => name === VOLATILE_FACET);
    const values = movingColumns(change?.after?.value);
    for (const [index, name] of MOVING_COLUMNS.entries()) columns[name] = values[index] ?? null;
  }
  if (of.isBack || of.changes.some(({ name }) => name !== VOLATILE_FACET)) {
    columns["digest"] = recordDigest(key, of.hashes);
    columns["changed_at"] = at;
  }
  const names = Object.keys(columns);
  transaction.run(
    `UPDATE inventory_record SET ${names.map((name) => `${name} = ?`).join(", ")} WHERE id = ?`,
    ...Object.values(columns),
    id,
  );
  return columns;
}
