import {
  createCipheriv,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  type KeyObject,
} from "node:crypto";
import { ProtocolError } from "@isthmus/shared/errors";

/*
 * How a token comes from the system's browser to a client that asked for `single-sign-on-external-browser`: the last page
 * redirects to a listener of the client on localhost, the token encrypted to a key that the client named in its first request.
 *
 *   http://localhost:29786/api/sso/<base64url-escaped base64 of the sealed token>?return=<where the browser ends>
 *
 *   sealed token   00 01 | TLV 1: our P-256 public key (SPKI) | TLV 2: 12 bytes of tag | TLV 3: ciphertext | TLV 4: 12 bytes of IV
 *   TLV            type16 BE | length16 BE | value
 *   key            HKDF-SHA-256(ECDH x coordinate, no salt, info "AC_ECIES"), 32 bytes; AES-256-GCM, its tag cut to 12 bytes
 *
 * Source: openconnect 9.01, hpke.c and gnutls.c.
 */
const LISTENER = "http://localhost:29786/api/sso/";
const INFO = "AC_ECIES";
const KEY_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 12;
/** What clients take for a token. */
const TOKEN = /^[A-Za-z0-9]{1,512}$/;
/** Our own; a P-256 key has 91. */
const MAX_KEY_CHARACTERS = 512;

/** Reads `X-AnyConnect-STRAP-DH-Pubkey`: base64 of a P-256 SubjectPublicKeyInfo. @throws ProtocolError `strap-key` */
export function parseStrapKey(text: string): KeyObject {
  if (text.length > MAX_KEY_CHARACTERS || !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw noKey();
  const key = readKey(Buffer.from(text, "base64"));
  if (key?.asymmetricKeyDetails?.namedCurve !== "prime256v1") throw noKey();
  return key;
}

/** Seals a token to the client's key. `ephemeral` is a fresh P-256 private key, `iv` 12 random bytes, both used once. */
export function sealToken(of: {
  readonly token: string;
  readonly clientKey: KeyObject;
  readonly ephemeral: KeyObject;
  readonly iv: Uint8Array;
}): Buffer {
  const { token, clientKey, ephemeral, iv } = of;
  if (!TOKEN.test(token) || iv.length !== IV_BYTES) {
    throw new RangeError("a token is 1 to 512 letters and digits, its IV 12 bytes");
  }
  const secret = diffieHellman({ privateKey: ephemeral, publicKey: clientKey });
  const key = Buffer.from(hkdfSync("sha256", secret, new Uint8Array(0), INFO, KEY_BYTES));
  const cipher = createCipheriv("aes-256-gcm", key, iv, { authTagLength: TAG_BYTES });
  const ciphertext = Buffer.concat([cipher.update(token, "latin1"), cipher.final()]);
  const publicKey = createPublicKey(ephemeral).export({ type: "spki", format: "der" });
  return Buffer.concat([
    Buffer.from([0, 1]),
    field(1, publicKey),
    field(2, cipher.getAuthTag()),
    field(3, ciphertext),
    field(4, iv),
  ]);
}

/** Where the browser goes to hand a sealed token to the client. */
export function listenerUrl(sealed: Buffer, returnTo: string): string {
  const token = encodeURIComponent(sealed.toString("base64"));
  return `${LISTENER}${token}?return=${encodeURIComponent(returnTo)}`;
}

function field(type: number, value: Uint8Array): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt16BE(type, 0);
  head.writeUInt16BE(value.length, 2);
  return Buffer.concat([head, value]);
}

function readKey(der: Buffer): KeyObject | undefined {
  try {
    return createPublicKey({ key: der, format: "der", type: "spki" });
  } catch {
    return undefined;
  }
}

function noKey(): ProtocolError {
  return new ProtocolError("strap-key", "X-AnyConnect-STRAP-DH-Pubkey is no P-256 public key");
}
