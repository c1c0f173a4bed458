import { ProtocolError } from "@isthmus/shared/errors";

/** An answer over HTTP/1.1. */
export interface HttpResponse {
  readonly status: number;
  /** In this order; what every answer has is added. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** Each `name=value; attributes`. */
  readonly cookies: readonly string[];
  readonly body: string | Uint8Array;
}

/** Shown to people by some clients. */
const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  302: "Found",
  303: "See Other",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  413: "Content Too Large",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Unavailable",
};

const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/;
const VALUE = /^[\x20-\x7e]{0,8192}$/;

/**
 * The bytes of an answer. Nothing in it tells the product's version. Throws `ProtocolError` `response-field` for a name or value
 * that is none.
 */
export function encodeHttpResponse(response: HttpResponse, isLast: boolean): Buffer {
  const { status, fields, cookies, body } = response;
  const bytes = Buffer.from(body);
  const all: (readonly [string, string])[] = [
    ...fields,
    ...cookies.map((cookie) => ["Set-Cookie", cookie] as const),
    // What a client of this protocol knows its server by.
    ["X-Transcend-Version", "1"],
    ["Cache-Control", "no-store"],
    ["X-Content-Type-Options", "nosniff"],
    ["Connection", isLast ? "close" : "Keep-Alive"],
    ["Content-Length", String(bytes.length)],
  ];
  const lines = all.map(([name, value]) => {
    if (NAME.test(name) && VALUE.test(value)) return `${name}: ${value}`;
    throw new ProtocolError("response-field", "a field of an answer has no proper name or value");
  });
  const head = [`HTTP/1.1 ${status} ${REASONS[status] ?? "Answer"}`, ...lines, "", ""].join("\r\n");
  return Buffer.concat([Buffer.from(head, "latin1"), bytes]);
}

/** What a refused client is told in fields: why, and when it may be worth coming again. */
export function refusalFields(refusal: {
  readonly message: string;
  readonly retryAfterSeconds?: number | undefined;
}): HttpResponse["fields"] {
  const { message, retryAfterSeconds } = refusal;
  const reason = ["X-Reason", fieldText(message)] as const;
  if (retryAfterSeconds === undefined) return [reason];
  return [reason, ["Retry-After", String(Math.ceil(retryAfterSeconds))]];
}

/** A text that may stand in a field: what is not printable ASCII is replaced. */
export function fieldText(text: string): string {
  return text.slice(0, 512).replace(/[^\x20-\x7e]/g, "?");
}
