import { createHash } from "node:crypto";
import { ConnectorError, codeOf } from "@isthmus/shared/errors";
import type { ReadRecord } from "../core/inventory-state.ts";
import { recordKeyOf } from "../core/record-keys.ts";
import type { Row } from "../protocol/admin-service/answer.ts";
import { readPlainRows, rowBytes } from "../protocol/admin-service/page-rows.ts";
import { compare, type Filter, type Query } from "../protocol/admin-service/query.ts";
import type { Asking } from "./admin-service-client.ts";
import type { RawPages } from "./raw-pages.ts";
import { RecordAssembly } from "./record-assembly.ts";
import { facetsOfTables, type KindOfSite, type LaidOutTable } from "./site-tables.ts";

/** Own limit: kinds that are read whole are lists that people made. */
const MAX_ROWS = 200_000;

export interface WholeReader {
  readonly client: RawPages;
  readonly pageRows: number;
  readonly isOrdered: boolean;
  readonly onRead?: (table: string, requests: number) => void;
}

export interface WholeTable {
  readonly rows: readonly Row[];
  /** SHA-256 of layout and rows, hex. */
  readonly hash: string;
  /** The provider's clock when the first page was served. */
  readonly servedAt: number | undefined;
}

/**
 * All rows of a table with keys of any kind, or those that pass `where`: page by page above the last key, until the site says that
 * nothing is left. Texts are compared as the site's database has it, so only their progress is checked: no key comes twice. Throws
 * ConnectorError `page-*` (retryable), and what the client throws.
 */
export async function readWhole(
  { client, pageRows, isOrdered, onRead }: WholeReader,
  table: LaidOutTable,
  asking: Asking,
  /** Rows that pass it, as a hint: nobody counts on there being no more. */
  where?: Filter,
): Promise<WholeTable> {
  const { keyName, select } = table;
  const seen = new Set<unknown>();
  const rows: Row[] = [];
  const hash = createHash("sha256").update(table.layout);
  let servedAt: number | undefined;
  const base: Query = {
    ...(select !== undefined && { select }),
    ...(isOrdered && { orderBy: { property: keyName } }),
  };
  for (let filter = where; ; filter = behind(rows.at(-1), keyName, where)) {
    onRead?.(table.table.id, 1);
    const query = { ...base, top: pageRows, ...(filter !== undefined && { filter }) };
    const page = await endingAt(client.page(table.table.of, query, asking), rows.length > 0);
    servedAt ??= page?.servedAt;
    const found = page === undefined ? [] : readPlainRows(page.body.whole).rows;
    for (const row of found) add(row, table, seen, rows);
    for (const bytes of rowBytes(page?.body.chunks ?? [])) hash.update(bytes);
    // Only an empty page proves that the one in front of it was whole.
    const isOver = found.length === 0 || (where !== undefined && found.length < pageRows);
    if (isOver) return { rows, hash: hash.digest("hex"), servedAt };
  }
}

function behind(last: Row | undefined, keyName: string, where: Filter | undefined): Filter {
  const above = compare(keyName, "gt", keyOf(last, keyName));
  return where === undefined ? above : { kind: "and", parts: [where, above] };
}

/** A site that compares no texts has given all it gives in the first page. */
async function endingAt<Page>(asked: Promise<Page>, mayEnd: boolean): Promise<Page | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (mayEnd && codeOf(error) === "site-bad-request") return undefined;
    throw error;
  }
}

function add(row: Row, { keyName, table }: LaidOutTable, seen: Set<unknown>, rows: Row[]): void {
  const key = keyOf(row, keyName);
  if (seen.has(key)) throw untrusted("page-repeated", `${table.of.name} gave ${key} twice`);
  if (rows.length >= MAX_ROWS) {
    throw new ConnectorError("site-table-too-long", `${table.of.name} has over ${MAX_ROWS} rows`);
  }
  seen.add(key);
  rows.push(row);
}

function keyOf(row: Row | undefined, keyName: string): string | number {
  const key = row?.[keyName];
  if (typeof key === "string" || (typeof key === "number" && Number.isSafeInteger(key))) return key;
  throw untrusted("page-key", `a row has no usable ${keyName}`);
}

function untrusted(code: string, what: string): ConnectorError {
  return new ConnectorError(code, `a page cannot be trusted: ${what}`, { isRetryable: true });
}

/** Records of rows of a kind that has but one table. */
export function recordsOf(
  { kind, spine }: KindOfSite,
  rows: readonly Row[],
): readonly ReadRecord[] {
  const recordKey = recordKeyOf(kind);
  const facets = facetsOfTables([spine]);
  const table = { ...spine, rows };
  return new RecordAssembly({ spine: table, facets, ...(recordKey && { recordKey }) }).records();
}
