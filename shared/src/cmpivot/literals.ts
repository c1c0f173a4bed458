import { type Position, QueryError } from "./query-error.ts";

/** What each escape within quoted text stands for. */
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ["\\", "\\"],
  ["'", "'"],
  ['"', '"'],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
]);
/** A long of 64 bits, the widest integer of Kusto. */
const MAX_INTEGER = 2n ** 63n - 1n;
const MAX_REAL_CHARACTERS = 40;
/** ISO 8601, to the 100 ns that a datetime has. */
const DATETIME = /^(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(\.\d{1,7})?)?Z?)?$/;
const DAYS_IN_MONTH = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** In ordinary text a backslash goes with what follows it; in verbatim text a quotation mark is doubled. */
const FORMS: readonly { readonly start: string; readonly pattern: RegExp }[] = [
  { start: "'", pattern: /'((?:[^'\\\r\n]|\\[^\r\n])*)'/y },
  { start: '"', pattern: /"((?:[^"\\\r\n]|\\[^\r\n])*)"/y },
  { start: "@'", pattern: /@'((?:[^'\r\n]|'')*)'/y },
  { start: '@"', pattern: /@"((?:[^"\r\n]|"")*)"/y },
];

/**
 * Quoted text from its first quotation mark, or the `@` before it, to behind its last. `'a\\b'` has escapes; in
 * `@'a\b''c'` a quotation mark is doubled and nothing else is special.
 *
 * @throws QueryError `query-literal-malformed`, `query-character-refused`.
 */
export function readString(
  text: string,
  offset: number,
  at: Position,
): { readonly value: string; readonly end: number } {
  const form = FORMS.find(({ start }) => text.startsWith(start, offset));
  if (form === undefined) throw new TypeError("no quoted text begins here");
  const quote = form.start.slice(-1);
  form.pattern.lastIndex = offset;
  const [whole, inner = ""] = form.pattern.exec(text) ?? [];
  if (whole === undefined) {
    const message = `the text that begins here is not closed by ${quote} before its line ends`;
    throw new QueryError("query-literal-malformed", at, message);
  }
  const isVerbatim = form.start !== quote;
  const value = isVerbatim ? inner.replaceAll(quote + quote, quote) : withoutEscapes(inner, at);
  return { value: checkedText(value, at), end: offset + whole.length };
}

function withoutEscapes(inner: string, at: Position): string {
  return inner.replaceAll(/\\(?:u([0-9A-Fa-f]{4})|(.))/gs, (_, hex?: string, letter = "") => {
    const value =
      hex === undefined ? ESCAPES.get(letter) : String.fromCharCode(Number.parseInt(hex, 16));
    if (value !== undefined) return value;
    const message = `\\${letter} in this text stands for nothing; a backslash is written twice, as in 'c:\\\\windows'`;
    throw new QueryError("query-literal-malformed", at, message);
  });
}

function checkedText(value: string, at: Position): string {
  if (!value.isWellFormed()) {
    throw new QueryError("query-character-refused", at, "this text has half of a surrogate pair");
  }
  const control = /[\p{Cc}]/u.exec(value.replace(/[\t\r\n]/g, ""))?.[0];
  if (control !== undefined) {
    const name = `U+${(control.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
    throw new QueryError(
      "query-character-refused",
      at,
      `this text has the control character ${name}`,
    );
  }
  return value;
}

/**
 * A number in decimal digits without leading zeros: `0x1F` is `31`, `1E3` is `1e3`.
 *
 * @throws QueryError `query-literal-malformed` for what no number of the language holds.
 */
export function numberText(written: string, at: Position): string {
  const isReal = !/^(0[xX].*|\d+)$/.test(written);
  if (isReal) {
    if (written.length > MAX_REAL_CHARACTERS || !Number.isFinite(Number(written))) {
      throw new QueryError("query-literal-malformed", at, "this number has too many digits");
    }
    return written.toLowerCase().replace(/^0+(?=\d)/, "");
  }
  if (written.length > MAX_REAL_CHARACTERS || BigInt(written) > MAX_INTEGER) {
    throw new QueryError("query-literal-malformed", at, `this number is above ${MAX_INTEGER}`);
  }
  return BigInt(written).toString();
}

/**
 * A point in time as `2015-12-31` or `2015-12-31 23:59:59.9`, in UTC.
 *
 * @throws QueryError `query-literal-malformed`.
 */
export function datetimeText(written: string, at: Position): string {
  const [whole, year = "", month = "", day = "", hour = "00", minute = "00", second = "00"] =
    DATETIME.exec(written) ?? [];
  const isReal =
    whole !== undefined &&
    isBetween(month, 1, 12) &&
    isBetween(year, 1, 9999) &&
    isBetween(day, 1, daysOf(Number(year), Number(month))) &&
    isBetween(hour, 0, 23) &&
    isBetween(minute, 0, 59) &&
    isBetween(second, 0, 59);
  if (!isReal) {
    throw new QueryError(
      "query-literal-malformed",
      at,
      `datetime(${written.slice(0, 40)}) is no point in time; write datetime(2026-05-31) or datetime(2026-05-31 23:59:59)`,
    );
  }
  return written.replace("T", " ").replace("Z", "");
}

function isBetween(digits: string, low: number, high: number): boolean {
  const number = Number(digits);
  return number >= low && number <= high;
}

function daysOf(year: number, month: number): number {
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return month === 2 && !isLeap ? 28 : (DAYS_IN_MONTH[month - 1] ?? 0);
}
