import { giveBack } from "@isthmus/shared/give-back";
import type { ReadRecord } from "../core/inventory-state.ts";
import { type PackedRecords, unpacked } from "../core/packed-records.ts";
import { facetsOf, REPORT_COLUMNS, type SiteTable } from "../core/site-table.ts";
import type { Row } from "../protocol/admin-service/answer.ts";
import { isAnnotation, withoutAnnotations } from "../protocol/admin-service/answer.ts";
import type { CutLayout, CutRows } from "../protocol/admin-service/cut-rows.ts";
import { FacetTexts } from "./facet-texts.ts";
import { Octets } from "./octets.ts";

const GROUP = "GroupID";
/** Octets that a text has besides its parts and their commas. */
const BRACES = 2;

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
      return { keyName, pieces, without, form: "members" };
    }
    case "rows": {
      const pieces = [select?.filter((name) => name !== keyName)];
      return { keyName, pieces, without, form: "object" };
    }
    case "values":
      return { keyName, pieces: [[content.column]], without, form: "text" };
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

/**
 * Makes records of rows, table by table, so that no more than one table's rows are held at a time. Values that are null are left out, lists
 * stand in one order, and nothing depends on the order in which the site gave its rows: the same records always have the same texts.
 */
export class RecordAssembly {
  /** Numbers of records by the key of their rows. */
  readonly #numbers = new Map<unknown, number>();
  readonly #keys: string[] = [];
  /** What was cut, as long as parts of texts are in it. */
  readonly #given: Uint8Array[] = [];
  #length = 0;
  readonly #facets = new Map<string, FacetTexts | undefined>();

  constructor({ spine, facets, recordKey }: AssemblyOptions) {
    for (const row of spine.rows) {
      const value = row[spine.keyName];
      const key = recordKey === undefined ? String(value) : recordKey(row);
      if (key !== undefined) this.#addRecord(value, key);
    }
    for (const { keys } of spine.cut ?? []) {
      for (const key of keys) this.#addRecord(key, String(key));
    }
    for (const facet of facets) this.#facets.set(facet, undefined);
    this.add(spine);
  }

  #addRecord(value: unknown, key: string): void {
    const known = this.#numbers.get(value);
    if (known === undefined) this.#numbers.set(value, this.#keys.push(key) - 1);
    else this.#keys[known] = key;
  }

  /** In the order of the catalogue, so that columns of several tables always come in one order. */
  add(table: TableRows): void {
    const facets = facetsOf(table.table);
    const texts = facets.map((facet) => this.#textsOf(facet, table));
    for (const [piece, of] of texts.entries()) if (of) this.#addRows(of, table, facets[piece]);
    for (const cut of table.cut ?? []) {
      this.#given.push(cut.octets);
      if (texts.some((of) => of !== undefined)) this.#addCut(texts, table, cut);
    }
  }

  /** Undefined for a facet that is not to be made. */
  #textsOf(facet: string, { table: { content } }: TableRows): FacetTexts | undefined {
    if (!this.#facets.has(facet)) return undefined;
    const known = this.#facets.get(facet);
    if (known !== undefined) return known;
    const texts = new FacetTexts(content.kind !== "columns", this.#keys.length);
    this.#facets.set(facet, texts);
    return texts;
  }

  #addRows(texts: FacetTexts, of: TableRows, facet = ""): void {
    const { content } = of.table;
    switch (content.kind) {
      case "columns":
        this.#addColumns(texts, of, asked(content.facets[facet] ?? [], of.select));
        break;
      case "rows":
        this.#addList(texts, of);
        break;
      case "values":
        this.#addValues(texts, of, content.column);
    }
  }

  #addColumns(texts: FacetTexts, { rows, keyName }: TableRows, columns: readonly string[]): void {
    // Where a key has several rows the last one counts.
    for (const row of new Map(rows.map((row) => [row[keyName], row])).values()) {
      this.#addText(texts, row[keyName], membersOf(row, columns));
    }
  }

  #addList(texts: FacetTexts, { rows, keyName, select }: TableRows): void {
    const unwanted = new Set([keyName, ...REPORT_COLUMNS]);
    const columns = select?.filter((name) => name !== keyName);
    for (const row of rows) {
      const names =
        columns ?? Object.keys(row).filter((name) => !isAnnotation(name) && !unwanted.has(name));
      const group = row[GROUP];
      const text = `{${membersOf(row, names)}}`;
      this.#addText(texts, row[keyName], text, typeof group === "number" ? group : 0);
    }
  }

  #addValues(texts: FacetTexts, { rows, keyName }: TableRows, column: string): void {
    for (const row of rows) {
      const value = row[column];
      if (typeof value === "string") this.#addText(texts, row[keyName], JSON.stringify(value));
    }
  }

  #addText(texts: FacetTexts, key: unknown, text: string, group = 0): void {
    const record = this.#numbers.get(key);
    if (record === undefined || text === "") return;
    const bytes = Buffer.from(text);
    texts.add(record, bytes, 0, bytes.length, group);
    this.#length += bytes.length + 1;
  }

  #addCut(texts: readonly (FacetTexts | undefined)[], { table }: TableRows, cut: CutRows): void {
    const { keys, groups, places, octets } = cut;
    const isGrouped = table.content.kind === "rows";
    this.#length += (places.at(-1) ?? 0) + 1;
    let place = 0;
    for (let row = 0; row < keys.length; row += 1) {
      const record = this.#numbers.get(keys[row]);
      const group = isGrouped ? (groups[row] ?? 0) : 0;
      for (let piece = 0; piece < texts.length; piece += 1, place += 2) {
        const [from = 0, to = 0] = [places[place], places[place + 1]];
        if (record !== undefined && from < to) texts[piece]?.add(record, octets, from, to, group);
      }
    }
  }

  /** Of rows with one record, e.g. revisions of an application, the last one counts. To be called once, as `packed` is. */
  records(): ReadRecord[] {
    const names = [...this.#facets.keys()];
    return [...unpacked(this.packed())].map(({ key, texts }) => {
      const facets = names.map((name, at) => [name, texts[at]] as const);
      const there = facets.filter((pair): pair is [string, string] => pair[1] !== undefined);
      return { key, facets: Object.fromEntries(there) };
    });
  }

  /** The same, with the facets in the order in which they were given; once, since what was cut is given back. */
  packed(): PackedRecords {
    const last = new Map(this.#keys.map((key, record) => [key, record]));
    const facets = [...this.#facets.values()];
    const lengths = new Int32Array(last.size * facets.length);
    const out = new Octets(this.#length + BRACES * lengths.length);
    let at = 0;
    for (const record of last.values()) {
      for (const texts of facets) {
        const from = out.length;
        texts?.writeTo(out, record);
        lengths[at] = out.length - from;
        at += 1;
      }
    }
    for (const bytes of this.#given) giveBack(bytes);
    return { keys: [...last.keys()], octets: out.bytes, lengths };
  }
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

/** Most values are texts and numbers, and most lists are of texts. */
function plain(value: unknown): unknown {
  return typeof value === "object" ? withoutAnnotations(value) : value;
}
