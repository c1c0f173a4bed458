import { constants, hash, type KeyObject, privateDecrypt, publicEncrypt } from "node:crypto";
import { ProtocolError } from "@isthmus/shared/errors";
import type { Random } from "@isthmus/shared/random";
import { type PfxIdentity, packPfx } from "./pfx-envelope.ts";
import { identityIn, type Pkcs12Identity } from "./pkcs12-identity.ts";
import { parsePkcs12 } from "./pkcs12-reader.ts";

/** RSA-OAEP by the names of Graph's userPfxCertificate. */
export const PADDING_SCHEMES = {
  oaepSha256: "sha256",
  oaepSha384: "sha384",
  oaepSha512: "sha512",
} as const;
export type PaddingScheme = keyof typeof PADDING_SCHEMES;

/** The secrets of a userPfxCertificate, in base64. */
export interface EncryptedPfx {
  readonly paddingScheme: PaddingScheme;
  /** The PFX itself, under its password. */
  readonly encryptedPfxBlob: string;
  /** The password, encrypted: the low octet of each UTF-16 unit, so ASCII only. */
  readonly encryptedPfxPassword: string;
}

/** Our own limit: makers write 2,000 to 100,000, and each costs the connector time. */
const MAX_ITERATIONS = 200_000;
/** Less than a second in which nothing else is served, by whatever record a control plane may send. */
const MAX_HASH_ROUNDS = 400_000;

/**
 * Packs an identity anew, under a random password in place of a person's, and encrypts that to the import key: whoever
 * holds the record but not the key has nothing to guess at.
 */
export async function encryptPfx(
  identity: PfxIdentity,
  to: {
    readonly publicKey: KeyObject;
    readonly paddingScheme: PaddingScheme;
    readonly format: "legacy" | "modern";
  },
  random: Random,
): Promise<EncryptedPfx> {
  const { pfx, password } = await packPfx(identity, to.format, random);
  const encrypted = publicEncrypt(
    oaep(to.publicKey, to.paddingScheme),
    Buffer.from(password, "latin1"),
  );
  return {
    paddingScheme: to.paddingScheme,
    encryptedPfxBlob: pfx.toString("base64"),
    encryptedPfxPassword: encrypted.toString("base64"),
  };
}

/**
 * Opens a record with the import key. Throws ProtocolError `pfx-key` where the password was encrypted to another key, or
 * those of `parsePkcs12` and `identityIn`.
 */
export async function decryptPfx(of: EncryptedPfx, importKey: KeyObject): Promise<Pkcs12Identity> {
  const pfx = Buffer.from(of.encryptedPfxBlob, "base64");
  const password = passwordOf(of, importKey);
  const effort = { maxIterations: MAX_ITERATIONS, maxHashRounds: MAX_HASH_ROUNDS };
  return identityIn(await parsePkcs12(pfx, password, effort));
}

function passwordOf(of: EncryptedPfx, importKey: KeyObject): string {
  try {
    const encrypted = Buffer.from(of.encryptedPfxPassword, "base64");
    return privateDecrypt(oaep(importKey, of.paddingScheme), encrypted).toString("latin1");
  } catch (cause) {
    const message = "the password of the PFX was not encrypted to this import key";
    throw new ProtocolError("pfx-key", message, cause);
  }
}

function oaep(key: KeyObject, paddingScheme: PaddingScheme) {
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  return { key, padding, oaepHash: PADDING_SCHEMES[paddingScheme] };
}

/** The thumbprint of Graph's userPfxCertificate: SHA-1, lower-case hex. A name, not a protection. */
export function sha1Thumbprint(certificate: Uint8Array): string {
  return hash("sha1", certificate, "hex");
}
