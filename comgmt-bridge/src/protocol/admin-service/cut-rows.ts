import { isUtf8 } from "node:buffer";
import { giveBack } from "@isthmus/shared/give-back";
import { isAnnotation } from "./answer.ts";
import { LIST, LIST_END, MAX_HEAD } from "./page-rows.ts";
import { groupEnd, isNull, keyEnd, textEnd, valueEnd, wholeNumber } from "./plain-json.ts";

/**
 * Rows of a list cut out of its octets instead of parsed: what is wanted of a row stands there in the very form that JSON.stringify would give it,
 * if it is plain. Anything else is for JSON.parse.
 */

/** What is wanted of each row. */
export interface CutLayout {
  readonly keyName: string;
  /** Columns that belong together, in the order in which they are wanted; undefined for all there are but `without`. */
  readonly pieces: readonly (readonly string[] | undefined)[];
  readonly without: ReadonlySet<string>;
  /**
   * What is made of the columns of a piece: members of an object, `"Name":"A","Build":7`, a whole object, or the text of its one column, nothing
   * where that is no text. Columns that are null are left out.
   */
  readonly form: "members" | "object" | "text";
}

export interface CutRows {
  /** The key of each row, as it came. */
  readonly keys: readonly number[];
  /** `GroupID` of each row, 0 where it has none. */
  readonly groups: readonly number[];
  /** UTF-8 of the pieces, with a comma between each and the next, and anything behind them. */
  readonly octets: Uint8Array;
  /** Where each piece begins and ends, row by row. */
  readonly places: readonly number[];
}

const COMMA = 0x2c;
const COLON = 0x3a;
const QUOTE = 0x22;
const BRACE = 0x7b;
const BRACE_END = 0x7d;
/** Own limit, far above the columns of any class. */
const MAX_COLUMNS = 500;
/** Own limit, in octets. */
const MAX_NAME = 200;
const GROUP = "GroupID";
/** Names of columns that may be cut out: an object has them in the order in which they were put into it. */
const PLAIN_NAME = /^[A-Za-z]\w*$/;
/** Octets are copied four at a time. */
const WORD = 4;

const LIST_OCTETS = Buffer.from(LIST);
const END_OCTETS = Buffer.from(LIST_END);

/** The rows of one table, page after page: they all have the same columns in the same order, which is learnt from the first. */
export class RowCutter {
  readonly #layout: CutLayout;
  #columns: RowColumns | undefined;

  constructor(layout: CutLayout) {
    this.#layout = layout;
  }

  /** Undefined where the page is no list that ends here, or a row is not plain. */
  cut(page: Buffer): CutRows | undefined {
    try {
      return this.#cut(page);
    } catch (error) {
      // A value went on behind the end of the page.
      if (error instanceof RangeError) return undefined;
      throw error;
    }
  }

  #cut(page: Buffer): CutRows | undefined {
    const from = rowsFrom(page);
    if (from === undefined) return undefined;
    const end = page.length - END_OCTETS.length;
    if (from === end) return { keys: [], groups: [], octets: new Uint8Array(), places: [] };
    // The columns are those of the time before, or somebody looks again, once.
    const found = this.#columns && new RowCut(this.#columns, page).rows(from, end);
    if (found !== undefined) return found;
    if (page[from] !== BRACE) return undefined;
    const names = namesOf(page, from);
    if (names === undefined || this.#columns?.isOf(names) === true) return undefined;
    this.#columns = RowColumns.make(names, this.#layout);
    return this.#columns && new RowCut(this.#columns, page).rows(from, end);
  }
}

/**
 * Where the rows of a page begin: undefined where it does not end with them, or something else than annotations stands in front of them, or one
 * that says that the list goes on elsewhere.
 */
function rowsFrom(page: Buffer): number | undefined {
  const head = page.subarray(0, MAX_HEAD).indexOf(LIST_OCTETS);
  const from = head + LIST_OCTETS.length;
  const end = page.length - END_OCTETS.length;
  if (head < 0 || from > end || !page.subarray(end).equals(END_OCTETS)) return undefined;
  return isUtf8(page) && isHead(page.toString("utf8", 0, from)) ? from : undefined;
}

