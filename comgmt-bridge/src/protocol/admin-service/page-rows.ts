import { ProtocolError } from "@isthmus/shared/errors";
import { type Row, readObject } from "./answer.ts";

/** What stands around the rows of a list. */
export const LIST = '"value":[';
export const LIST_END = "]}";
/** Octets or characters within which the rows of a list begin: behind the annotations of the whole, which are short. */
export const MAX_HEAD = 4_096;
const VALUE = Buffer.from(LIST);
const END = Buffer.from(LIST_END);
const NEXT = "nextLink";

/**
 * The bytes of a list's rows without what stands around them, `{"@odata.context":...,"value":[` and `]}`: the same whether the rows came
 * in one page or in several. The whole body where it is nothing so plain; a list that goes on elsewhere is none. The body is given in the
 * pieces it came in, and so are the bytes; none where there are no rows.
 */
export function rowBytes(body: readonly Buffer[]): readonly Buffer[] {
  const begin = firstBytes(body, MAX_HEAD);
  const head = begin.indexOf(VALUE);
  const isPlain =
    head >= 0 && !begin.subarray(0, head).includes(NEXT) && lastBytes(body, END.length).equals(END);
  const length = body.reduce((sum, { length }) => sum + length, 0);
  const pieces = isPlain ? cut(body, head + VALUE.length, length - END.length) : body;
  return pieces.filter(({ length }) => length > 0);
}

function firstBytes(body: readonly Buffer[], count: number): Buffer {
  const [first = Buffer.alloc(0)] = body;
  return first.length >= count || body.length <= 1
    ? first.subarray(0, count)
    : Buffer.concat(cut(body, 0, count));
}

function lastBytes(body: readonly Buffer[], count: number): Buffer {
  const length = body.reduce((sum, { length }) => sum + length, 0);
  const last = body.at(-1);
  return last !== undefined && last.length >= count
    ? last.subarray(last.length - count)
    : Buffer.concat(cut(body, Math.max(0, length - count), length));
}

function cut(body: readonly Buffer[], from: number, to: number): Buffer[] {
  const pieces: Buffer[] = [];
  let at = 0;
  for (const piece of body) {
    const [start, end] = [Math.max(from - at, 0), Math.min(to - at, piece.length)];
    if (start < end) pieces.push(piece.subarray(start, end));
    at += piece.length;
    if (at >= to) break;
  }
  return pieces;
}

/**
 * The rows of a list as they came, annotations and all: for those who take single columns of many rows. Throws ProtocolError
 * `admin-service-answer`, `admin-service-page`.
 */
export function readPlainRows(body: Buffer): {
  readonly rows: readonly Row[];
  readonly hasMore: boolean;
} {
  const whole = readObject(body);
  const { value } = whole;
  if (!Array.isArray(value) || !value.every(isRow)) {
    throw new ProtocolError(
      "admin-service-answer",
      "the AdminService's answer: it is no list of rows",
    );
  }
  return { rows: value, hasMore: typeof whole["@odata.nextLink"] === "string" };
}

function isRow(value: unknown): value is Row {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
