import { createHash } from "node:crypto";
import { ProtocolError } from "../errors.ts";
import {
  bitString,
  element,
  explicit,
  generalizedTime,
  integer,
  objectIdentifier,
  octetString,
  sequence,
} from "../x509/der-writer.ts";
import type { CachedCredential, KerberosPrincipal } from "./kerberos-credential-cache.ts";
import { AES_KEY_BYTES, encryptKerberos } from "./kerberos-encryption.ts";

/**
 * What a Kerberos client sends in `Authorization: Negotiate` (RFC 4559): a SPNEGO token (RFC 4178) around the Kerberos
 * mechanism's first token (RFC 4121 section 4.1), which holds an AP-REQ (RFC 4120 section 5.5.1). Its authenticator carries
 * the digest of the TLS channel, so that the token is worth nothing on another one:
 *
 *     NegTokenInit { mechTypes, mechToken = 60 .. { 1.2.840.113554.1.2.2, 01 00, AP-REQ } }
 *     AP-REQ { ticket, authenticator = encrypted { client, checksum 8003 { MD5 of the bindings, flags }, time } }
 */
export const KERBEROS_MECHANISM = "1.2.840.113554.1.2.2";
const SPNEGO_MECHANISM = "1.3.6.1.5.5.2";
const AP_REQ_TOKEN = Buffer.from([0x01, 0x00]);
const VERSION = 5;
const AP_REQ = 14;
/** RFC 4120 section 7.5.1. */
const AUTHENTICATOR_KEY_USAGE = 11;
/** RFC 4121 section 4.1.1: the checksum that carries bindings and flags. */
const GSS_CHECKSUM_TYPE = 0x8003;
/** RFC 2744: replay and sequence detection, integrity; and that the server shows who it is. */
const GSS_FLAGS = 0x04 | 0x08 | 0x20;
const GSS_MUTUAL_FLAG = 0x02;
/** RFC 4120 section 5.5.1: bit 2 of the options. */
const MUTUAL_REQUIRED = 0x20;
const GENERAL_STRING = 0x1b;
const APPLICATION = 0x60;

export interface KerberosRequestParts {
  readonly credential: CachedCredential;
  /** Application data of the channel bindings, e.g. `tls-server-end-point:` and a digest; none without TLS. */
  readonly channel: Uint8Array | undefined;
  /** ms since the epoch. */
  readonly now: number;
  /** Below a second: requests of one moment have to differ. */
  readonly microseconds: number;
  /** 16 random octets. */
  readonly confounder: Uint8Array;
  /** Whether the server is asked for a token that proves it. */
  readonly isMutual: boolean;
}

/** The token. Throws ProtocolError `kerberos-key` where the session key's type is not AES. */
export function negotiateToken(parts: KerberosRequestParts): Buffer {
  const mechanisms = sequence(objectIdentifier(KERBEROS_MECHANISM));
  const token = gssToken(KERBEROS_MECHANISM, Buffer.concat([AP_REQ_TOKEN, apRequest(parts)]));
  const init = sequence(explicit(0, mechanisms), explicit(2, octetString(token)));
  return gssToken(SPNEGO_MECHANISM, explicit(0, init));
}

/** RFC 2743 section 3.1. */
function gssToken(mechanism: string, content: Uint8Array): Buffer {
  return element(APPLICATION, objectIdentifier(mechanism), content);
}

function apRequest(parts: KerberosRequestParts): Buffer {
  const { credential, confounder, isMutual } = parts;
  const { keyType, key, ticket } = credential;
  if (AES_KEY_BYTES[keyType] !== key.length) {
    throw new ProtocolError(
      "kerberos-key",
      `the session key has encryption type ${keyType}; only AES with SHA-1 (17 and 18) is supported`,
    );
  }
  const plain = authenticator(parts);
  const cipher = encryptKerberos({ key, usage: AUTHENTICATOR_KEY_USAGE, plain, confounder });
  const encrypted = sequence(explicit(0, integer(keyType)), explicit(2, octetString(cipher)));
  return element(
    APPLICATION | AP_REQ,
    sequence(
      explicit(0, integer(VERSION)),
      explicit(1, integer(AP_REQ)),
      explicit(2, bitString(Buffer.from([isMutual ? MUTUAL_REQUIRED : 0, 0, 0, 0]))),
      explicit(3, ticket),
      explicit(4, encrypted),
    ),
  );
}

function authenticator(parts: KerberosRequestParts): Buffer {
  const { credential, channel, now, microseconds, isMutual } = parts;
  const { client } = credential;
  const checksum = sequence(
    explicit(0, integer(GSS_CHECKSUM_TYPE)),
    explicit(1, octetString(gssChecksum(channel, isMutual))),
  );
  return element(
    APPLICATION | 2,
    sequence(
      explicit(0, integer(VERSION)),
      explicit(1, generalString(client.realm)),
      explicit(2, principalName(client)),
      explicit(3, checksum),
      explicit(4, integer(microseconds)),
      explicit(5, generalizedTime(now)),
    ),
  );
}

function gssChecksum(channel: Uint8Array | undefined, isMutual: boolean): Buffer {
  const flags = littleEndian(GSS_FLAGS | (isMutual ? GSS_MUTUAL_FLAG : 0));
  const bindings = channel === undefined ? Buffer.alloc(16) : bindingsDigest(channel);
  return Buffer.concat([littleEndian(bindings.length), bindings, flags]);
}

/** RFC 4121 section 4.1.1.2: MD5 of types and addresses of both sides, of which TLS has none, and the application data. */
function bindingsDigest(channel: Uint8Array): Buffer {
  const noAddresses = Buffer.alloc(16);
  return createHash("md5")
    .update(noAddresses)
    .update(littleEndian(channel.length))
    .update(channel)
    .digest();
}

function principalName({ nameType, components }: KerberosPrincipal): Buffer {
  return sequence(
    explicit(0, integer(nameType)),
    explicit(1, sequence(...components.map(generalString))),
  );
}

/** RFC 4120 section 5.2.1; Active Directory writes names beyond ASCII in UTF-8. */
function generalString(text: string): Buffer {
  return element(GENERAL_STRING, Buffer.from(text, "utf8"));
}

function littleEndian(number: number): Buffer {
  const octets = Buffer.alloc(4);
  octets.writeUInt32LE(number);
  return octets;
}