function isHead(head: string): boolean {
  try {
    const whole: unknown = JSON.parse(`${head}${LIST_END}`);
    const { value, "@odata.nextLink": next } = (whole ?? {}) as Readonly<Record<string, unknown>>;
    return Array.isArray(value) && value.length === 0 && typeof next !== "string";
  } catch {
    return false;
  }
}

/** The names in the row that begins at `at`; undefined where it is no plain row. */
function namesOf(page: Buffer, at: number): string[] | undefined {
  const names: string[] = [];
  const json = viewOf(page);
  for (let next = at; names.length < MAX_COLUMNS; ) {
    const end = textEnd(json, next + 1);
    const name = page.toString("utf8", next + 2, end - 1);
    if (end < 0 || end - next > MAX_NAME || name.includes("\\") || page[end] !== COLON) {
      return undefined;
    }
    names.push(name);
    next = valueEnd(json, end + 1);
    if (page[next] === BRACE_END) return names;
    if (page[next] !== COMMA) return undefined;
  }
  return undefined;
}

/** Little-endian, filled up with zeros. */
function wordsOf(octets: Buffer): number[] {
  const count = Math.ceil(octets.length / WORD);
  const filled = Buffer.concat([octets], count * WORD);
  return Array.from({ length: count }, (_, at) => filled.readInt32LE(at * WORD));
}

/** What is known of the columns of a table's rows. */
class RowColumns {
  readonly names: readonly string[];
  /** What stands in front of the values of a row, `{"A":`, `,"B":`, in words: the last of each is filled up with zeros. */
  readonly heads: Int32Array;
  /** Of each head its length, which of the words is its last, and the mask of what it has in that. */
  readonly headLengths: Int32Array;
  readonly lastWords: Int32Array;
  readonly lastMasks: Int32Array;
  readonly key: number;
  /** -1 where there is none. */
  readonly group: number;
  /** The columns of each piece. */
  readonly pieces: readonly Int32Array[];
  readonly form: CutLayout["form"];

  private constructor(names: readonly string[], pieces: readonly Int32Array[], layout: CutLayout) {
    this.names = names;
    this.pieces = pieces;
    this.form = layout.form;
    this.key = names.indexOf(layout.keyName);
    this.group = layout.keyName === GROUP ? -1 : names.indexOf(GROUP);
    const heads = names.map((name, at) => Buffer.from(`${at === 0 ? "{" : ","}"${name}":`));
    const words = heads.map(wordsOf);
    this.heads = Int32Array.from(words.flat());
    this.headLengths = Int32Array.from(heads, ({ length }) => length);
    let last = -1;
    this.lastWords = Int32Array.from(words, ({ length }) => (last += length));
    this.lastMasks = this.headLengths.map((length) => -1 >>> (8 * (-length & (WORD - 1))));
  }

  /** Undefined where rows of these columns cannot be cut. */
  static make(names: readonly string[], layout: CutLayout): RowColumns | undefined {
    const { keyName, pieces, without } = layout;
    if (new Set(names).size !== names.length || !names.includes(keyName)) return undefined;
    const all = names.filter((name) => !without.has(name) && !isAnnotation(name));
    const wanted = pieces.map((piece) => piece?.filter((name) => names.includes(name)) ?? all);
    const each = wanted.flat();
    if (each.some((name) => !PLAIN_NAME.test(name) || name === keyName)) return undefined;
    // What is cut out of a row is never longer than the row.
    if (new Set(each).size !== each.length) return undefined;
    const columns = wanted.map((piece) => Int32Array.from(piece, (name) => names.indexOf(name)));
    return new RowColumns(names, columns, layout);
  }

  isOf(names: readonly string[]): boolean {
    return names.length === this.names.length && names.every((name, at) => name === this.names[at]);
  }
}

/** One page being cut. */
class RowCut {
  readonly #columns: RowColumns;
  readonly #page: DataView;
  /** Where the values of a row begin and end. */
  readonly #starts: Int32Array;
  readonly #ends: Int32Array;
  readonly #octets: Buffer;
  readonly #out: DataView;
  #length = 0;

  constructor(columns: RowColumns, page: Buffer) {
    this.#columns = columns;
    this.#page = viewOf(page);
    this.#starts = new Int32Array(columns.names.length);
    this.#ends = new Int32Array(columns.names.length);
    this.#octets = Buffer.allocUnsafeSlow(page.length + WORD);
    this.#out = viewOf(this.#octets);
  }

