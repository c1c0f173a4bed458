import { type Column, type EntityClass, EVERYTHING } from "./entity-class.ts";
import { compileFilter, type Filter } from "./odata-filter.ts";
import { badQuery, Refusal } from "./odata-refusal.ts";
import { columnValue } from "./row-text.ts";
import type { Capabilities } from "./site-options.ts";

/** The query options of one request, checked against the class. */
export interface Query<Row> {
  readonly filter: Filter<Row>;
  readonly columns: readonly Column<Row>[];
  readonly isSelected: boolean;
  readonly order: { readonly column: Column<Row>; readonly isDescending: boolean } | undefined;
  readonly top: number;
  readonly skip: number;
  readonly isCounted: boolean;
  /** A continuation this service handed out: rows that were given before. */
  readonly skipToken: number;
}

const MAX_TOP = 2_147_483_647;

/** Throws Refusal: whatever is not known is 400. */
export function readQuery<Row>(
  query: URLSearchParams,
  of: EntityClass<Row>,
  capabilities: Capabilities,
  /** What `$expand` may name here. */
  expandable: readonly string[] = [],
): Query<Row> {
  checkOptions(query, of, capabilities, expandable);
  const filter = query.get("$filter");
  const select = query.get("$select");
  return {
    filter:
      filter === null
        ? { passes: () => true, ranges: EVERYTHING }
        : compileFilter(filter, of, capabilities),
    columns: select === null ? of.columns : selected(select, of, expandable),
    isSelected: select !== null,
    order: orderOf(query.get("$orderby"), of),
    top: count(query.get("$top"), "$top") ?? MAX_TOP,
    skip: count(query.get("$skip"), "$skip") ?? 0,
    isCounted: query.get("$count") === "true",
    skipToken: count(query.get("$skiptoken"), "$skiptoken") ?? 0,
  };
}

function checkOptions<Row>(
  query: URLSearchParams,
  { name }: EntityClass<Row>,
  capabilities: Capabilities,
  expandable: readonly string[],
): void {
  const known = [
    ...["$filter", "$select", "$orderby", "$top", "$expand"],
    ...(capabilities.skip ? ["$skip"] : []),
    ...(capabilities.count ? ["$count"] : []),
    ...(capabilities.nextLinkRows === undefined ? [] : ["$skiptoken"]),
  ];
  for (const option of query.keys()) {
    if (query.getAll(option).length > 1)
      throw badQuery(`Query option '${option}' was specified more than once.`);
    if (option.startsWith("$") && !known.includes(option))
      throw badQuery(`The query parameter '${option}' is not supported.`);
  }
  const expand = query.get("$expand");
  if (expand !== null && !expandable.includes(expand))
    throw badQuery(
      `Could not find a property named '${expand}' on type 'AdminService.${name}' to expand.`,
    );
}

function selected<Row>(
  select: string,
  of: EntityClass<Row>,
  expandable: readonly string[],
): Column<Row>[] {
  const names = select.split(",").map((name) => name.trim());
  return names.filter((name) => !expandable.includes(name)).map((name) => columnNamed(name, of));
}

function columnNamed<Row>(name: string, of: EntityClass<Row>): Column<Row> {
  const column = of.columns.find((each) => each.name === name);
  if (column !== undefined) return column;
  throw badQuery(`Could not find a property named '${name}' on type 'AdminService.${of.name}'.`);
}

function orderOf<Row>(text: string | null, of: EntityClass<Row>): Query<Row>["order"] {
  if (text === null) return undefined;
  const [name = "", direction = "asc", ...rest] = text.trim().split(/\s+/);
  if (rest.length > 0 || (direction !== "asc" && direction !== "desc"))
    throw badQuery(`Syntax error in $orderby '${text}'.`);
  return { column: columnNamed(name, of), isDescending: direction === "desc" };
}

function count(text: string | null, option: string): number | undefined {
  if (text === null) return undefined;
  if (!/^\d{1,10}$/.test(text)) throw badQuery(`Invalid value '${text}' for ${option} was found.`);
  return Number(text);
}

/** The rows that a query is about, in its order, before `$skip` and `$top`. */
export function* matching<Row>(
  of: EntityClass<Row>,
  { filter, order }: Query<Row>,
  isVisible: (row: Row) => boolean,
): Generator<Row> {
  if (order === undefined || isByKey(of, order)) {
    for (const row of of.rows(filter.ranges)) {
      if (filter.passes(row) && isVisible(row)) yield row;
    }
    return;
  }
  yield* ordered(of, filter, order, isVisible);
}

/** Rows come by their first key already where it is a number. */
function isByKey<Row>(of: EntityClass<Row>, order: NonNullable<Query<Row>["order"]>): boolean {
  const { name, type } = order.column;
  return name === of.keys[0] && type === "Edm.Int32" && !order.isDescending;
}

function* ordered<Row>(
  of: EntityClass<Row>,
  filter: Filter<Row>,
  { column, isDescending }: NonNullable<Query<Row>["order"]>,
  isVisible: (row: Row) => boolean,
): Generator<Row> {
  const found: { readonly row: Row; readonly by: string | number }[] = [];
  for (const row of of.rows(filter.ranges)) {
    if (!filter.passes(row) || !isVisible(row)) continue;
    const by = columnValue(of, column, row);
    found.push({ row, by: typeof by === "string" ? by.toLowerCase() : Number(by) });
    if (found.length > MAX_SORTED) throw new Refusal(500, "Too many rows to sort.");
  }
  const sign = isDescending ? -1 : 1;
  found.sort((a, b) => (a.by === b.by ? 0 : (a.by < b.by ? -1 : 1) * sign));
  for (const { row } of found) yield row;
}

/** Ours: a simulator keeps no more than this in memory for one request. */
const MAX_SORTED = 1_000_000;
