import { ConnectorError } from "@isthmus/shared/errors";
import { aFewAtATime } from "../core/a-few-at-a-time.ts";
import { allEnded } from "../core/all-ended.ts";
import { LearntLimit } from "../core/learnt-limit.ts";
import type { KeyedReading } from "../core/ports.ts";
import type { Row } from "../protocol/admin-service/answer.ts";
import { readPlainRows } from "../protocol/admin-service/page-rows.ts";
import { compare, type Filter } from "../protocol/admin-service/query.ts";
import type { Asking } from "./admin-service-client.ts";
import { type CollectionScope, inScope } from "./range-reading.ts";
import type { RawPages } from "./raw-pages.ts";
import { RecordAssembly, type TableRows } from "./record-assembly.ts";
import { mayBeOfTheForm } from "./refused-form.ts";
import { facetsOfTables, type KindOfSite, type LaidOutTable } from "./site-tables.ts";
import type { TableFaults } from "./table-faults.ts";

/** Own limits: keys in one filter, bounded by the length of a request line; rows of one device in one page. */
const MOST_KEYS = 100;
const MAX_TOP = 100_000;
/** Own limit: keys of one reading that are asked for alone, since the site has none of them among the others. */
const MOST_DOUBTED = 3;

export interface KeyedReaderOptions {
  readonly client: RawPages;
  readonly pageRows: number;
  readonly onRead?: (table: string, requests: number) => void;
  readonly onRows?: (rows: number) => void;
  /** Notes whose answers can be used. */
  readonly faults?: TableFaults;
  /** Told of a site that passes over some of the keys of one filter. */
  readonly onOneAtATime?: (why: ConnectorError) => void;
}

interface Wanted {
  readonly kind: KindOfSite;
  readonly tables: readonly LaidOutTable[];
  readonly scope: CollectionScope;
}

/** Reads single records by their numeric keys, many in one request as far as the site bears it. */
export class KeyedReader {
  readonly #options: KeyedReaderOptions;
  readonly #keysPerFilter = new LearntLimit(MOST_KEYS);

  constructor(options: KeyedReaderOptions) {
    this.#options = options;
  }

