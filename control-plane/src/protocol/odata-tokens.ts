import { ProtocolError } from "@isthmus/shared/errors";

/** Our own limit on the text of one query option. */
export const MAX_EXPRESSION_CHARACTERS = 4_096;

/** A token, and where it begins: 1 is the first character. */
export type ODataToken = ODataWord & { readonly at: number };

/** A word may be an operator, a function, a property path or one of the literals true, false and null. */
type ODataWord =
  | { readonly kind: "open" | "close" | "comma" }
  | { readonly kind: "word"; readonly text: string }
  | { readonly kind: "string"; readonly text: string }
  | { readonly kind: "number"; readonly value: number }
  /** A date and time with its zone, in ms since the epoch. */
  | { readonly kind: "time"; readonly value: number };

const SPACE = /[ \t]+/y;
const PUNCTUATION = /[(),]/y;
const STRING = /'((?:[^']|'')*)'/y;
/** Years below 1000 are left out: a device was never enrolled then, and `Date.UTC` reads them as 19xx. */
const TIME = /[1-9]\d{3}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,7})?)?(?:Z|[+-]\d{2}:\d{2})/y;
const NUMBER = /-?\d{1,15}(?:\.\d{1,6})?(?![\w.-])/y;
const WORD = /[A-Za-z_][A-Za-z0-9_]{0,63}(?:\/[A-Za-z_][A-Za-z0-9_]{0,63}){0,3}/y;

const TIME_FIELDS =
  /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,7}))?)?(?:Z|([+-])(\d{2}):(\d{2}))$/;

const PUNCTUATION_KINDS = { "(": "open", ")": "close", ",": "comma" } as const;

/**
 * Cuts the text of `$filter` into tokens (OData 4.01 ABNF, the part named in `odata-filter.ts`).
 * Throws `odata-syntax` with the position of what fits nothing, `odata-too-long` beyond the limit.
 */
export function tokenize(text: string): ODataToken[] {
  if (text.length > MAX_EXPRESSION_CHARACTERS) {
    throw new ProtocolError(
      "odata-too-long",
      `Expression of ${text.length} characters exceeds ${MAX_EXPRESSION_CHARACTERS}`,
    );
  }
  const tokens: ODataToken[] = [];
  let at = 0;
  while (at < text.length) {
    const space = matchAt(SPACE, text, at);
    if (space !== undefined) {
      at += space.length;
      continue;
    }
    const { token, length } = tokenAt(text, at);
    tokens.push({ ...token, at: at + 1 });
    at += length;
  }
  return tokens;
}

function tokenAt(text: string, at: number): { token: ODataWord; length: number } {
  const punctuation = matchAt(PUNCTUATION, text, at);
  if (punctuation !== undefined) {
    return { token: { kind: PUNCTUATION_KINDS[punctuation as "(" | ")" | ","] }, length: 1 };
  }
  const string = matchAt(STRING, text, at);
  if (string !== undefined) {
    const inner = string.slice(1, -1).replaceAll("''", "'");
    return { token: { kind: "string", text: inner }, length: string.length };
  }
  return literalOrWordAt(text, at);
}

function literalOrWordAt(text: string, at: number): { token: ODataWord; length: number } {
  const time = matchAt(TIME, text, at);
  if (time !== undefined) {
    return { token: { kind: "time", value: timeOf(time, at) }, length: time.length };
  }
  const number = matchAt(NUMBER, text, at);
  if (number !== undefined) {
    return { token: { kind: "number", value: Number(number) }, length: number.length };
  }
  const word = matchAt(WORD, text, at);
  if (word !== undefined) return { token: { kind: "word", text: word }, length: word.length };
  if (text[at] === "'") {
    throw new ProtocolError(
      "odata-syntax",
      `The string that begins at character ${at + 1} has no end: its closing single quotation mark is missing; one within it is written twice`,
    );
  }
  throw new ProtocolError(
    "odata-syntax",
    `Nothing known begins at character ${at + 1}, with ${JSON.stringify(text.slice(at, at + 16))}: a property, a string in single quotation marks, a number, a time such as 2026-01-31T12:00:00Z, ( or )`,
  );
}

/** RFC 3339 text to ms; fields out of range (month 13) are refused and not carried over. */
function timeOf(text: string, at: number): number {
  const fields = TIME_FIELDS.exec(text);
  const [year, month, day, hour, minute, second] = (fields ?? [])
    .slice(1, 7)
    .map((field) => Number(field ?? 0));
  const offsetMinutes = Number(fields?.[9] ?? 0) * 60 + Number(fields?.[10] ?? 0);
  const fractionMs = Math.floor(Number(`0.${fields?.[7] ?? "0"}`) * 1000);
  // biome-ignore lint/style/noRestrictedGlobals: a calendar, no clock is read
  const local = new Date(Date.UTC(year ?? 0, (month ?? 0) - 1, day, hour, minute, second));
  const isCalendarTime =
    local.getUTCMonth() + 1 === month &&
    local.getUTCDate() === day &&
    local.getUTCHours() === hour &&
    local.getUTCMinutes() === minute;
  if (!isCalendarTime || (second ?? 0) > 59) {
    throw new ProtocolError(
      "odata-syntax",
      `No such date and time at character ${at + 1}: ${text}`,
    );
  }
  return local.getTime() + fractionMs - (fields?.[8] === "-" ? -1 : 1) * offsetMinutes * 60_000;
}

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}
