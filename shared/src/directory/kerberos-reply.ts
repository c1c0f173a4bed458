import { ProtocolError } from "../errors.ts";
import { DerReader } from "../x509/der-reader.ts";

import type { CachedCredential } from "./kerberos-credential-cache.ts";
import { decryptKerberos } from "./kerberos-encryption.ts";
import { KERBEROS_MECHANISM } from "./kerberos-request.ts";

/**
 * What a server sends back in `WWW-Authenticate: Negotiate` (RFC 4559): a SPNEGO answer (RFC 4178 section 4.2.2) around the
 * Kerberos mechanism's token (RFC 4121 section 4.1), which holds an AP-REP (RFC 4120 section 5.5.2) or a KRB-ERROR (5.9.1):
 *
 *     NegTokenResp { negState, supportedMech, responseToken = 60 .. { 1.2.840.113554.1.2.2, 02 00, AP-REP } }
 *     AP-REP       { 5, 15, encrypted { time and microseconds of our authenticator } }
 *     KRB-ERROR    { 5, 30, .. server's time .. error code .. }
 */
export type KerberosReply =
  /** Nothing of Kerberos in it: the server only says how it went on. */
  | { readonly kind: "silent" }
  | { readonly kind: "proof"; readonly cipher: Buffer }
  | { readonly kind: "error"; readonly errorCode: number; readonly serverTime: number };

const NEG_TOKEN_RESP = 0xa1;
const GSS_TOKEN = 0x60;
const AP_REP_TOKEN = 0x0200;
const ERROR_TOKEN = 0x0300;
const AP_REP = 0x6f;
const KRB_ERROR = 0x7e;
const ENCRYPTED_PART = 0x7b;
/** RFC 4120 section 7.5.1. */
const REPLY_KEY_USAGE = 12;
const MAX_MICROSECONDS = 999_999;
const MAX_ERROR_CODE = 65_535;
/** Own limits. */
const MAX_TOKEN_BYTES = 65_536;
const LIMITS = { maxDepth: 16, maxElements: 200 };

/** Throws ProtocolError `kerberos-reply`. */
export function parseKerberosReply(token: Buffer): KerberosReply {
  if (token.length > MAX_TOKEN_BYTES) throw fault(`more than ${MAX_TOKEN_BYTES} octets`);
  return asReply(() => {
    const answer = new DerReader(token, LIMITS).enter(NEG_TOKEN_RESP).enter();
    for (const tag of [0xa0, 0xa1]) if (answer.peekTag() === tag) answer.skip();
    const response = answer.enterOptional(0xa2)?.readOctetString();
    return response === undefined ? { kind: "silent" } : mechanismToken(response);
  });
}

/**
 * Whether the reply was made by somebody who could read our ticket, in answer to this very request. Throws ProtocolError
 * `kerberos-reply` where not.
 */
export function requireProof(
  cipher: Buffer,
  { key }: Pick<CachedCredential, "key">,
  request: { readonly now: number; readonly microseconds: number },
): void {
  const plain = asReply(() => decryptKerberos({ key, usage: REPLY_KEY_USAGE, cipher }));
  const { time, microseconds } = asReply(() => {
    const part = new DerReader(plain, LIMITS).enter(ENCRYPTED_PART).enter();
    return {
      time: part.enter(0xa0).readTime(),
      microseconds: part.enter(0xa1).readSmallInteger(MAX_MICROSECONDS),
    };
  });
  const asked = Math.floor(request.now / 1_000) * 1_000;
  if (time !== asked || microseconds !== request.microseconds) {
    throw fault("it answers another request");
  }
}

function mechanismToken(token: Buffer): KerberosReply {
  const inner = new DerReader(token, LIMITS).enter(GSS_TOKEN);
  const mechanism = inner.readObjectIdentifier();
  if (mechanism !== KERBEROS_MECHANISM) throw fault(`it is of mechanism ${mechanism}`);
  // Two octets of a kind stand before the message; DER goes on behind them.
  const rest = behindMechanism(token);
  const kind = rest.length < 2 ? 0 : rest.readUInt16BE();
  const message = rest.subarray(2);
  if (kind === AP_REP_TOKEN) return { kind: "proof", cipher: cipherOf(message) };
  if (kind === ERROR_TOKEN) return errorOf(message);
  throw fault(`a token of kind ${kind.toString(16)}`);
}

function behindMechanism(token: Buffer): Buffer {
  const first = token[1] ?? 0;
  const headerBytes = first < 0x80 ? 2 : 2 + (first & 0x7f);
  return token.subarray(headerBytes + 2 + (token[headerBytes + 1] ?? 0));
}

function cipherOf(message: Buffer): Buffer {
  const reply = new DerReader(message, LIMITS).enter(AP_REP).enter();
  reply.skip(0xa0);
  reply.skip(0xa1);
  const encrypted = reply.enter(0xa2).enter();
  encrypted.skip(0xa0);
  if (encrypted.peekTag() === 0xa1) encrypted.skip();
  return encrypted.enter(0xa2).readOctetString();
}

function errorOf(message: Buffer): KerberosReply {
  const error = new DerReader(message, LIMITS).enter(KRB_ERROR).enter();
  error.skip(0xa0);
  error.skip(0xa1);
  for (const tag of [0xa2, 0xa3]) if (error.peekTag() === tag) error.skip();
  const serverTime = error.enter(0xa4).readTime();
  error.skip(0xa5);
  const errorCode = error.enter(0xa6).readSmallInteger(MAX_ERROR_CODE);
  return { kind: "error", errorCode, serverTime };
}

function asReply<Value>(read: () => Value): Value {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof ProtocolError && cause.code === "kerberos-reply") throw cause;
    const words = cause instanceof Error ? cause.message : String(cause);
    throw new ProtocolError("kerberos-reply", `the server's Kerberos token: ${words}`, cause);
  }
}

function fault(words: string): ProtocolError {
  return new ProtocolError("kerberos-reply", `the server's Kerberos token: ${words}`);
}
