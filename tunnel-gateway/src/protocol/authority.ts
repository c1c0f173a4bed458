import { isIPv4, isIPv6 } from "node:net";
import { ProtocolError } from "@isthmus/shared/errors";

/**
 * The target of a CONNECT request (RFC 9112 section 3.2.3), stricter than the RFC where leniency has been used to
 * slip past a filter:
 *
 *     authority-form = host ":" port
 *     host           = name / IPv4 in four decimal parts / "[" IPv6 without zone "]"
 *     port           = 1-65535 in decimal without leading zeros; never left out
 */

// RFC 1035 section 2.3.4.
const MAX_NAME_CHARACTERS = 253;
const MAX_LABEL_CHARACTERS = 63;
const MAX_PORT = 65_535;

/** Our own: a name, a final dot, a colon and a port. */
export const MAX_AUTHORITY_CHARACTERS = MAX_NAME_CHARACTERS + 1 + 1 + 5;

/** Where a client wants to go. `host` is in lower case, without a final dot or brackets. */
export interface Authority {
  readonly kind: "name" | "ipv4" | "ipv6";
  readonly host: string;
  readonly port: number;
}

// An underscore is no host name by RFC 1123, yet Windows networks resolve such names.
const LABEL = /^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?$/;
const PORT = /^[1-9][0-9]{0,4}$/;
// getaddrinfo reads such a last label as part of a number: "127.1", "0x7f.0.0.1", "2130706433".
const NUMERIC_LABEL = /^(?:[0-9]+|0x[0-9a-f]*)$/;

/** Reads a CONNECT target; throws `ProtocolError` with an `authority-*` code. */
export function parseAuthority(text: string): Authority {
  if (text.length > MAX_AUTHORITY_CHARACTERS) {
    throw new ProtocolError(
      "authority-too-long",
      `CONNECT target of ${text.length} characters exceeds ${MAX_AUTHORITY_CHARACTERS}`,
    );
  }
  if (text.includes("@")) {
    throw new ProtocolError("authority-userinfo", "CONNECT target holds user information");
  }
  const colon = text.lastIndexOf(":");
  if (colon < 0) throw malformed("CONNECT target has no port");
  const port = parsePort(text.slice(colon + 1));
  const host = text.slice(0, colon).toLowerCase();
  return host.startsWith("[") ? bracketed(host, port) : unbracketed(host, port);
}

function parsePort(text: string): number {
  const port = PORT.test(text) ? Number(text) : 0;
  if (port < 1 || port > MAX_PORT) {
    throw new ProtocolError("authority-port", "CONNECT target has no port from 1 to 65535");
  }
  return port;
}

function bracketed(host: string, port: number): Authority {
  if (!host.endsWith("]")) throw malformed("CONNECT target has unbalanced brackets");
  const text = host.slice(1, -1);
  if (!isIPv6(text) || text.includes("%")) {
    throw new ProtocolError("authority-host", "CONNECT target has no valid IPv6 address");
  }
  return { kind: "ipv6", host: text, port };
}

function unbracketed(host: string, port: number): Authority {
  if (isIPv4(host)) return { kind: "ipv4", host, port };
  const name = host.endsWith(".") ? host.slice(0, -1) : host;
  const labels = name.split(".");
  const isName = name.length <= MAX_NAME_CHARACTERS && labels.every(isLabel);
  if (!isName || NUMERIC_LABEL.test(labels.at(-1) ?? "")) {
    throw new ProtocolError("authority-host", "CONNECT target has no valid host name or address");
  }
  return { kind: "name", host: name, port };
}

function isLabel(label: string): boolean {
  return label.length <= MAX_LABEL_CHARACTERS && LABEL.test(label);
}

function malformed(message: string): ProtocolError {
  return new ProtocolError("authority-malformed", message);
}
