import { lastKeyOf, type PageBounds, shortPage } from "../core/key-page.ts";
import type { ClassName } from "../protocol/admin-service/path.ts";
import { compare, type Filter, type Query } from "../protocol/admin-service/query.ts";
import type { Asking, Page } from "./admin-service-client.ts";

/** A full page that lost rows to a delay at its end is read once more before it counts as short. */
const READINGS = 2;

export interface KeyRange {
  readonly of: ClassName;
  /** As this site spells it: ResourceID, ResourceId or MachineId. */
  readonly keyName: string;
  /** Exclusive. */
  readonly after: number;
  /** Inclusive; to the end where absent. */
  readonly through?: number;
  readonly select?: readonly string[];
  /** What the rows have in common besides, e.g. one collection; the key has to be theirs alone in it. */
  readonly where?: Filter;
  readonly pageRows: number;
  /** Whether the site understands `$orderby`; without it, it gives rows in the order of their keys or the range fails. */
  readonly isOrdered: boolean;
}

/** What is used of the client. */
export interface RowSource {
  rows(of: ClassName, query: Query, asking: Asking): Promise<Page>;
}

export interface KeyPage extends Page {
  readonly after: number;
  /** The last key of the page. */
  readonly last: number;
}

/**
 * All rows of a range of keys, page by page. Ends only once the site has said that nothing is left; a page that is short, came
 * before, is out of order or holds what was not asked for ends the range with an error (`lastKeyOf`, `page-short`), so that
 * whoever reads it never takes a part for the whole.
 */
export async function* readKeyRange(
  source: RowSource,
  range: KeyRange,
  asking: Asking,
): AsyncGenerator<KeyPage, void, undefined> {
  let previous: readonly unknown[] = [];
  for (let after = range.after; !isBehind(after, range); ) {
    const page = await readPage(source, range, { after, previous }, asking);
    if (page === undefined) return;
    yield page;
    previous = keysOf(page, range);
    after = page.last;
  }
}

function isBehind(after: number, { through }: KeyRange): boolean {
  return through !== undefined && after >= through;
}

/** The next page; undefined where the range is over. */
async function readPage(
  source: RowSource,
  range: KeyRange,
  { after, previous }: { readonly after: number; readonly previous: readonly unknown[] },
  asking: Asking,
): Promise<KeyPage | undefined> {
  const bounds = { after, through: range.through, maxRows: range.pageRows };
  let page: Page | undefined;
  for (let reading = 0; reading < READINGS; reading += 1) {
    page = await source.rows(range.of, queryOf(range, bounds), asking);
    const last = lastKeyOf({ keys: keysOf(page, range), previous }, bounds);
    const isFull = page.rows.length === range.pageRows || page.hasMore;
    const isWhole = isFull || (await isEndBehind(source, range, last ?? after, asking));
    if (isWhole) return last === undefined ? undefined : { ...page, after, last };
  }
  throw shortPage(page?.rows.length ?? 0, bounds);
}

/** Asked for one row only: an answer that is cut cannot be cut to nothing without being seen twice. */
async function isEndBehind(
  source: RowSource,
  range: KeyRange,
  last: number,
  asking: Asking,
): Promise<boolean> {
  if (isBehind(last, range)) return true;
  const bounds = { after: last, through: range.through, maxRows: 1 };
  const page = await source.rows(range.of, queryOf(range, bounds), asking);
  return lastKeyOf({ keys: keysOf(page, range), previous: [] }, bounds) === undefined;
}

function queryOf(range: KeyRange, { after, through, maxRows }: PageBounds): Query {
  const { keyName, select, where, isOrdered } = range;
  const parts = [
    ...(where === undefined ? [] : [where]),
    compare(keyName, "gt", after),
    ...(through === undefined ? [] : [compare(keyName, "le", through)]),
  ];
  const [first] = parts;
  return {
    ...(first !== undefined && { filter: parts.length === 1 ? first : { kind: "and", parts } }),
    top: maxRows,
    ...(select !== undefined && { select: [...new Set([keyName, ...select])] }),
    ...(isOrdered && { orderBy: { property: keyName } }),
  };
}

function keysOf({ rows }: Page, { keyName }: KeyRange): readonly unknown[] {
  return rows.map((row) => row[keyName]);
}
