import type { PackedRecords, ReadRecord } from "../core/inventory-state.ts";
import { facetsOf, REPORT_COLUMNS, type SiteTable } from "../core/site-table.ts";
import type { Row } from "../protocol/admin-service/answer.ts";
import { isAnnotation, withoutAnnotations } from "../protocol/admin-service/answer.ts";
import type { CutLayout, CutRows } from "../protocol/admin-service/cut-rows.ts";

/** Rows of a table, annotations and all. */
export interface TableRows {
  readonly table: SiteTable;
  readonly keyName: string;
  /** The columns that were asked for; undefined where all were. */
  readonly select: readonly string[] | undefined;
  readonly rows: readonly Row[];
  /** Further rows, as the cutter of `cutLayout` leaves them. */
  readonly cut?: readonly CutRows[];
}

/** What the rows of a table are cut into: a piece for each of its facets. */
export function cutLayout({
  table: { content },
  keyName,
  select,
}: Omit<TableRows, "rows">): CutLayout {
  const without = new Set([keyName, ...REPORT_COLUMNS]);
  switch (content.kind) {
    case "columns": {
      const pieces = Object.values(content.facets).map((columns) => asked(columns, select));
      return { keyName, pieces, without };
    }
    case "rows":
      return { keyName, pieces: [select?.filter((name) => name !== keyName)], without };
    case "values":
      return { keyName, pieces: [[content.column]], without };
  }
}

function asked(columns: readonly string[], select: readonly string[] | undefined) {
  return select === undefined ? columns : columns.filter((name) => select.includes(name));
}

export interface AssemblyOptions {
  /** Its rows are the records. */
  readonly spine: TableRows;
  /** Those to make; all tables that one has columns of have to be added. */
  readonly facets: ReadonlySet<string>;
  /** The key of a row's record; that of the row where absent. Undefined for a row that is no record. */
  readonly recordKey?: (row: Row) => string | undefined;
}

interface Building {
  readonly key: string;
  /** By the place of a facet: members of its object, `"Name":"A","Build":7`. */
  readonly members: (string | undefined)[];
  /** By the place of a facet: its rows. */
  readonly lists: (ListedRow[] | undefined)[];
}

interface ListedRow {
  readonly group: number;
  readonly text: string;
}

type Buildings = ReadonlyMap<unknown, Building>;
type Places = ReadonlyMap<string, number>;

/**
 * Makes records of rows, table by table, so that no more than one table's rows are held at a time. Values that are null are left out, lists
 * stand in one order, and nothing depends on the order in which the site gave its rows: the same records always have the same texts.
 */
export class RecordAssembly {
  readonly #buildings = new Map<unknown, Building>();
  readonly #facets: readonly string[];
  readonly #places: Places;

  constructor({ spine, facets, recordKey }: AssemblyOptions) {
    this.#facets = [...facets];
    this.#places = new Map(this.#facets.map((facet, at) => [facet, at]));
    for (const row of spine.rows) {
      const value = row[spine.keyName];
      const key = recordKey === undefined ? String(value) : recordKey(row);
      if (key !== undefined) this.#buildings.set(value, { key, members: [], lists: [] });
    }
    for (const key of (spine.cut ?? []).flatMap(({ keys }) => keys)) {
      this.#buildings.set(key, { key: String(key), members: [], lists: [] });
    }
    this.add(spine);
  }

