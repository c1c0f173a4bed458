import { ProtocolError } from "@isthmus/shared/errors";

/** Own limits, those of Node's client too. The longest head seen has a Kerberos token of some hundred octets. */
export const MAX_HEAD_BYTES = 16_384;
export const MAX_FIELDS = 100;

/** By names in lower case; several fields of one name are joined by commas (RFC 9110 section 5.3). */
export type AnswerHeaders = Readonly<Record<string, string | undefined>>;

/** How much body there is (RFC 9112 section 6.3): so many octets, chunks, or all until the connection ends. */
export type BodyLength = number | "chunked" | "to-end";

export interface AnswerHead {
  readonly status: number;
  readonly headers: AnswerHeaders;
  readonly length: BodyLength;
  /** For how long the server keeps the connection for another request, in ms; 0 where it does not, undefined where it does not say. */
  readonly keptMs: number | undefined;
}

// RFC 9112 section 4, RFC 9110 sections 5.5 and 5.6.2.
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/;
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*$/;
const LENGTH = /^\d{1,15}$/;
const KEEP_ALIVE_TIMEOUT = /(?:^|[,\s])timeout=(\d{1,6})(?:$|[,\s])/i;

/**
 * Reads the lines of a head, without the empty one: stricter than the RFC where two readers could come to differ on where an answer ends. Throws
 * ProtocolError `http-answer`.
 */
export function readAnswerHead([statusLine = "", ...fieldLines]: readonly string[]): AnswerHead {
  const [, minor, digits] = STATUS_LINE.exec(statusLine) ?? [];
  if (digits === undefined) throw noAnswer("its first line is no status line of HTTP/1.1");
  const headers = headersOf(fieldLines);
  const status = Number(digits);
  const length = lengthOf(status, headers);
  return { status, headers, length, keptMs: minor === "1" ? keptMs(headers, length) : 0 };
}

export function noAnswer(words: string): ProtocolError {
  return new ProtocolError("http-answer", `what came is no HTTP answer: ${words}`);
}

function headersOf(lines: readonly string[]): AnswerHeaders {
  if (lines.length > MAX_FIELDS) throw noAnswer(`it has more than ${MAX_FIELDS} fields`);
  // Without a prototype, so that a field may have any name.
  const headers: Record<string, string> = Object.create(null);
  for (const line of lines) {
    const [, name, value] = FIELD.exec(line) ?? [];
    if (name === undefined || value === undefined) throw noAnswer("a line of its head is no field");
    const key = name.toLowerCase();
    const before = headers[key];
    headers[key] = before === undefined ? value : `${before}, ${value}`;
  }
  return headers;
}

function lengthOf(status: number, headers: AnswerHeaders): BodyLength {
  const coding = headers["transfer-encoding"];
  const length = headers["content-length"];
  if (coding !== undefined) {
    if (length !== undefined) throw noAnswer("it has a length and a transfer coding");
    if (coding.toLowerCase() !== "chunked") throw noAnswer("its transfer coding is not chunked");
  }
  if (length !== undefined && !LENGTH.test(length)) throw noAnswer("its length is no number");
  if (status < 200 || status === 204 || status === 304) return 0;
  if (coding !== undefined) return "chunked";
  return length === undefined ? "to-end" : Number(length);
}

function keptMs(headers: AnswerHeaders, length: BodyLength): number | undefined {
  const isClosed = /(?:^|[,\s])close(?:$|[,\s])/i.test(headers["connection"] ?? "");
  if (isClosed || length === "to-end") return 0;
  const seconds = KEEP_ALIVE_TIMEOUT.exec(headers["keep-alive"] ?? "")?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1_000;
}
