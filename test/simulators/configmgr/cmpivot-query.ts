import { badQuery } from "./odata-refusal.ts";

/** The part of the query language that this site carries out (reference: "CMPivot overview"). */
export interface PivotQuery {
  readonly entity: string;
  readonly argument: string | undefined;
  readonly stages: readonly Stage[];
}

export type PivotRow = Readonly<Record<string, unknown>>;

export type Stage =
  | { readonly kind: "where"; readonly test: (row: PivotRow) => boolean }
  | { readonly kind: "project"; readonly columns: readonly string[] }
  | { readonly kind: "distinct"; readonly columns: readonly string[] }
  | { readonly kind: "summarize"; readonly as: string; readonly by: readonly string[] }
  | { readonly kind: "take"; readonly count: number }
  | {
      readonly kind: "order";
      readonly by: string;
      readonly isDescending: boolean;
      readonly most: number;
    }
  | { readonly kind: "count" };

const MAX_LENGTH = 65_536;

/** Throws Refusal with status 400, as the service answers a query it cannot read. */
export function parsePivot(source: unknown): PivotQuery {
  if (typeof source !== "string" || source.length > MAX_LENGTH || source.trim() === "")
    throw badQuery("InputQuery is not a CMPivot query.");
  const text = source.replace(/\/\/[^\n]*/g, "");
  const [head = "", ...rest] = splitOutside(text, "|");
  const match = /^\s*([A-Za-z]\w*)\s*(?:\(\s*(?:'([^']*)'|"([^"]*)")?[^)]*\))?\s*$/.exec(head);
  if (match?.[1] === undefined) throw badQuery(`Unknown entity '${head.trim()}'.`);
  return {
    entity: match[1],
    argument: match[2] ?? match[3],
    stages: rest.map((stage) => parseStage(stage.trim())),
  };
}

function parseStage(text: string): Stage {
  const [, verb = "", rest = ""] = /^(order by|sort by|\w+)\b\s*(.*)$/is.exec(text) ?? [];
  switch (verb.toLowerCase()) {
    case "where":
      return { kind: "where", test: new ConditionParser(rest).whole() };
    case "project":
      return { kind: "project", columns: names(rest) };
    case "distinct":
      return { kind: "distinct", columns: names(rest) };
    case "count":
      return { kind: "count" };
    case "take":
      return parseTake(rest);
    case "top":
      return parseTop(rest);
    case "order by":
    case "sort by":
      return parseOrder(rest);
    case "summarize":
      return parseSummarize(rest);
    default:
      throw badQuery(`Unknown table operator '${verb}'.`);
  }
}

/** `top 10 by Name`, with `desc` by default; without `by` the same as `take`. */
function parseTop(text: string): Stage {
  const [, count, by] = /^(\d+)(?:\s+by\s+(.+))?$/is.exec(text.trim()) ?? [];
  if (count === undefined || by === undefined) return parseTake(text);
  return { kind: "order", ...orderBy(by), most: Number(count) };
}

function parseTake(text: string): Stage {
  if (!/^\d{1,6}$/.test(text.trim())) throw badQuery(`'${text}' is not a number of rows.`);
  return { kind: "take", count: Number(text) };
}

function parseOrder(text: string): Stage {
  return { kind: "order", ...orderBy(text), most: Infinity };
}

function orderBy(text: string) {
  const [, by, direction = "desc"] = /^(\w+)(?:\s+(asc|desc))?\s*$/i.exec(text) ?? [];
  if (by === undefined) throw badQuery(`Cannot order by '${text}'.`);
  return { by, isDescending: direction.toLowerCase() === "desc" };
}

function parseSummarize(text: string): Stage {
  const match = /^(?:(\w+)\s*=\s*)?count\(\s*\)(?:\s+by\s+([\w\s,]+))?$/i.exec(text.trim());
  if (match === null) throw badQuery(`This site summarizes by count() only, not '${text}'.`);
  return { kind: "summarize", as: match[1] ?? "count_", by: match[2] ? names(match[2]) : [] };
}

function names(text: string): string[] {
  const found = text.split(",").map((name) => name.trim());
  const wrong = found.find((name) => !/^\w+$/.test(name));
  if (wrong !== undefined) throw badQuery(`'${wrong}' is not a column.`);
  return found;
}

/** By a character, but not within quotes or parentheses. */
function splitOutside(text: string, mark: string): string[] {
  const pieces = text.match(/'[^']*'|"[^"]*"|[^'"]/g) ?? [];
  if (pieces.join("") !== text) throw badQuery("The query has an open quote.");
  const parts = [""];
  let depth = 0;
  for (const piece of pieces) {
    if (piece === "(") depth += 1;
    if (piece === ")") depth -= 1;
    if (piece === mark && depth === 0) parts.push("");
    else parts.push(`${parts.pop()}${piece}`);
  }
  if (depth !== 0) throw badQuery("The query has an open parenthesis.");
  return parts;
}

type Test = (row: PivotRow) => boolean;
const CONDITION_TOKEN =
  /\s*(?:([()])|(==|!=|<=|>=|<|>|=~)|'([^']*)'|"([^"]*)"|(-?\d+(?:\.\d+)?)|(!?\w+))/y;

