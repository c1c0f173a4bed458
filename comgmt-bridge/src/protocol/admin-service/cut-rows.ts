import { isAnnotation } from "./answer.ts";
import { LIST, LIST_END, MAX_HEAD } from "./page-rows.ts";

/**
 * Rows of a list cut out of its text instead of parsed: what is wanted of a row stands in the text in the very form that JSON.stringify would
 * give it, if it is so plain that a pattern recognises it. Anything else is for JSON.parse. Costs a third of parsing and writing anew.
 */

/** What is wanted of each row. */
export interface CutLayout {
  readonly keyName: string;
  /** Columns that belong together, in the order in which they are wanted; undefined for all there are but `without`. */
  readonly pieces: readonly (readonly string[] | undefined)[];
  readonly without: ReadonlySet<string>;
}

export interface CutRows {
  /** The key of each row, as it came. */
  readonly keys: readonly number[];
  /** Row by row and piece by piece: members of an object, `"Name":"A","Build":7`; columns that are null are left out. */
  readonly pieces: readonly string[];
  /** `GroupID` of each row, 0 where it has none. */
  readonly groups: readonly number[];
}

/** Own limit, far above the columns of any class: a pattern of more is not made. */
const MAX_COLUMNS = 500;
const GROUP = "GroupID";

/** A text as JSON.stringify writes it. */
const TEXT = String.raw`"[^"\\\x00-\x1f]*(?:\\["\\bfnrt][^"\\\x00-\x1f]*)*"`;
/** Numbers that JavaScript writes as they stand: whole ones of 15 digits, and others of 14. */
const NUMBER = String.raw`(?:0|-?[1-9]\d{0,14}(?![\d.eE])|(?:0|-?[1-9]\d{0,8})\.\d{0,4}[1-9])(?![\d.eE])`;
const LIST_OF_TEXTS = String.raw`\[(?:${TEXT}(?:,${TEXT})*)?\]`;
const VALUE = `(?:${TEXT}|${NUMBER}|null|true|false|${LIST_OF_TEXTS})`;
const KEY = String.raw`(0|[1-9]\d{0,14})`;
const GROUP_VALUE = String.raw`(0|[1-9]\d{0,8}|null)`;
const NAME = /"([^"\\]{1,200})":/y;
const ONE_VALUE = new RegExp(VALUE, "y");
/** Names of columns that may be cut out, so that a null can be told from the end of a text. */
const PLAIN_NAME = /^[A-Za-z]\w*$/;
const NULL_MEMBER = /"[A-Za-z]\w*":null,?/g;

/** The rows of one table, page after page: they all have the same columns in the same order, which is learnt from the first. */
export class RowCutter {
  readonly #layout: CutLayout;
  #pattern: RowPattern | undefined;

  constructor(layout: CutLayout) {
    this.#layout = layout;
  }

  /** Undefined where the text is no list that ends here, or a row is not as plain as the pattern, or longer than patterns go. */
  cut(text: string): CutRows | undefined {
    try {
      return this.#cut(text);
    } catch (error) {
      // A text of millions of escapes, or a list of as many texts, is more than a pattern can look back on.
      if (error instanceof RangeError) return undefined;
      throw error;
    }
  }

  #cut(text: string): CutRows | undefined {
    const head = text.slice(0, MAX_HEAD).indexOf(LIST);
    const from = head + LIST.length;
    if (head < 0 || !text.endsWith(LIST_END) || !isHead(text.slice(0, from))) return undefined;
    const end = text.length - LIST_END.length;
    if (from === end) return { keys: [], pieces: [], groups: [] };
    // The columns are those of the time before, or somebody looks again, once.
    const found = this.#pattern && cutWith(this.#pattern, text, from, end);
    if (found !== undefined) return found;
    const names = namesOf(text, from);
    if (names === undefined || this.#pattern?.isOf(names) === true) return undefined;
    this.#pattern = RowPattern.make(names, this.#layout);
    return this.#pattern && cutWith(this.#pattern, text, from, end);
  }
}

/** Whether nothing but annotations stands in front of the rows, and none that says that the list goes on elsewhere. */
function isHead(head: string): boolean {
  try {
    const whole: unknown = JSON.parse(`${head}${LIST_END}`);
    const { value, "@odata.nextLink": next } = (whole ?? {}) as Readonly<Record<string, unknown>>;
    return Array.isArray(value) && value.length === 0 && typeof next !== "string";
  } catch {
    return false;
  }
}

function cutWith(
  pattern: RowPattern,
  text: string,
  from: number,
  end: number,
): CutRows | undefined {
  const rows = { keys: [] as number[], pieces: [] as string[], groups: [] as number[] };
  for (let at = from; ; at += 1) {
    at = pattern.take(text, at, rows);
    if (at === end) return rows;
    if (at < 0 || text.charCodeAt(at) !== COMMA) return undefined;
  }
}

const COMMA = 0x2c;