  /** Undefined where one is not plain, or of other columns. */
  rows(from: number, end: number): CutRows | undefined {
    const rows = this.#rows(from, end);
    if (rows === undefined) giveBack(this.#octets);
    return rows;
  }

  #rows(from: number, end: number): CutRows | undefined {
    const { key, group } = this.#columns;
    const keys: number[] = [];
    const groups: number[] = [];
    const places: number[] = [];
    for (let at = from; ; at += 1) {
      at = this.#rowEnd(at);
      if (at < 0) return undefined;
      keys.push(this.#number(key));
      groups.push(group < 0 ? 0 : this.#number(group));
      this.#emit(places);
      if (at === end) return { keys, groups, octets: this.#octets, places };
      if (this.#page.getUint8(at) !== COMMA) return undefined;
    }
  }

  #number(column: number): number {
    return wholeNumber(this.#page, this.#starts[column] ?? 0, this.#ends[column] ?? 0);
  }

  /** Where the row that begins at `from` ends, with its values noted; -1 where it is not plain. */
  #rowEnd(from: number): number {
    const starts = this.#starts;
    const ends = this.#ends;
    const { headLengths } = this.#columns;
    const count = starts.length;
    let at = from;
    for (let column = 0; column < count; column += 1) {
      if (!this.#isHead(at, column)) return -1;
      at += headLengths[column] ?? 0;
      starts[column] = at;
      at = this.#valueEnd(at, column);
      if (at < 0) return -1;
      ends[column] = at;
    }
    return this.#page.getUint8(at) === BRACE_END ? at + 1 : -1;
  }

  /** Whether the head of a column stands there. */
  #isHead(from: number, column: number): boolean {
    const page = this.#page;
    const { heads, lastWords, lastMasks } = this.#columns;
    const last = lastWords[column] ?? 0;
    let word = column === 0 ? 0 : (lastWords[column - 1] ?? 0) + 1;
    let at = from;
    for (; word < last; word += 1, at += WORD) {
      if (page.getInt32(at, true) !== heads[word]) return false;
    }
    return ((page.getInt32(at, true) ^ (heads[last] ?? 0)) & (lastMasks[column] ?? 0)) === 0;
  }

  #valueEnd(at: number, column: number): number {
    const { key, group } = this.#columns;
    if (column === key) return keyEnd(this.#page, at);
    return column === group ? groupEnd(this.#page, at) : valueEnd(this.#page, at);
  }

  #emit(places: number[]): void {
    const { pieces, form } = this.#columns;
    for (const piece of pieces) {
      const from = this.#length;
      if (form === "object") this.#put(BRACE);
      if (form === "text") this.#putText(piece[0]);
      else this.#putMembers(piece);
      if (form === "object") this.#put(BRACE_END);
      places.push(from, this.#length);
      if (this.#length > from) this.#put(COMMA);
    }
  }

  #put(octet: number): void {
    this.#out.setUint8(this.#length, octet);
    this.#length += 1;
  }

  #putText(column: number | undefined): void {
    if (column === undefined) return;
    const from = this.#starts[column] ?? 0;
    if (this.#page.getUint8(from) === QUOTE) this.#copy(from, this.#ends[column] ?? 0);
  }

  /** Columns that stand side by side go at once. */
  #putMembers(piece: Int32Array): void {
    const page = this.#page;
    const starts = this.#starts;
    const ends = this.#ends;
    const { headLengths } = this.#columns;
    const begin = this.#length;
    const count = piece.length;
    for (let at = 0; at < count; at += 1) {
      const first = piece[at] ?? 0;
      const start = starts[first] ?? 0;
      if (isNull(page, start)) continue;
      let last = first;
      while (at + 1 < count && piece[at + 1] === last + 1 && !isNull(page, starts[last + 1] ?? 0)) {
        at += 1;
        last += 1;
      }
      if (this.#length > begin) this.#put(COMMA);
      this.#copy(start - (headLengths[first] ?? 0) + 1, ends[last] ?? 0);
    }
  }

  /** The last word may reach behind both: there is the end of the list, and room. */
  #copy(from: number, to: number): void {
    const page = this.#page;
    const out = this.#out;
    let put = this.#length;
    for (let at = from; at < to; at += WORD, put += WORD)
      out.setInt32(put, page.getInt32(at, true), true);
    this.#length += to - from;
  }
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}