/** `(Name like 'a%' and Size > 10) or Device == 'b'`. */
class ConditionParser {
  readonly #tokens: {
    readonly text: string;
    readonly isValue: boolean;
    readonly isNumber: boolean;
  }[] = [];
  #at = 0;

  constructor(source: string) {
    CONDITION_TOKEN.lastIndex = 0;
    const end = source.trimEnd().length;
    while (CONDITION_TOKEN.lastIndex < end) {
      const match = CONDITION_TOKEN.exec(source);
      if (match === null) throw badQuery(`The condition '${source}' cannot be read.`);
      const [, mark, operator, single, double, number, word] = match;
      const value = single ?? double ?? number;
      this.#tokens.push({
        text: mark ?? operator ?? value ?? word ?? "",
        isValue: value !== undefined,
        isNumber: number !== undefined,
      });
    }
  }

  whole(): Test {
    const test = this.#either();
    if (this.#at < this.#tokens.length) throw badQuery("The condition goes on behind its end.");
    return test;
  }

  #either(): Test {
    let left = this.#both();
    while (this.#take("or")) {
      const [a, b] = [left, this.#both()];
      left = (row) => a(row) || b(row);
    }
    return left;
  }

  #both(): Test {
    let left = this.#term();
    while (this.#take("and")) {
      const [a, b] = [left, this.#term()];
      left = (row) => a(row) && b(row);
    }
    return left;
  }

  #term(): Test {
    if (this.#take("(")) {
      const inner = this.#either();
      if (!this.#take(")")) throw badQuery("A parenthesis is not closed.");
      return inner;
    }
    const column = this.#next();
    const operator = this.#next().text.toLowerCase();
    const value = this.#next();
    if (column.isValue || !value.isValue) throw badQuery("A condition is column, operator, value.");
    const wanted = value.isNumber ? Number(value.text) : value.text.toLowerCase();
    const compare = comparison(operator);
    return (row) => compare(lower(valueIn(row, column.text)), wanted);
  }

  #take(text: string): boolean {
    const token = this.#tokens[this.#at];
    if (token === undefined || token.isValue || token.text.toLowerCase() !== text) return false;
    this.#at += 1;
    return true;
  }

  #next() {
    const token = this.#tokens[this.#at];
    if (token === undefined) throw badQuery("The condition ends too early.");
    this.#at += 1;
    return token;
  }
}

/** Column names are found without case. */
export function valueIn(row: PivotRow, name: string): unknown {
  if (Object.hasOwn(row, name)) return row[name];
  const found = Object.keys(row).find((key) => key.toLowerCase() === name.toLowerCase());
  return found === undefined ? null : row[found];
}

function lower(value: unknown): unknown {
  return typeof value === "string" ? value.toLowerCase() : value;
}

function comparison(operator: string): (a: unknown, b: string | number) => boolean {
  const isNegated = operator.startsWith("!") && operator !== "!=";
  const compare = COMPARISONS[isNegated ? operator.slice(1) : operator];
  if (compare === undefined) throw badQuery(`Unknown operator '${operator}'.`);
  return isNegated ? (a, b) => !compare(a, b) : compare;
}

const COMPARISONS: Readonly<Record<string, (a: unknown, b: string | number) => boolean>> = {
  "==": (a, b) => a === b || String(a) === String(b),
  "=~": (a, b) => String(a) === String(b),
  "!=": (a, b) => a !== b && String(a) !== String(b),
  "<": (a, b) => (a as number) < (b as number),
  "<=": (a, b) => (a as number) <= (b as number),
  ">": (a, b) => (a as number) > (b as number),
  ">=": (a, b) => (a as number) >= (b as number),
  contains: (a, b) => String(a).includes(String(b)),
  startswith: (a, b) => String(a).startsWith(String(b)),
  endswith: (a, b) => String(a).endsWith(String(b)),
  like: (a, b) => likeTest(String(b))(String(a)),
};

function likeTest(pattern: string): (text: string) => boolean {
  const parts = pattern.split("%").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const expression = new RegExp(`^${parts.join(".*")}$`, "is");
  return (text) => expression.test(text);
}