  /** Records of these keys with the facets of these tables of their kind. Throws what the client throws. */
  async read(of: Wanted, keys: readonly number[], asking: Asking): Promise<KeyedReading> {
    // As it is now: another reading may learn meanwhile that it has to be less.
    const size = this.#batchOf(of.kind.spine);
    const { reading, spine } = await this.#read(of, keys, asking);
    const passedOver = await this.#passedOver({ spine, size }, keys, asking);
    if (passedOver === undefined) return reading;
    this.#options.onOneAtATime?.(passedOver);
    this.#keysPerFilter.lower(1);
    return (await this.#read(of, keys, asking)).reading;
  }

  /**
   * Keys that are missing may be gone. Where one is found when it is asked for alone, and is missing once more among the others, the site
   * answers for some of a filter only, and so it does in each table.
   */
  async #passedOver(
    { spine, size }: { readonly spine: TableRows & LaidOutTable; readonly size: number },
    keys: readonly number[],
    asking: Asking,
  ): Promise<ConnectorError | undefined> {
    if (size === 1) return undefined;
    const has = (rows: readonly Row[], key: number) =>
      rows.some((row) => row[spine.keyName] === key);
    const missing = keys.filter((key) => !has(spine.rows, key));
    for (const key of missing.slice(0, MOST_DOUBTED)) {
      const at = keys.indexOf(key);
      const batch = keys.slice(at - (at % size), at - (at % size) + size);
      if (batch.length === 1) continue;
      if (!has(await this.#batch(spine, [key], asking), key)) continue;
      if (!has(await this.#batch(spine, batch, asking), key)) return passedOver(spine, key);
    }
    return undefined;
  }

  async #read({ kind, tables, scope }: Wanted, keys: readonly number[], asking: Asking) {
    const facets = facetsOfTables(tables);
    const needed = [kind.spine, ...kind.others].filter(
      (each) => each === kind.spine || tables.includes(each) || isForScope(each, scope),
    );
    const read = await allEnded(
      needed.map(async (table): Promise<TableRows & LaidOutTable> => {
        const read = () => this.#rowsOf(table, keys, asking);
        const { faults } = this.#options;
        const of = { kind, scope, table, stage: "looked-into" } as const;
        return { ...table, rows: await (faults?.noting(of, read) ?? read()) };
      }),
    );
    const [spine, ...others] = read;
    if (spine === undefined) throw new ConnectorError("site-table-key", "a kind has no table");
    const wanted = new Set([
      ...facets,
      ...facetsOfTables(needed.filter((each) => isForScope(each, scope))),
    ]);
    const assembly = new RecordAssembly({ spine, facets: wanted });
    for (const table of others) assembly.add(table);
    const records = inScope(assembly.records(), scope, facets);
    const pages = tables.map(({ table }) => table.id);
    return { reading: { facets: [...facets], records, pages }, spine };
  }

  async #rowsOf(
    table: LaidOutTable,
    keys: readonly number[],
    asking: Asking,
  ): Promise<readonly Row[]> {
    const batches: (readonly number[])[] = [];
    const size = this.#batchOf(table);
    for (let at = 0; at < keys.length; at += size) batches.push(keys.slice(at, at + size));
    const rows = await aFewAtATime(batches, (batch) => this.#batch(table, batch, asking));
    return rows.flat();
  }

  #batchOf({ table }: LaidOutTable): number {
    const fitting = Math.floor(this.#options.pageRows / table.rowsPerKey);
    return Math.max(1, Math.min(this.#keysPerFilter.now, fitting));
  }

  async #batch(
    table: LaidOutTable,
    keys: readonly number[],
    asking: Asking,
  ): Promise<readonly Row[]> {
    const { pageRows, onRows } = this.#options;
    for (let top = pageRows; ; ) {
      const rows = await this.#page(table, keys, top, asking);
      if (rows === undefined) {
        const halves = await this.#halves(table, keys, asking);
        // Only now it is known that it was the filter: a table that is refused as a whole says nothing of the others.
        this.#keysPerFilter.lower(Math.ceil(keys.length / 2));
        return halves;
      }
      if (rows.length >= top && keys.length > 1) return await this.#halves(table, keys, asking);
      if (rows.length < top || top >= MAX_TOP) {
        onRows?.(rows.length);
        return rows;
      }
      top = Math.min(MAX_TOP, top * 4);
    }
  }

  async #halves(table: LaidOutTable, keys: readonly number[], asking: Asking) {
    const middle = Math.ceil(keys.length / 2);
    const first = await this.#batch(table, keys.slice(0, middle), asking);
    return [...first, ...(await this.#batch(table, keys.slice(middle), asking))];
  }

  /** Undefined where the filter is too long for the site. */
  async #page(
    { table, keyName, select }: LaidOutTable,
    keys: readonly number[],
    top: number,
    asking: Asking,
  ): Promise<readonly Row[] | undefined> {
    const { client, onRead } = this.#options;
    onRead?.(table.id, 1);
    const query = { filter: anyOf(keyName, keys), top, ...(select !== undefined && { select }) };
    try {
      const { rows } = readPlainRows((await client.page(table.of, query, asking)).body.whole);
      this.#keysPerFilter.answered();
      const wanted = new Set<unknown>(keys);
      return rows.filter((row) => wanted.has(row[keyName]));
    } catch (error) {
      // What is worth trying again as it is, is.
      if (keys.length === 1 || !mayBeOfTheForm(error) || error.isRetryable) throw error;
      return undefined;
    }
  }
}

function passedOver({ table, keyName }: LaidOutTable, key: number): ConnectorError {
  const words = `${table.of.name} has a row of ${keyName} ${key}, and gives none where it is asked for other keys beside it`;
  return new ConnectorError("page-short", words, { isRetryable: true });
}

function isForScope({ table }: LaidOutTable, { collections }: CollectionScope): boolean {
  return collections.length > 0 && table.content.kind === "values";
}

function anyOf(keyName: string, keys: readonly number[]): Filter {
  return { kind: "or", parts: keys.map((key) => compare(keyName, "eq", key)) };
}
