import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { Refusal, RefusalCode } from "../core/refusal.ts";
import { encodeProxyStatus, type ProxyError } from "../protocol/proxy-status.ts";

/** An answer that refuses a request, for a client and for the person who reads its log. */
export interface RefusalResponse {
  readonly status: number;
  readonly error: ProxyError;
  readonly code: string;
  /** The rule that decided, where one did. */
  readonly rule?: string;
  readonly message: string;
}

/** Own limit on how long a refused client may take to read its answer. */
const LINGER_MS = 2_000;

/** The fields and the body of the response, whatever the version of HTTP. */
export function encodeRefusalFields(refusal: RefusalResponse): {
  readonly fields: Readonly<Record<string, string>>;
  readonly body: string;
} {
  const { error, code, rule, message } = refusal;
  const body = `${JSON.stringify({ code, ...(rule === undefined ? {} : { rule }), message })}\n`;
  const details = rule === undefined ? code : `rule ${rule}`;
  const fields = {
    "Content-Type": "application/json",
    "Content-Length": `${Buffer.byteLength(body)}`,
    "Proxy-Status": encodeProxyStatus({ error, details }),
    "Cache-Control": "no-store",
  };
  return { fields, body };
}

/** The response as HTTP/1.1 has it; the connection ends with it. */
export function encodeRefusal(refusal: RefusalResponse): string {
  const { fields, body } = encodeRefusalFields(refusal);
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}`);
  const status = `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status] ?? "Refused"}`;
  return [status, ...lines, "Connection: close", "", body].join("\r\n");
}

/** Answers with a refusal and ends the connection, politely at first so that the answer arrives. */
export function refuseOn(socket: Duplex, refusal: RefusalResponse): void {
  if (socket.destroyed || socket.writableEnded) return;
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once("close", () => clearTimeout(timer));
  socket.end(encodeRefusal(refusal));
  // What the client still sends is read and dropped: closing over unread bytes would reset the answer away.
  socket.removeAllListeners("data");
  socket.on("end", () => socket.destroy());
  socket.resume();
}

const PROHIBITED: ReadonlySet<RefusalCode> = new Set(["egress-forbidden"]);

/** The answer to a request that a rule refused. */
export function responseTo(refusal: Refusal): RefusalResponse {
  const { code, rule, message } = refusal;
  if (code === "limit-connections") {
    return { status: 429, error: "connection_limit_reached", code, rule, message };
  }
  const error = PROHIBITED.has(code) ? "destination_ip_prohibited" : "http_request_denied";
  return { status: 403, error, code, rule, message };
}

/** What went wrong on the way to the destination, by the code of the error. */
const FAILURES: Readonly<Record<string, readonly [status: number, error: ProxyError]>> = {
  "dns-not-found": [502, "dns_error"],
  "dns-failed": [502, "dns_error"],
  "dns-timeout": [504, "dns_timeout"],
  "connect-refused": [502, "connection_refused"],
  "connect-unreachable": [502, "destination_unavailable"],
  "connect-failed": [502, "destination_unavailable"],
  "connect-timeout": [504, "connection_timeout"],
};

/** The answer to a request that no rule refused and that failed; what is not ours leaves without detail. */
export function responseToFailure(code: string, message: string): RefusalResponse {
  const known = FAILURES[code];
  if (known) return { status: known[0], error: known[1], code, message };
  return {
    status: 500,
    error: "proxy_internal_error",
    code: "internal",
    message: "internal error",
  };
}
