import { RefusalError } from "@isthmus/shared/errors";
import { describePublicKey, type PublicKeyKind } from "@isthmus/shared/x509/public-key";
import type { Curve } from "./profile.ts";

/** The least that a key must be. */
export interface KeyFloor {
  readonly rsaBits: number;
  readonly curves: readonly Curve[];
}

/**
 * Refuses a SubjectPublicKeyInfo whose key is below the floor. Throws RefusalError, or ProtocolError `x509-public-key` for
 * a key of a kind or size that nobody here supports.
 */
export function requireKey(publicKeyInfo: Uint8Array, floor: KeyFloor): PublicKeyKind {
  const key = describePublicKey(publicKeyInfo);
  const fault = keyFault(key, floor);
  if (fault !== undefined) throw new RefusalError("key-below-floor", "profile.keyFloor", fault);
  return key;
}

/** Why this key is below the floor; undefined if it is not. */
export function keyFault(key: PublicKeyKind, floor: KeyFloor): string | undefined {
  switch (key.kind) {
    case "rsa":
      return key.bits < floor.rsaBits
        ? `an RSA key of ${key.bits} bits is below ${floor.rsaBits}`
        : undefined;
    case "ec":
      return floor.curves.includes(key.curve)
        ? undefined
        : `curve ${key.curve} is not one of ${floor.curves.join(", ") || "none"}`;
    case "ed25519":
      return "Ed25519 keys are not supported by device platforms, and not by this profile";
  }
}
