import type { ReadRecord } from "../core/inventory-state.ts";
import { REPORT_COLUMNS, type SiteTable } from "../core/site-table.ts";
import type { Row } from "../protocol/admin-service/answer.ts";
import { isAnnotation, withoutAnnotations } from "../protocol/admin-service/answer.ts";

/** Rows of a table, annotations and all. */
export interface TableRows {
  readonly table: SiteTable;
  readonly keyName: string;
  /** The columns that were asked for; undefined where all were. */
  readonly select: readonly string[] | undefined;
  readonly rows: readonly Row[];
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
  readonly columns: Record<string, Record<string, unknown>>;
  readonly lists: Record<string, ListedRow[]>;
}

interface ListedRow {
  readonly group: number;
  readonly text: string;
}

/**
 * Makes records of rows, table by table, so that no more than one table's rows are held at a time. Values that are null are left out, lists
 * stand in one order, and nothing depends on the order in which the site gave its rows: the same records always have the same texts.
 */
export class RecordAssembly {
  readonly #buildings = new Map<unknown, Building>();
  readonly #facets: ReadonlySet<string>;

  constructor({ spine, facets, recordKey }: AssemblyOptions) {
    this.#facets = facets;
    for (const row of spine.rows) {
      const value = row[spine.keyName];
      const key = recordKey === undefined ? String(value) : recordKey(row);
      if (key !== undefined) this.#buildings.set(value, { key, columns: {}, lists: {} });
    }
    this.add(spine);
  }

  /** In the order of the catalogue, so that columns of several tables always come in one order. */
  add(table: TableRows): void {
    addTable(this.#buildings, table, this.#facets);
  }

  /** Of rows with one record, e.g. revisions of an application, the last one counts. */
  records(): ReadRecord[] {
    const records = new Map<string, ReadRecord>();
    for (const building of this.#buildings.values()) {
      records.set(building.key, { key: building.key, facets: textsOf(building) });
    }
    return [...records.values()];
  }
}

function addTable(
  buildings: ReadonlyMap<unknown, Building>,
  of: TableRows,
  facets: ReadonlySet<string>,
): void {
  const { content } = of.table;
  switch (content.kind) {
    case "columns":
      for (const [facet, columns] of Object.entries(content.facets)) {
        if (facets.has(facet)) addColumns(buildings, of, facet, columns);
      }
      break;
    case "rows":
      if (facets.has(content.facet)) addRows(buildings, of, content.facet);
      break;
    case "values":
      if (facets.has(content.facet)) addValues(buildings, of, content.facet, content.column);
      break;
  }
}

function addColumns(
  buildings: ReadonlyMap<unknown, Building>,
  { rows, keyName, select }: TableRows,
  facet: string,
  wanted: readonly string[],
): void {
  const asked = select === undefined ? undefined : new Set(select);
  const columns = asked === undefined ? wanted : wanted.filter((name) => asked.has(name));
  for (const row of rows) {
    const building = buildings.get(row[keyName]);
    if (building === undefined) continue;
    building.columns[facet] ??= {};
    const into = building.columns[facet];
    for (const name of columns) {
      const value = row[name];
      if (value !== null && value !== undefined) into[name] = plain(value);
    }
  }
}

function addRows(
  buildings: ReadonlyMap<unknown, Building>,
  { rows, keyName, select }: TableRows,
  facet: string,
): void {
  const unwanted = new Set([keyName, ...REPORT_COLUMNS]);
  const columns = select?.filter((name) => name !== keyName);
  for (const row of rows) {
    const lists = buildings.get(row[keyName])?.lists;
    if (lists === undefined) continue;
    const names =
      columns ?? Object.keys(row).filter((name) => !isAnnotation(name) && !unwanted.has(name));
    const kept: Record<string, unknown> = {};
    for (const name of names) {
      const value = row[name];
      if (value !== null && value !== undefined) kept[name] = plain(value);
    }
    const group = row["GroupID"];
    lists[facet] ??= [];
    lists[facet].push({ group: typeof group === "number" ? group : 0, text: JSON.stringify(kept) });
  }
}

function addValues(
  buildings: ReadonlyMap<unknown, Building>,
  { rows, keyName }: TableRows,
  facet: string,
  column: string,
): void {
  for (const row of rows) {
    const lists = buildings.get(row[keyName])?.lists;
    const value = row[column];
    if (lists === undefined || typeof value !== "string") continue;
    lists[facet] ??= [];
    lists[facet].push({ group: 0, text: JSON.stringify(value) });
  }
}

/** As JSON.stringify would write it. */
function textsOf({ columns, lists }: Building): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const facet of Object.keys(columns)) {
    const text = JSON.stringify(columns[facet]);
    if (text !== "{}") texts[facet] = text;
  }
  for (const [facet, rows] of Object.entries(lists)) texts[facet] = listText(rows);
  return texts;
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
