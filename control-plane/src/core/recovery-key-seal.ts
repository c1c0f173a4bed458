import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
} from "node:crypto";
import { ConnectorError } from "@isthmus/shared/errors";

/**
 * A recovery key on its way to the one who asked for it. Who asks gets a secret (an X25519 private key) and the control plane keeps the
 * public half alone: what comes from the bridge is sealed to it before it is stored, so that neither the store nor a backup of it can be
 * read by anybody else.
 *
 *     sealed = base64url( ephemeral public key, 32 | AES-256-GCM ciphertext | tag, 16 )
 *     key and nonce = HKDF-SHA-256( X25519( ephemeral, recipient ), salt = both public keys )
 */

const RAW_KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const INFO = "isthmus-recovery-key-1";

export interface RevealKeys {
  /** base64url, 43 characters: shown to who asks, once. */
  readonly secret: string;
  readonly publicKey: string;
}

export function createRevealKeys(): RevealKeys {
  const jwk = generateKeyPairSync("x25519").privateKey.export({ format: "jwk" });
  return { secret: String(jwk.d), publicKey: String(jwk.x) };
}

/** Throws `reveal-secret-invalid` for what is none. */
export function publicKeyOfSecret(secret: string): string {
  return rawPublicKey(privateKey(secret)).toString("base64url");
}

export function sealFor(publicKey: string, value: unknown): string {
  const ephemeral = generateKeyPairSync("x25519").privateKey;
  const recipient = Buffer.from(publicKey, "base64url");
  const { key, nonce } = derive(ephemeral, recipient, rawPublicKey(ephemeral), recipient);
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  const text = Buffer.concat([cipher.update(JSON.stringify(value), "utf8"), cipher.final()]);
  const whole = [rawPublicKey(ephemeral), text, cipher.getAuthTag()];
  return Buffer.concat(whole).toString("base64url");
}

/** Throws `reveal-secret-invalid` where the secret is not the one that it was sealed to. */
export function openSealed(secret: string, sealed: string): unknown {
  const bytes = Buffer.from(sealed, "base64url");
  const own = privateKey(secret);
  const ephemeral = bytes.subarray(0, RAW_KEY_BYTES);
  const text = bytes.subarray(RAW_KEY_BYTES, -TAG_BYTES);
  try {
    const { key, nonce } = derive(own, ephemeral, ephemeral, rawPublicKey(own));
    const decipher = createDecipheriv("aes-256-gcm", key, nonce);
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
    return JSON.parse(Buffer.concat([decipher.update(text), decipher.final()]).toString());
  } catch (cause) {
    throw new ConnectorError("reveal-secret-invalid", "The secret is not the one of this reveal", {
      cause,
    });
  }
}

function derive(own: KeyObject, other: Buffer, ephemeral: Buffer, recipient: Buffer) {
  const publicKey = createPublicKey({
    key: { kty: "OKP", crv: "X25519", x: other.toString("base64url") },
    format: "jwk",
  });
  const shared = diffieHellman({ privateKey: own, publicKey });
  const salt = Buffer.concat([ephemeral, recipient]);
  const bytes = Buffer.from(hkdfSync("sha256", shared, salt, INFO, 32 + NONCE_BYTES));
  return { key: bytes.subarray(0, 32), nonce: bytes.subarray(32) };
}

/** A JWK of a private key has its public half beside it, which is found by the format that does without. */
function privateKey(secret: string): KeyObject {
  const raw = Buffer.from(secret, "base64url");
  if (raw.length !== RAW_KEY_BYTES) {
    throw new ConnectorError("reveal-secret-invalid", "A reveal secret has 43 characters");
  }
  // RFC 8410: PKCS#8 of an X25519 key, up to the key itself.
  const prefix = Buffer.from("302e020100300506032b656e04220420", "hex");
  return createPrivateKey({ key: Buffer.concat([prefix, raw]), format: "der", type: "pkcs8" });
}

function rawPublicKey(key: KeyObject): Buffer {
  const { x } = createPublicKey(key).export({ format: "jwk" });
  return Buffer.from(String(x), "base64url");
}
