import { recordDigest, VOLATILE_FACET } from "@isthmus/shared/link/inventory-digest";
import { MAX_FACETS, type RecordKind } from "@isthmus/shared/link/inventory-messages";
import { isPlausibleRevision } from "@isthmus/shared/link/inventory-revision";
import type { Row, SqlValue, Transaction } from "@isthmus/shared/store/transaction";
import { latestTime } from "./inventory-checks.ts";
import {
  LASTING_COLUMNS,
  lastingColumns,
  MOVING_COLUMNS,
  movingColumns,
} from "./inventory-columns.ts";
import { insertDocuments, RecordDocument, type StoredFacet } from "./inventory-documents.ts";
import { archiveFacet, COLLECTIONS_FACET, writeMemberships } from "./inventory-facets.ts";
import { insertRecords } from "./inventory-insertion.ts";
import {
  tellAppearances,
  tellApplications,
  tellChanges,
  tellPresence,
} from "./inventory-timeline.ts";
import type { RecordsEntry, ToldFacet, ToldRecord } from "./told-records.ts";

/** Takes records in: what is new is written, what changed takes the place of what was, and that becomes history. */

/** Where and for whom records are applied. */
export interface RecordsTarget {
  readonly transaction: Transaction;
  readonly sourceId: number;
  readonly sourceName: string;
  readonly now: number;
  /** A record that cannot be taken; the others of its entry are. */
  readonly refuse: (record: ToldRecord, code: string) => void;
}

/** A facet that changes in a record: from what is stored to what was told; absent for none. */
export interface FacetChange {
  readonly name: string;
  readonly before: StoredFacet | undefined;
  readonly after: ToldFacet | undefined;
}

/** Applies the records of an entry, each whole or not at all. */
export function applyRecords(target: RecordsTarget, entry: RecordsEntry): void {
  const stored = new StoredRows(target, entry.records);
  const fresh = new Map<string, ToldRecord>();
  const insertFresh = () => {
    insertRecords(target, [...fresh.values()]);
    fresh.clear();
  };
  let highest = 0;
  for (const told of entry.records) {
    const record = datedByNow(told, target.now);
    const fault = faultOf(record, target.now);
    if (fault !== "revision-implausible") highest = Math.max(highest, record.revision);
    if (fault !== undefined) {
      target.refuse(record, fault);
      continue;
    }
    const name = `${record.kind} ${record.key}`;
    if (fresh.has(name)) insertFresh();
    const row = stored.take(record);
    if (row === undefined) fresh.set(name, record);
    else if (record.revision > Number(row["revision"])) {
      const code = updateRecord(target, record, row);
      if (code !== undefined) target.refuse(record, code);
    }
  }
  insertFresh();
  target.transaction.run(
    "UPDATE inventory_source SET revision = max(revision, ?), last_entry_at = ? WHERE id = ?",
    highest,
    target.now,
    target.sourceId,
  );
}

function datedByNow(record: ToldRecord, now: number): ToldRecord {
  const latest = latestTime(now);
  return record.at > latest ? { ...record, at: latest } : record;
}

/** The code of the refusal where a record cannot be taken, whatever is stored. */
function faultOf(record: ToldRecord, now: number): string | undefined {
  // SQLite would keep two keys of broken UTF-16 as one.
  if (!record.key.isWellFormed()) return "record-key-malformed";
  if (!isPlausibleRevision(record.revision, now)) return "revision-implausible";
  return record.facets.every(({ isTrue }) => isTrue) ? undefined : "facet-hash-wrong";
}

const STORED = "r.id, r.key, r.revision, r.deleted_at, r.is_online, r.name";

/** What is stored of the records of an entry, looked up once for all of them. */
class StoredRows {
  readonly #target: RecordsTarget;
  readonly #rows = new Map<string, Row>();
  /** Those that were looked up and not taken yet: whoever was taken may have changed since. */
  readonly #known = new Set<string>();

  constructor(target: RecordsTarget, records: readonly ToldRecord[]) {
    this.#target = target;
    for (const [kind, some] of Map.groupBy(records, (record) => record.kind))
      this.#find(kind, some);
  }

  take(record: ToldRecord): Row | undefined {
    const name = `${record.kind} ${record.key}`;
    if (this.#known.delete(name)) return this.#rows.get(name);
    return this.#target.transaction.get(
      `SELECT ${STORED} FROM inventory_record r WHERE r.source_id = ? AND r.kind = ? AND r.key = ?`,
      this.#target.sourceId,
      record.kind,
      record.key,
    );
  }

  #find(kind: RecordKind, records: readonly ToldRecord[]): void {
    const keys = records.map(({ key }) => key);
    const rows = this.#target.transaction.all(
      `SELECT ${STORED} FROM json_each(?) k CROSS JOIN inventory_record r
       WHERE r.source_id = ? AND r.kind = ? AND r.key = k.value`,
      JSON.stringify(keys),
      this.#target.sourceId,
      kind,
    );
    for (const row of rows) this.#rows.set(`${kind} ${row["key"]}`, row);
    for (const key of keys) this.#known.add(`${kind} ${key}`);
  }
}

function isPresent(facet: ToldFacet): facet is ToldFacet & { readonly text: string } {
  return facet.text !== undefined;
}

function updateRecord(target: RecordsTarget, record: ToldRecord, row: Row): string | undefined {
  const id = Number(row["id"]);
  const { transaction } = target;
  const { revision, at } = record;
  const isBack = row["deleted_at"] !== null;
  const document = RecordDocument.read(transaction, id);
  const changes = changesOf(document?.facets ?? [], record.facets, record.isWhole);
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
  if (isBack) tellAppearances(target, [device], true);
  else {
    tellChanges(target, { ...device, revision }, changes, before);
    const stored = (facet: string) => document?.value(facet);
    tellApplications(target, { ...device, revision }, changes, { before, stored });
  }
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
    insertDocuments(transaction, [{ ...record, facets: present }]);
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
