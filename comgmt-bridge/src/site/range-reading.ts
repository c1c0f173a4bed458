import { giveBack } from "@isthmus/shared/give-back";
import { allEnded } from "../core/all-ended.ts";
import type { KeyBounds, ReadRecord } from "../core/inventory-state.ts";
import { EMPTY, type PackedRecords } from "../core/packed-records.ts";
import type { InventorySink } from "../core/ports.ts";
import type { Asking } from "./admin-service-client.ts";
import { pageHash } from "./page-hash.ts";
import { RecordAssembly } from "./record-assembly.ts";
import {
  facetsOfTables,
  type KindOfSite,
  type LaidOutTable,
  tablesFeeding,
  tablesOf,
} from "./site-tables.ts";
import type { TableBytes, TableReader } from "./table-reader.ts";

/** A table of a range, and what its bytes are known by. */
interface HashedTable extends TableBytes {
  readonly hash: string;
  readonly isEmpty: boolean;
}

/** The records of a source that are wanted, where not all are. */
export interface CollectionScope {
  /** Members of any of these; all devices where there are none. */
  readonly collections: readonly string[];
}

export interface RangeReader {
  readonly kind: KindOfSite;
  readonly reader: Pick<TableReader, "fetch" | "rows">;
  readonly scope: CollectionScope;
  /** See `pageHash`. */
  readonly pageKey: Buffer;
  readonly onRows?: (rows: number) => void;
}

export interface RangeOutcome {
  /** Whether the site has no key in the range. */
  readonly isEmpty: boolean;
  readonly isPassedOver: boolean;
  /** Records that were found; undefined where nobody looked. */
  readonly records: number | undefined;
  readonly changed: number;
}

/**
 * Reads a range of all its tables and puts it into the store. Where every page came in the bytes of the last time nothing is parsed;
 * else only the tables of those facets that may have changed are.
 */
export async function readRange(
  of: RangeReader,
  {
    range,
    isWhole,
    sink,
  }: { readonly range: KeyBounds; readonly isWhole: boolean; readonly sink: InventorySink },
  asking: Asking,
): Promise<RangeOutcome> {
  const { kind } = of;
  const before = await sink.pagesOf(kind.kind, range);
  // Where tables are wanted no more all is read anew, so that their facets go.
  const isAnew = Object.keys(before).some((id) => !kind.ids.has(id));
  const tables = tablesOf(kind).filter(
    ({ table }) =>
      isWhole || isAnew || table.reading === "always" || before[table.id] === undefined,
  );
  const read = await allEnded(
    tables.map(async (table) => hashed(await of.reader.fetch(table, range, asking), of)),
  );
  using _memory = { [Symbol.dispose]: () => read.forEach(release) };
  const fresh = read.filter(({ table, hash }) => isAnew || before[table.table.id] !== hash);
  const isEmpty = read[0]?.isEmpty === true;
  if (fresh.length === 0) {
    await sink.passOverRange(kind.kind, range);
    return { isEmpty, isPassedOver: true, records: undefined, changed: 0 };
  }
  const facets = facetsOfTables(fresh.map(({ table }) => table));
  const looked = await look(of, read, facets, asking);
  const pages = Object.fromEntries(read.map((each) => [each.table.table.id, each.hash]));
  const kept = Object.fromEntries(Object.entries(before).filter(([id]) => isKept(kind, id)));
  const applied = await sink.applyRange(kind.kind, {
    range,
    facets: [...facets],
    areAllFacets: fresh.length === tablesOf(kind).length && kind.isAllThereIs,
    records: looked.records,
    areShallow: looked.areShallow,
    pages: { ...kept, ...pages, ...looked.pages },
    before,
  });
  if ("octets" in looked.records) giveBack(looked.records.octets);
  return { isEmpty, isPassedOver: false, records: looked.count, changed: applied.changed };
}

/**
 * Whether the hash of a page that was not read stays: not of a table that is left out, so that it is looked into as soon as it can be,
 * and of one that is wanted no more as long as its facets cannot go, which takes a reading of all tables.
 */
function isKept({ ids, leftOut }: KindOfSite, id: string): boolean {
  return ids.has(id) ? leftOut?.has(id) !== true : (leftOut?.size ?? 0) > 0;
}

/** Parses the tables that these facets and the list of records come from. */
async function look(
  of: RangeReader,
  read: readonly HashedTable[],
  facets: ReadonlySet<string>,
  asking: Asking,
): Promise<{
  readonly records: readonly ReadRecord[] | PackedRecords;
  readonly count: number;
  readonly areShallow: boolean;
  readonly pages: Readonly<Record<string, string>>;
}> {
  const { kind, reader, scope, onRows } = of;
  const needed = new Set<LaidOutTable>([kind.spine, ...tablesNeeded(of, facets)]);
  const wanted = scope.collections.length === 0 ? facets : new Set([...facets, "collections"]);
  const pages: Record<string, string> = {};
  let assembly: RecordAssembly | undefined;
  let areShallow = true;
  // The spine is the first of them.
  for (const bytes of read.filter(({ table }) => needed.has(table))) {
    const seen = await reader.rows(bytes, asking, read[0]?.isEmpty === false);
    pages[bytes.table.table.id] = seen.bytes === bytes ? bytes.hash : hashed(seen.bytes, of).hash;
    onRows?.(seen.count);
    // What is cut out of a page is rows of texts, numbers, and lists of texts.
    if (seen.rows.length > 0) areShallow = false;
    const table = { ...bytes.table, rows: seen.rows, cut: seen.cut };
    if (assembly === undefined) assembly = new RecordAssembly({ spine: table, facets: wanted });
    else assembly.add(table);
    release(bytes);
    release(seen.bytes);
  }
  if (scope.collections.length === 0) {
    const records = assembly?.packed() ?? EMPTY;
    return { records, count: records.keys.length, areShallow, pages };
  }
  const records = inScope(assembly?.records() ?? [], scope, facets);
  return { records, count: records.length, areShallow, pages };
}

function hashed(bytes: TableBytes, { pageKey }: RangeReader): HashedTable {
  const bodies = bytes.parts.map(({ body }) => body);
  return { ...bytes, ...pageHash(pageKey, bytes.table.layout, bodies) };
}

/** What was made of it are texts of their own. */
function release({ parts }: TableBytes): void {
  for (const { body } of parts) body.release();
}

export function tablesNeeded(
  { kind, scope }: Pick<RangeReader, "kind" | "scope">,
  facets: ReadonlySet<string>,
): readonly LaidOutTable[] {
  const wanted = scope.collections.length === 0 ? facets : new Set([...facets, "collections"]);
  return tablesFeeding(tablesOf(kind), wanted);
}

/** Devices that are in one of the collections that are to be read, with the facets that were asked for. */
export function inScope(
  records: readonly ReadRecord[],
  { collections }: CollectionScope,
  facets: ReadonlySet<string>,
): readonly ReadRecord[] {
  if (collections.length === 0) return records;
  const wanted = collections.map((id) => JSON.stringify(id));
  const members = records.filter(({ facets: { collections: text } }) => {
    return text !== undefined && wanted.some((id) => text.includes(id));
  });
  if (facets.has("collections")) return members;
  return members.map(({ key, facets: { collections: _, ...kept } }) => ({ key, facets: kept }));
}
