import type { Column, EdmType, EntityClass, KeyRange } from "./entity-class.ts";
import { EVERYTHING } from "./entity-class.ts";
import { badQuery } from "./odata-refusal.ts";
import { columnValue } from "./row-text.ts";
import type { Capabilities } from "./site-options.ts";

/** A compiled `$filter`: what passes, and which keys can pass at all. */
export interface Filter<Row> {
  readonly passes: (row: Row) => boolean;
  readonly ranges: readonly KeyRange[];
}

type Literal = string | number | boolean | null | { readonly date: number };
type Token =
  | { readonly kind: "name" | "literal"; readonly text: string; readonly value?: Literal }
  | { readonly kind: "(" | ")" | "," };

const MAX_LENGTH = 16_384;
const TOKEN =
  /\s*(?:([(),])|'((?:[^']|'')*)'|(\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d))|(-?\d+)(?![\w.])|([A-Za-z_][\w/]*))/y;
const OPERATORS = ["eq", "gt", "le", "ge", "lt", "ne"];

/** `$filter` for a class. Throws Refusal with status 400. */
export function compileFilter<Row>(
  source: string,
  of: EntityClass<Row>,
  capabilities: Capabilities,
): Filter<Row> {
  if (source.length > MAX_LENGTH) throw badQuery("The filter is too long.");
  const parser = new FilterParser(tokensOf(source), of, capabilities);
  return parser.whole();
}

function tokensOf(source: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  const end = source.trimEnd().length;
  while (TOKEN.lastIndex < end) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(source);
    if (match === null) throw badQuery(`Syntax error at position ${at} in '${source}'.`);
    tokens.push(tokenOf(match));
  }
  return tokens;
}

function tokenOf([whole, mark, words, date, number, name]: RegExpExecArray): Token {
  if (mark !== undefined) return { kind: mark as "(" | ")" | "," };
  if (words !== undefined) return literal(whole, words.replaceAll("''", "'"));
  if (date !== undefined) return literal(whole, { date: Date.parse(date) });
  if (number !== undefined) return literal(whole, Number(number));
  if (name === "true" || name === "false") return literal(name, name === "true");
  if (name === "null") return literal(name, null);
  return { kind: "name", text: name ?? "" };
}

function literal(text: string, value: Literal): Token {
  return { kind: "literal", text: text.trim(), value };
}

class FilterParser<Row> {
  readonly #tokens: readonly Token[];
  readonly #of: EntityClass<Row>;
  readonly #capabilities: Capabilities;
  #at = 0;

  constructor(tokens: readonly Token[], of: EntityClass<Row>, capabilities: Capabilities) {
    this.#tokens = tokens;
    this.#of = of;
    this.#capabilities = capabilities;
  }

  whole(): Filter<Row> {
    const filter = this.#either();
    if (this.#at < this.#tokens.length) throw badQuery(`Syntax error at token ${this.#at}.`);
    return filter;
  }

  #either(): Filter<Row> {
    let left = this.#both();
    while (this.#takeName("or")) {
      const [a, b] = [left, this.#both()];
      left = {
        passes: (row) => a.passes(row) || b.passes(row),
        ranges: united(a.ranges, b.ranges),
      };
    }
    return left;
  }

  #both(): Filter<Row> {
    let left = this.#term();
    while (this.#takeName("and")) {
      const [a, b] = [left, this.#term()];
      left = {
        passes: (row) => a.passes(row) && b.passes(row),
        ranges: common(a.ranges, b.ranges),
      };
    }
    return left;
  }

  #term(): Filter<Row> {
    if (this.#take("(")) {
      const inner = this.#either();
      this.#expect(")");
      return inner;
    }
    const name = this.#name();
    return this.#take("(") ? this.#call(name) : this.#comparison(name);
  }

  /** `startswith(Name,'x')`, and with `eq true` behind it as the documentation writes it. */
  #call(name: string): Filter<Row> {
    const isKnown =
      name === "startswith" ||
      name === "endswith" ||
      (name === "contains" && this.#capabilities.contains === true);
    if (!isKnown) throw badQuery(`An unknown function with name '${name}' was found.`);
    const column = this.#column(this.#name());
    this.#expect(",");
    const part = this.#literal();
    this.#expect(")");
    if (typeof part !== "string" || column.type !== "Edm.String")
      throw badQuery(`No function signature for the function '${name}' matches the arguments.`);
    const wanted = part.toLowerCase();
    const test = textTest(name, wanted);
    const isWanted = !this.#takeName("eq") || this.#literal() === true;
    const of = this.#of;
    return {
      passes: (row) => test(String(columnValue(of, column, row) ?? "").toLowerCase()) === isWanted,
      ranges: EVERYTHING,
    };
  }

