import type { KeyObject } from "node:crypto";
import type { SignatureAlgorithm } from "./signature.ts";

/** A private key that is not in this process, e.g. in a hardware security module: it is asked, never read. */
export interface HeldKey {
  readonly publicKey: KeyObject;
  /** The signature as it stands in a certificate: ECDSA as DER. Rejects with a retryable error where the holder is away. */
  sign(algorithm: SignatureAlgorithm, message: Uint8Array): Promise<Buffer>;
  /**
   * RSA alone: `octets` to the private exponent, both as long as the modulus. No padding is looked at, so that no holder
   * can tell of it.
   */
  readonly decryptRaw?: (octets: Uint8Array) => Promise<Buffer>;
}

/** What signs: a key of this process, or one held elsewhere. */
export type SigningKey = KeyObject | HeldKey;

export function isHeld(key: SigningKey): key is HeldKey {
  return "publicKey" in key;
}
