import { isIP } from "node:net";
import { ProtocolError } from "@isthmus/shared/errors";
import type { HttpFields } from "./http-head.ts";

/**
 * The fields of `CONNECT /CSCOSSLC/tunnel` (draft-mavrogiannopoulos-openconnect, section 2.2) that ask for a tunnel:
 *
 *     X-CSTP-Version: 1
 *     X-CSTP-Hostname: laptop
 *     X-CSTP-Base-MTU: 1500                           of the path; X-CSTP-MTU: of the tunnel as the client reckons it
 *     X-CSTP-Address-Type: IPv6,IPv4
 *     X-CSTP-Full-IPv6-Capability: true
 *     X-CSTP-Address: 10.9.0.7                        what it had before, once for each family
 *     X-DTLS-CipherSuite: PSK-NEGOTIATE:...           openconnect's DTLS
 *     X-DTLS12-CipherSuite: AES128-GCM-SHA256:...     AnyConnect's, with X-DTLS-Master-Secret: 96 hex digits
 *
 * A field with a value that cannot be is refused where a tunnel would be wrong with it, and left out where it is a hint.
 */
export interface TunnelHeaders {
  readonly hostName: string | undefined;
  readonly baseMtu: number | undefined;
  readonly innerMtu: number | undefined;
  readonly wantsIpv4: boolean;
  readonly wantsIpv6: boolean;
  readonly formerAddresses: readonly string[];
  readonly dtls: DtlsChoice | undefined;
}

/** How the client can open DTLS; `psk` wherever it can, since its key comes from TLS and never crosses the wire. */
export type DtlsChoice =
  | { readonly kind: "psk" }
  | {
      readonly kind: "resumption";
      readonly masterSecret: Buffer;
      /** OpenSSL's name. */
      readonly cipher: ResumptionCipher;
    };

/**
 * Suites of `X-DTLS12-CipherSuite` that are offered, best first. The session is resumed and no key exchanged, so what stands
 * before the cipher does not matter. The DTLS that came before 1.2 is left out.
 */
export const RESUMPTION_CIPHERS = [
  "AES128-GCM-SHA256",
  "AES256-GCM-SHA384",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES256-GCM-SHA384",
] as const;
export type ResumptionCipher = (typeof RESUMPTION_CIPHERS)[number];

export const PSK_NEGOTIATE = "PSK-NEGOTIATE";

// TLS 1.2: 48 bytes.
const MASTER_SECRET = /^[0-9A-Fa-f]{96}$/;
// RFC 1123 section 2.1, and the underscore of Windows.
const HOST_NAME = /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?$/;
const MTU = /^[1-9][0-9]{0,5}$/;

/** Own limit: one address for each family. */
const MAX_FORMER_ADDRESSES = 2;

/** Reads what the client asks for; throws `ProtocolError` with a `tunnel-*` code. */
export function parseTunnelHeaders(fields: HttpFields): TunnelHeaders {
  const version = fields.get("X-CSTP-Version");
  if (version !== undefined && version !== "1") {
    throw new ProtocolError("tunnel-version", "the client speaks another version of CSTP than 1");
  }
  const types = fields.get("X-CSTP-Address-Type");
  const hasFullIpv6 = fields.get("X-CSTP-Full-IPv6-Capability")?.toLowerCase() === "true";
  const addresses = fields.all("X-CSTP-Address").filter((address) => isIP(address) !== 0);
  const hostName = fields.get("X-CSTP-Hostname");
  return {
    hostName: hostName !== undefined && HOST_NAME.test(hostName) ? hostName : undefined,
    baseMtu: mtuOf(fields, "X-CSTP-Base-MTU"),
    innerMtu: mtuOf(fields, "X-CSTP-MTU"),
    wantsIpv4: types === undefined || types.includes("IPv4"),
    // Without the capability a client can take an address and neither routes nor name servers for it.
    wantsIpv6: hasFullIpv6 && (types === undefined || types.includes("IPv6")),
    formerAddresses: addresses.slice(0, MAX_FORMER_ADDRESSES),
    dtls: dtlsOf(fields),
  };
}

function dtlsOf(fields: HttpFields): DtlsChoice | undefined {
  const named = new Set(listOf(fields, "X-DTLS-CipherSuite"));
  const named12 = new Set(listOf(fields, "X-DTLS12-CipherSuite"));
  if (named.has(PSK_NEGOTIATE) || named12.has(PSK_NEGOTIATE)) return { kind: "psk" };
  const secret = fields.get("X-DTLS-Master-Secret");
  const cipher = RESUMPTION_CIPHERS.find((known) => named12.has(known));
  if (secret === undefined || cipher === undefined) return undefined;
  if (!MASTER_SECRET.test(secret)) {
    throw new ProtocolError("tunnel-master-secret", "X-DTLS-Master-Secret is not 48 bytes in hex");
  }
  return { kind: "resumption", masterSecret: Buffer.from(secret, "hex"), cipher };
}

function listOf(fields: HttpFields, name: string): string[] {
  return (fields.get(name) ?? "").split(":").map((entry) => entry.trim());
}

function mtuOf(fields: HttpFields, name: string): number | undefined {
  const text = fields.get(name);
  // AnyConnect on some platforms sends 0 for what it does not know.
  if (text === undefined || text === "0") return undefined;
  if (!MTU.test(text)) throw new ProtocolError("tunnel-mtu", `${name} is no number of bytes`);
  return Number(text);
}
