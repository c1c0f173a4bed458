import { ProtocolError } from "@isthmus/shared/errors";

/**
 * The head of an HTTP/1.1 request (RFC 9112), stricter than the RFC where two readers could come to differ:
 *
 *     head       = method SP target SP "HTTP/1." ("0" / "1") CRLF *( field CRLF ) CRLF
 *     field      = name ":" OWS value OWS        no space before the colon, no line that goes on in the next
 *     value      = visible characters, spaces, tabs and bytes from 0x80
 *
 * CR and LF stand together or not at all. Content-Length stands at most once; Transfer-Encoding is refused: no client of
 * this protocol sends its small forms in chunks.
 */
export interface HttpHead {
  readonly method: string;
  readonly target: string;
  readonly version: "1.0" | "1.1";
  readonly fields: HttpFields;
  readonly contentLength: number;
}

/** Own limits. The longest head seen is openconnect's CONNECT, under 2 KiB; bearer tokens may take 8 KiB. */
export const MAX_HTTP_HEAD_BYTES = 16_384;
export const MAX_HTTP_FIELDS = 100;
export const MAX_HTTP_BODY_BYTES = 65_536;

// RFC 9110 section 5.6.2.
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const METHOD = /^[A-Z]{1,16}$/;
const TARGET = /^[\x21-\x7e]{1,4096}$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const LENGTH = /^(0|[1-9][0-9]{0,8})$/;

/** Fields of one message, found without regard to case. Values are latin1, as RFC 9110 section 5.5 has it. */
export class HttpFields {
  /** As they came. */
  readonly entries: readonly (readonly [name: string, value: string])[];
  readonly #values = new Map<string, string[]>();

  constructor(entries: readonly (readonly [name: string, value: string])[]) {
    this.entries = entries;
    for (const [name, value] of entries) {
      const key = name.toLowerCase();
      const values = this.#values.get(key);
      if (values) values.push(value);
      else this.#values.set(key, [value]);
    }
  }

  /** The first value. */
  get(name: string): string | undefined {
    return this.#values.get(name.toLowerCase())?.[0];
  }

  all(name: string): readonly string[] {
    return this.#values.get(name.toLowerCase()) ?? [];
  }
}

/** Reads a head with its empty last line; throws `ProtocolError` with an `http-*` code. */
export function parseHttpHead(bytes: Buffer): HttpHead {
  if (bytes.length > MAX_HTTP_HEAD_BYTES) throw headTooLarge();
  const text = bytes.toString("latin1");
  if (!text.endsWith("\r\n\r\n")) throw malformed("the request head has no end");
  const lines = text.slice(0, -4).split("\r\n");
  const [requestLine = "", ...fieldLines] = lines;
  if (fieldLines.length > MAX_HTTP_FIELDS) {
    throw new ProtocolError(
      "http-fields",
      `a request head of ${fieldLines.length} fields exceeds ${MAX_HTTP_FIELDS}`,
    );
  }
  const { method, target, version } = parseRequestLine(requestLine);
  const fields = new HttpFields(fieldLines.map(parseField));
  if (version === "1.1" && fields.all("Host").length !== 1) {
    throw malformed("the request has not exactly one Host field");
  }
  return { method, target, version, fields, contentLength: lengthOf(fields) };
}

export function headTooLarge(): ProtocolError {
  return new ProtocolError("http-head-size", `a request head exceeds ${MAX_HTTP_HEAD_BYTES} bytes`);
}

function parseRequestLine(line: string): Pick<HttpHead, "method" | "target" | "version"> {
  const [method = "", target = "", version = "", ...more] = line.split(" ");
  const isVersion = version === "HTTP/1.1" || version === "HTTP/1.0";
  if (!METHOD.test(method) || !TARGET.test(target) || !isVersion || more.length > 0) {
    throw malformed("the request line is not method, target and HTTP/1.1");
  }
  return { method, target, version: version === "HTTP/1.1" ? "1.1" : "1.0" };
}

function parseField(line: string): readonly [string, string] {
  const colon = line.indexOf(":");
  const name = line.slice(0, Math.max(colon, 0));
  const value = line.slice(colon + 1).replace(/^[ \t]+/, "");
  if (!TOKEN.test(name) || !VALUE.test(value)) throw malformed("a field is not name: value");
  return [name, trimmedEnd(value)];
}

/** Without the regular expression that takes the square of the length for a long row of spaces. */
function trimmedEnd(value: string): string {
  let end = value.length;
  while (end > 0 && (value[end - 1] === " " || value[end - 1] === "\t")) end -= 1;
  return value.slice(0, end);
}

function lengthOf(fields: HttpFields): number {
  if (fields.all("Transfer-Encoding").length > 0) {
    throw new ProtocolError("http-transfer-encoding", "the request has a Transfer-Encoding");
  }
  const lengths = fields.all("Content-Length");
  const [length] = lengths;
  if (length === undefined) return 0;
  if (lengths.length > 1 || !LENGTH.test(length)) {
    throw malformed("the request has not one decimal Content-Length");
  }
  if (Number(length) > MAX_HTTP_BODY_BYTES) {
    throw new ProtocolError(
      "http-body-size",
      `a request body of ${length} bytes exceeds ${MAX_HTTP_BODY_BYTES}`,
    );
  }
  return Number(length);
}

function malformed(message: string): ProtocolError {
  return new ProtocolError("http-malformed", message);
}
