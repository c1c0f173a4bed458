import { ProtocolError } from "@isthmus/shared/errors";
import { type Authority, parseAuthority } from "./authority.ts";

/**
 * The head of a CONNECT request after the HTTP parser has cut it into lines:
 *
 *     CONNECT authority HTTP/1.1
 *     Host: authority
 *     (other fields, which the relay ignores)
 *
 * Nothing that announces a body may stand in it: whatever follows the head belongs to the tunnel.
 */
export interface RequestHead {
  readonly method: string;
  readonly target: string;
  readonly version: string;
  /** Names and values alternating, as they came. */
  readonly rawHeaders: readonly string[];
}

/** Our own limits: a CONNECT needs three fields, and proxies on the way add few. */
export const MAX_HEAD_BYTES = 8_192;
export const MAX_HEADER_FIELDS = 64;

/** Fields that would make two readers of this head disagree about where it ends. */
const BODY_FIELDS = new Set(["content-length", "transfer-encoding", "upgrade", "expect"]);

/** The destination that a request head asks for; throws `ProtocolError` with a `connect-*` or `authority-*` code. */
export function parseConnectRequest(head: RequestHead): Authority {
  if (head.method !== "CONNECT") {
    throw new ProtocolError("connect-method", "the relay serves CONNECT alone");
  }
  if (head.version !== "1.1") {
    throw new ProtocolError("connect-version", "CONNECT needs HTTP/1.1");
  }
  if (head.rawHeaders.length > MAX_HEADER_FIELDS * 2) {
    throw new ProtocolError("connect-fields", `CONNECT has more than ${MAX_HEADER_FIELDS} fields`);
  }
  const authority = parseAuthority(head.target);
  const hosts = valuesOf(head.rawHeaders, (name) => name === "host");
  if (hosts.length !== 1) {
    throw new ProtocolError("connect-host", `CONNECT has ${hosts.length} Host fields, not one`);
  }
  if (!agrees(hosts[0] ?? "", authority)) {
    throw new ProtocolError("connect-host", "Host differs from the CONNECT target");
  }
  if (valuesOf(head.rawHeaders, (name) => BODY_FIELDS.has(name)).length > 0) {
    throw new ProtocolError("connect-body", "CONNECT announces a body or another protocol");
  }
  return authority;
}

/**
 * The destination of a CONNECT over HTTP/2 (RFC 9113 section 8.5): `:authority` alone beside the method. Other fields are
 * ignored as they are over HTTP/1.1. Throws as `parseConnectRequest` does.
 */
export function parseConnectStream(pseudo: ReadonlyMap<string, string>): Authority {
  if (pseudo.get(":method") !== "CONNECT") {
    throw new ProtocolError("connect-method", "the relay serves CONNECT alone");
  }
  const authority = pseudo.get(":authority");
  if (authority === undefined || pseudo.size !== 2) {
    throw new ProtocolError(
      "connect-fields",
      "CONNECT has :authority and no other pseudo-header field",
    );
  }
  return parseAuthority(authority);
}

/** RFC 9110 section 7.2 wants Host equal to the target; some clients leave the port out (Java HttpURLConnection). */
function agrees(host: string, authority: Authority): boolean {
  const hasPort = /:[0-9]+$/.test(host) && !host.endsWith("]");
  const stated = parseAuthority(hasPort ? host : `${host}:${authority.port}`);
  return stated.host === authority.host && stated.port === authority.port;
}

function valuesOf(rawHeaders: readonly string[], isWanted: (name: string) => boolean): string[] {
  const values: string[] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    if (isWanted(rawHeaders[index]?.toLowerCase() ?? "")) values.push(rawHeaders[index + 1] ?? "");
  }
  return values;
}