  /** In the order of the catalogue, so that columns of several tables always come in one order. */
  add(table: TableRows): void {
    addRows(this.#buildings, table, this.#places);
    for (const cut of table.cut ?? []) addCut(this.#buildings, table, cut, this.#places);
  }

  /** Of rows with one record, e.g. revisions of an application, the last one counts. */
  records(): ReadRecord[] {
    return [...this.#last()].map(([key, building]) => {
      const texts = this.#facets.map((facet, at) => [facet, textOf(building, at)] as const);
      const facets = texts.filter((pair): pair is [string, string] => pair[1] !== undefined);
      return { key, facets: Object.fromEntries(facets) };
    });
  }

  /** The same, with the facets in the order in which they were given. */
  packed(): PackedRecords {
    const last = this.#last();
    const count = this.#facets.length;
    const texts: (string | undefined)[] = [];
    for (const building of last.values()) {
      for (let at = 0; at < count; at += 1) texts.push(textOf(building, at));
    }
    return { keys: [...last.keys()], texts };
  }

  #last(): Map<string, Building> {
    return new Map([...this.#buildings.values()].map((building) => [building.key, building]));
  }
}

function addRows(buildings: Buildings, of: TableRows, places: Places): void {
  if (of.rows.length === 0) return;
  const { content } = of.table;
  for (const facet of facetsOf(of.table)) {
    const at = places.get(facet);
    if (at === undefined) continue;
    if (content.kind === "columns") {
      addColumns(buildings, of, at, asked(content.facets[facet] ?? [], of.select));
    } else if (content.kind === "rows") addList(buildings, of, at);
    else addValues(buildings, of, at, content.column);
  }
}

function addColumns(
  buildings: Buildings,
  { rows, keyName }: TableRows,
  at: number,
  columns: readonly string[],
): void {
  // Where a key has several rows the last one counts.
  for (const row of new Map(rows.map((row) => [row[keyName], row])).values()) {
    const building = buildings.get(row[keyName]);
    if (building !== undefined) addMembers(building, at, membersOf(row, columns));
  }
}

function addList(buildings: Buildings, { rows, keyName, select }: TableRows, at: number): void {
  const unwanted = new Set([keyName, ...REPORT_COLUMNS]);
  const columns = select?.filter((name) => name !== keyName);
  for (const row of rows) {
    const building = buildings.get(row[keyName]);
    if (building === undefined) continue;
    const names =
      columns ?? Object.keys(row).filter((name) => !isAnnotation(name) && !unwanted.has(name));
    const group = row["GroupID"];
    addListed(building, at, {
      group: typeof group === "number" ? group : 0,
      text: `{${membersOf(row, names)}}`,
    });
  }
}

function addValues(
  buildings: Buildings,
  { rows, keyName }: TableRows,
  at: number,
  column: string,
): void {
  for (const row of rows) {
    const building = buildings.get(row[keyName]);
    const value = row[column];
    if (building === undefined || typeof value !== "string") continue;
    addListed(building, at, { group: 0, text: JSON.stringify(value) });
  }
}

function addCut(buildings: Buildings, { table }: TableRows, cut: CutRows, places: Places): void {
  const { content } = table;
  const names = facetsOf(table);
  for (const [piece, facet] of names.entries()) {
    const at = places.get(facet);
    if (at === undefined) continue;
    const pieces = { cut, piece, of: names.length };
    if (content.kind === "columns")
      eachPiece(buildings, pieces, (to, text) => addMembers(to, at, text));
    else if (content.kind === "values")
      eachPiece(buildings, pieces, (to, text) => addCutValue(to, at, text));
    else {
      eachPiece(buildings, pieces, (to, text, group) =>
        addListed(to, at, { group, text: `{${text}}` }),
      );
    }
  }
}

function eachPiece(
  buildings: Buildings,
  { cut, piece, of }: { readonly cut: CutRows; readonly piece: number; readonly of: number },
  add: (to: Building, text: string, group: number) => void,
): void {
  const { keys, pieces, groups } = cut;
  for (const [row, key] of keys.entries()) {
    const building = buildings.get(key);
    if (building !== undefined) add(building, pieces[row * of + piece] ?? "", groups[row] ?? 0);
  }
}

/** `"CollectionID":"SMS00001"`; what is no text is left out, whatever stands in it: a column's name holds no quotation mark. */
function addCutValue(building: Building, at: number, member: string): void {
  const from = member.indexOf('":') + 2;
  if (member[from] === '"') addListed(building, at, { group: 0, text: member.slice(from) });
}

function addMembers({ members }: Building, at: number, more: string): void {
  if (more === "") return;
  const before = members[at];
  members[at] = before === undefined ? more : `${before},${more}`;
}

function addListed({ lists }: Building, at: number, row: ListedRow): void {
  const list = lists[at];
  if (list === undefined) lists[at] = [row];
  else list.push(row);
}

/** Members of an object as JSON.stringify would write them. */
function membersOf(row: Row, columns: readonly string[]): string {
  const kept: Record<string, unknown> = {};
  for (const name of columns) {
    const value = row[name];
    if (value !== null && value !== undefined) kept[name] = plain(value);
  }
  return JSON.stringify(kept).slice(1, -1);
}

function textOf({ members, lists }: Building, at: number): string | undefined {
  const list = lists[at];
  if (list !== undefined) return listText(list);
  const text = members[at];
  return text === undefined ? undefined : `{${text}}`;
}

function listText(rows: ListedRow[]): string {
  if (rows.length > 1) rows.sort(inOrder);
  return `[${rows.map(({ text }) => text).join(",")}]`;
}

function inOrder(a: ListedRow, b: ListedRow): number {
  if (a.group !== b.group) return a.group - b.group;
  if (a.text === b.text) return 0;
  return a.text < b.text ? -1 : 1;
}

/** Most values are texts and numbers, and most lists are of texts. */
function plain(value: unknown): unknown {
  return typeof value === "object" ? withoutAnnotations(value) : value;
}
