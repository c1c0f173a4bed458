import { TIMESPAN_UNITS } from "./language.ts";
import { datetimeText, numberText, readString } from "./literals.ts";
import { type Position, QueryError } from "./query-error.ts";

/** A word, sign or literal of a query, and where it begins. */
export type Token =
  | { readonly kind: "name" | "sign" | "end"; readonly text: string; readonly at: Position }
  | {
      readonly kind: "string";
      readonly text: string;
      readonly value: string;
      readonly at: Position;
    }
  | { readonly kind: "number" | "datetime"; readonly text: string; readonly at: Position }
  | {
      readonly kind: "timespan";
      readonly text: string;
      readonly milliseconds: number;
      readonly at: Position;
    };

const SPACE = /(?:[ \t\r\n]+|\/\/[^\r\n]*)+/y;
const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;
const NUMBER = /(?:0[xX][0-9A-Fa-f]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/y;
const WORD_AFTER_NUMBER = /[A-Za-z0-9_.]+/y;
const DATETIME = /datetime\(([^()\r\n]*)\)/y;
const DATETIME_START = /datetime\(/y;
/** Signs of Kusto that CMPivot lacks are signs, too, so that they can be named when they are refused. */
const SIGN = /![A-Za-z_]+~?|==|!=|<=|>=|=~|!~|<>|\.\.|[|(),=<>+\-*/%;.[\]{}$?:#@!&^~]/y;
const QUOTE = /@?['"]/y;
const OTHER_STRING = /(?:[hH]@?['"]|`)/y;
const LOOK_ALIKES: ReadonlyMap<string, string> = new Map([
  ["\u2018", "a typographic quotation mark; write '"],
  ["\u2019", "a typographic quotation mark; write '"],
  ["\u201c", 'a typographic quotation mark; write "'],
  ["\u201d", 'a typographic quotation mark; write "'],
  ["\u00a0", "a space that does not break; write an ordinary one"],
  ["\u2013", "a dash; write -"],
  ["\ufeff", "a byte order mark; leave it out"],
]);

/**
 * The tokens of a text, `end` last. Comments run from `//` to the end of their line and are dropped.
 *
 * @throws QueryError `query-character-refused`, `query-literal-malformed`, `query-outside-language`.
 */
export function tokensOf(text: string): readonly Token[] {
  const tokens: Token[] = [];
  const positions = new Positions(text);
  let offset = skip(text, 0);
  while (offset < text.length) {
    const { token, end } = tokenAt(text, offset, positions.at(offset));
    tokens.push(token);
    offset = skip(text, end);
  }
  tokens.push({ kind: "end", text: "", at: positions.at(text.length) });
  return tokens;
}

interface Read {
  readonly token: Token;
  readonly end: number;
}

function tokenAt(text: string, offset: number, at: Position): Read {
  if (match(OTHER_STRING, text, offset) !== undefined) {
    const form = text[offset] === "`" ? "text in backquotes" : "hidden text (h'...')";
    throw new QueryError("query-outside-language", at, `CMPivot has no ${form}; write '...'`);
  }
  if (match(QUOTE, text, offset) !== undefined) {
    const { value, end } = readString(text, offset, at);
    return { token: { kind: "string", text: text.slice(offset, end), value, at }, end };
  }
  if (match(DATETIME_START, text, offset) !== undefined) return datetimeAt(text, offset, at);
  const name = match(NAME, text, offset);
  if (name !== undefined)
    return { token: { kind: "name", text: name, at }, end: offset + name.length };
  const number = match(NUMBER, text, offset);
  if (number !== undefined) return numberAt(text, offset, number, at);
  const sign = match(SIGN, text, offset);
  if (sign !== undefined)
    return { token: { kind: "sign", text: sign, at }, end: offset + sign.length };
  throw refusedCharacter(text, offset, at);
}

function datetimeAt(text: string, offset: number, at: Position): Read {
  DATETIME.lastIndex = offset;
  const [whole, inner] = DATETIME.exec(text) ?? [];
  if (whole === undefined || inner === undefined) {
    throw new QueryError("query-literal-malformed", at, "datetime( is not closed by )");
  }
  return {
    token: { kind: "datetime", text: datetimeText(inner.trim(), at), at },
    end: offset + whole.length,
  };
}

function numberAt(text: string, offset: number, number: string, at: Position): Read {
  const end = offset + number.length;
  const unit = match(WORD_AFTER_NUMBER, text, end);
  if (unit === undefined)
    return { token: { kind: "number", text: numberText(number, at), at }, end };
  const unitMs = TIMESPAN_UNITS.get(unit);
  if (unitMs === undefined || !/^\d+(\.\d+)?$/.test(number)) {
    const units = [...TIMESPAN_UNITS.keys()].join(", ");
    throw new QueryError(
      "query-literal-malformed",
      at,
      `${number}${unit.slice(0, 20)} is neither a number nor a timespan; a timespan is a number and one of ${units}, as in 24h`,
    );
  }
  // Leading zeros say nothing, so the canonical text has none.
  const amount = numberText(number, at);
  const milliseconds = Number(amount) * unitMs;
  return {
    token: { kind: "timespan", text: `${amount}${unit}`, milliseconds, at },
    end: end + unit.length,
  };
}

function refusedCharacter(text: string, offset: number, at: Position): QueryError {
  const code = text.codePointAt(offset) ?? 0;
  const hint = LOOK_ALIKES.get(String.fromCodePoint(code));
  const name = `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
  const said = hint ?? "which has no place outside of quoted text";
  return new QueryError("query-character-refused", at, `the character ${name} is here, ${said}`);
}

function skip(text: string, offset: number): number {
  return offset + (match(SPACE, text, offset)?.length ?? 0);
}

function match(pattern: RegExp, text: string, offset: number): string | undefined {
  pattern.lastIndex = offset;
  return pattern.exec(text)?.[0];
}

/** Line and column of offsets that only grow, so that finding them all is one walk over the text. */
class Positions {
  readonly #text: string;
  #offset = 0;
  #line = 1;
  #lineStart = 0;

  constructor(text: string) {
    this.#text = text;
  }

  at(offset: number): Position {
    for (; this.#offset < offset; this.#offset++) {
      if (this.#text[this.#offset] === "\n") {
        this.#line++;
        this.#lineStart = this.#offset + 1;
      }
    }
    return { line: this.#line, column: offset - this.#lineStart + 1 };
  }
}