  #comparison(name: string): Filter<Row> {
    const column = this.#column(name);
    const operator = this.#name();
    const isKnown =
      OPERATORS.includes(operator) && (operator !== "ne" || this.#capabilities.ne === true);
    if (!isKnown) throw badQuery(`Syntax error: '${operator}' is not a supported operator.`);
    const value = comparable(this.#literal(), column);
    const test = TESTS[operator] ?? (() => false);
    const of = this.#of;
    return {
      passes: (row) => test(normal(columnValue(of, column, row)), value),
      ranges:
        name === of.keys[0] && typeof value === "number" ? rangesOf(operator, value) : EVERYTHING,
    };
  }

  #column(name: string): Column<Row> {
    const column = this.#of.columns.find((each) => each.name === name);
    if (column !== undefined && column.isLazy !== true) return column;
    throw badQuery(
      `Could not find a property named '${name}' on type 'AdminService.${this.#of.name}'.`,
    );
  }

  #take(kind: "(" | ")" | ","): boolean {
    if (this.#tokens[this.#at]?.kind !== kind) return false;
    this.#at += 1;
    return true;
  }

  #expect(kind: "(" | ")" | ","): void {
    if (!this.#take(kind)) throw badQuery(`'${kind}' expected at token ${this.#at}.`);
  }

  #takeName(text: string): boolean {
    const token = this.#tokens[this.#at];
    if (token?.kind !== "name" || token.text !== text) return false;
    this.#at += 1;
    return true;
  }

  #name(): string {
    const token = this.#tokens[this.#at];
    if (token?.kind !== "name") throw badQuery(`Expression expected at token ${this.#at}.`);
    this.#at += 1;
    return token.text;
  }

  #literal(): Literal {
    const token = this.#tokens[this.#at];
    if (token?.kind !== "literal") throw badQuery(`Literal expected at token ${this.#at}.`);
    this.#at += 1;
    return token.value ?? null;
  }
}

function textTest(name: string, wanted: string): (value: string) => boolean {
  if (name === "contains") return (value) => value.includes(wanted);
  return name === "startswith"
    ? (value) => value.startsWith(wanted)
    : (value) => value.endsWith(wanted);
}

const TESTS: Readonly<Record<string, (a: unknown, b: unknown) => boolean>> = {
  eq: (a, b) => a === b,
  ne: (a, b) => a !== b,
  gt: (a, b) => isOrdered(a, b) && (a as number) > (b as number),
  ge: (a, b) => isOrdered(a, b) && (a as number) >= (b as number),
  lt: (a, b) => isOrdered(a, b) && (a as number) < (b as number),
  le: (a, b) => isOrdered(a, b) && (a as number) <= (b as number),
};

function isOrdered(a: unknown, b: unknown): boolean {
  return a !== null && typeof a === typeof b;
}

/** The database compares without case. */
function normal(value: unknown): unknown {
  return typeof value === "string" ? value.toLowerCase() : (value ?? null);
}

/** A literal as the column's values are, or a refusal: types are not converted. */
function comparable(value: Literal, { name, type }: { name: string; type: EdmType }): unknown {
  if (value === null) return null;
  const date = typeof value === "object" ? value.date : undefined;
  const fits =
    type === "Edm.DateTimeOffset"
      ? date !== undefined
      : type === "Edm.String"
        ? typeof value === "string"
        : type === "Edm.Boolean"
          ? typeof value === "boolean"
          : typeof value === "number" && (type === "Edm.Int32" || type === "Edm.Int64");
  if (!fits)
    throw badQuery(
      `A binary operator with incompatible types was detected: '${name}' is '${type}'.`,
    );
  return date ?? normal(value);
}

function rangesOf(operator: string, value: number): readonly KeyRange[] {
  switch (operator) {
    case "eq":
      return [{ min: value, max: value }];
    case "gt":
      return [{ min: value + 1, max: Infinity }];
    case "ge":
      return [{ min: value, max: Infinity }];
    case "lt":
      return [{ min: -Infinity, max: value - 1 }];
    case "le":
      return [{ min: -Infinity, max: value }];
    default:
      return EVERYTHING;
  }
}

function common(a: readonly KeyRange[], b: readonly KeyRange[]): readonly KeyRange[] {
  return a
    .flatMap((left) =>
      b.map((right) => ({
        min: Math.max(left.min, right.min),
        max: Math.min(left.max, right.max),
      })),
    )
    .filter(({ min, max }) => min <= max);
}

/** In order and without overlap, so that no row comes twice. */
function united(a: readonly KeyRange[], b: readonly KeyRange[]): readonly KeyRange[] {
  const ordered = [...a, ...b].sort((left, right) => left.min - right.min);
  const merged: KeyRange[] = [];
  for (const range of ordered) {
    const last = merged.at(-1);
    if (last !== undefined && range.min <= last.max)
      merged[merged.length - 1] = { min: last.min, max: Math.max(last.max, range.max) };
    else merged.push(range);
  }
  return merged;
}