/** The names in the row that begins at `at`; undefined where it is no plain row. */
function namesOf(text: string, at: number): string[] | undefined {
  if (text[at] !== "{") return undefined;
  const names: string[] = [];
  for (let next = at + 1; names.length < MAX_COLUMNS; next += 1) {
    NAME.lastIndex = next;
    const name = NAME.exec(text)?.[1];
    if (name === undefined) return undefined;
    names.push(name);
    ONE_VALUE.lastIndex = NAME.lastIndex;
    if (!ONE_VALUE.test(text)) return undefined;
    next = ONE_VALUE.lastIndex;
    if (text[next] === "}") return names;
    if (text[next] !== ",") return undefined;
  }
  return undefined;
}

interface Rows {
  readonly keys: number[];
  readonly pieces: string[];
  readonly groups: number[];
}

/** Where in a match the parts of a row are. */
interface Places {
  readonly key: number;
  readonly group: number | undefined;
  /** Of each piece the captures that it consists of: one, if the site gives its columns side by side and in the wanted order. */
  readonly pieces: readonly (readonly number[])[];
}

class RowPattern {
  readonly #names: readonly string[];
  readonly #row: RegExp;
  readonly #places: Places;

  private constructor(names: readonly string[], row: RegExp, places: Places) {
    this.#names = names;
    this.#row = row;
    this.#places = places;
  }

  /** Undefined where rows of these columns cannot be cut. */
  static make(
    names: readonly string[],
    { keyName, pieces, without }: CutLayout,
  ): RowPattern | undefined {
    if (new Set(names).size !== names.length || !names.includes(keyName)) return undefined;
    const all = names.filter((name) => !without.has(name) && !isAnnotation(name));
    const wanted = pieces.map((piece) => piece?.filter((name) => names.includes(name)) ?? all);
    if (wanted.flat().some((name) => !PLAIN_NAME.test(name) || name === keyName)) return undefined;
    const runs = wanted.map((piece) => runsOf(piece, names));
    const starts = new Set(runs.flat().map(({ first }) => first));
    const ends = new Set(runs.flat().map(({ last }) => last));
    // A column in two pieces would need captures that overlap.
    if (new Set(wanted.flat()).size !== wanted.flat().length) return undefined;
    let captures = 0;
    let [key, group] = [0, undefined as number | undefined];
    const captureAt = new Map<number, number>();
    const members = names.map((name, at) => {
      if (starts.has(at)) captureAt.set(at, ++captures);
      if (name === keyName) key = ++captures;
      else if (name === GROUP) group = ++captures;
      const value = name === keyName ? KEY : name === GROUP ? GROUP_VALUE : VALUE;
      const member = `${escaped(JSON.stringify(name))}:${value}`;
      return `${starts.has(at) ? "(" : ""}${member}${ends.has(at) ? ")" : ""}`;
    });
    const places = {
      ...{ key, group },
      pieces: runs.map((piece) => piece.map(({ first }) => captureAt.get(first) ?? 0)),
    };
    return new RowPattern(names, new RegExp(String.raw`\{${members.join(",")}\}`, "y"), places);
  }

  isOf(names: readonly string[]): boolean {
    return (
      names.length === this.#names.length && names.every((name, at) => name === this.#names[at])
    );
  }

  /** Takes the row that begins at `at`; returns where it ends, -1 where it is not as plain. */
  take(text: string, at: number, rows: Rows): number {
    this.#row.lastIndex = at;
    const match = this.#row.exec(text);
    if (match === null) return -1;
    const { key, group, pieces } = this.#places;
    rows.keys.push(Number(match[key]));
    rows.groups.push(group === undefined ? 0 : Number(match[group]) || 0);
    for (const piece of pieces) {
      const [first, ...more] = piece;
      const members = first === undefined ? "" : withoutNulls(match[first] ?? "");
      rows.pieces.push(more.length === 0 ? members : joined(members, more, match));
    }
    return this.#row.lastIndex;
  }
}

function joined(first: string, more: readonly number[], match: RegExpExecArray): string {
  const others = more.map((capture) => withoutNulls(match[capture] ?? ""));
  return [first, ...others].filter((members) => members !== "").join(",");
}

/** No quotation mark within a text stands behind a letter: there is a backslash between them. */
function withoutNulls(members: string): string {
  if (!members.includes('":null')) return members;
  const kept = members.replace(NULL_MEMBER, "");
  return kept.endsWith(",") ? kept.slice(0, -1) : kept;
}

interface Run {
  readonly first: number;
  readonly last: number;
}

/** Columns of a piece that stand side by side in a row, and in the same order. */
function runsOf(piece: readonly string[], names: readonly string[]): Run[] {
  const runs: Run[] = [];
  for (const name of piece) {
    const at = names.indexOf(name);
    const before = runs.at(-1);
    if (before !== undefined && before.last === at - 1)
      runs[runs.length - 1] = { ...before, last: at };
    else runs.push({ first: at, last: at });
  }
  return runs;
}

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`);
}
