import { createCipheriv, createDecipheriv, pbkdf2 } from "node:crypto";
import { promisify } from "node:util";
import { ProtocolError } from "@isthmus/shared/errors";
import type { DerReader } from "@isthmus/shared/x509/der-reader";
import { TAG } from "@isthmus/shared/x509/der-tag";
import {
  integer,
  nullValue,
  objectIdentifier,
  octetString,
  sequence,
} from "@isthmus/shared/x509/der-writer";
import { CIPHERS, type ContentCipher, cipherOf } from "./content-cipher.ts";
import {
  PKCS12_DIGESTS,
  PKCS12_OID,
  type Pkcs12Digest,
  pkcs12Digest,
} from "./pkcs12-algorithms.ts";
import { bmpPassword, KDF_PURPOSE, pkcs12Kdf } from "./pkcs12-kdf.ts";

const derive = promisify(pbkdf2);

/** Our own limits: those of makers we know are 8 to 32 octets. */
const MAX_SALT_BYTES = 256;
const TRIPLE_DES = { keyBytes: 24, ivBytes: 8 } as const;

/** How a bag is encrypted with a password: PKCS#12's own way with SHA-1 and triple DES, or PBES2 (RFC 8018). */
export type PasswordEncryption =
  | { readonly scheme: "pkcs12"; readonly salt: Uint8Array; readonly iterations: number }
  | {
      readonly scheme: "pbes2";
      readonly salt: Uint8Array;
      readonly iterations: number;
      readonly prf: Pkcs12Digest;
      readonly cipher: Exclude<ContentCipher, "des-cbc">;
      readonly iv: Uint8Array;
    };

/**
 * The AlgorithmIdentifier.
 *
 *     SEQUENCE { pbeWithSHAAnd3-KeyTripleDES-CBC, SEQUENCE { salt, iterations } }
 *     SEQUENCE { PBES2, SEQUENCE {
 *       SEQUENCE { PBKDF2, SEQUENCE { salt, iterations, keyLength?, prf? } },
 *       SEQUENCE { cipher, iv } } }
 */
export function encodePasswordEncryption(encryption: PasswordEncryption): Buffer {
  const { salt, iterations } = encryption;
  if (encryption.scheme === "pkcs12") {
    const parameters = sequence(octetString(salt), integer(iterations));
    return sequence(objectIdentifier(PKCS12_OID.pbeSha1TripleDes), parameters);
  }
  const { prf, cipher, iv } = encryption;
  const function_ = sequence(objectIdentifier(PKCS12_DIGESTS[prf].hmac), nullValue());
  const kdf = sequence(octetString(salt), integer(iterations), function_);
  return sequence(
    objectIdentifier(PKCS12_OID.pbes2),
    sequence(
      sequence(objectIdentifier(PKCS12_OID.pbkdf2), kdf),
      sequence(objectIdentifier(CIPHERS[cipher].oid), octetString(iv)),
    ),
  );
}

/** Throws ProtocolError `pkcs12-algorithm` for what is not read here, `der-*` for its shape. */
export function readPasswordEncryption(
  reader: DerReader,
  maxIterations: number,
): PasswordEncryption {
  const algorithm = reader.enter();
  const oid = algorithm.readObjectIdentifier();
  const parameters = algorithm.enter();
  algorithm.end();
  if (oid === PKCS12_OID.pbes2) return readPbes2(parameters, maxIterations);
  if (oid !== PKCS12_OID.pbeSha1TripleDes) throw notRead(`encryption ${oid}`);
  const salt = readSalt(parameters);
  const iterations = readIterations(parameters, maxIterations);
  parameters.end();
  return { scheme: "pkcs12", salt, iterations };
}

function readPbes2(parameters: DerReader, maxIterations: number): PasswordEncryption {
  const derivation = parameters.enter();
  const function_ = derivation.readObjectIdentifier();
  if (function_ !== PKCS12_OID.pbkdf2) throw notRead(`key derivation ${function_}`);
  const kdf = derivation.enter();
  derivation.end();
  const salt = readSalt(kdf);
  const iterations = readIterations(kdf, maxIterations);
  const keyBytes = kdf.peekTag() === TAG.integer ? kdf.readSmallInteger(64) : undefined;
  const prf = kdf.isAtEnd ? "sha1" : readPrf(kdf.enter());
  kdf.end();
  const scheme = parameters.enter();
  parameters.end();
  const oid = scheme.readObjectIdentifier();
  const cipher = cipherOf(oid);
  if (cipher === undefined || cipher === "des-cbc") throw notRead(`cipher ${oid}`);
  const iv = scheme.readOctetString();
  scheme.end();
  if (iv.length !== CIPHERS[cipher].blockBytes)
    throw broken("an initialization vector of wrong size");
  if (keyBytes !== undefined && keyBytes !== CIPHERS[cipher].keyBytes) {
    throw broken(`a key of ${keyBytes} octets for ${cipher}`);
  }
  return { scheme: "pbes2", salt, iterations, prf, cipher, iv };
}

function readPrf(algorithm: DerReader): Pkcs12Digest {
  const oid = algorithm.readObjectIdentifier();
  if (!algorithm.isAtEnd) algorithm.readNull();
  algorithm.end();
  const digest = pkcs12Digest(oid, "hmac");
  if (digest === undefined) throw notRead(`pseudo-random function ${oid}`);
  return digest;
}

/** A salt of 1 to 256 octets. */
export function readSalt(reader: DerReader): Buffer {
  const salt = reader.readOctetString();
  if (salt.length > 0 && salt.length <= MAX_SALT_BYTES) return salt;
  throw broken(`a salt of ${salt.length} octets`);
}

/** Throws `pkcs12-iterations` over the bound: the count comes from whoever wrote the file, and each costs time. */
export function readIterations(reader: DerReader, max: number): number {
  const iterations = reader.readSmallInteger(Number.MAX_SAFE_INTEGER);
  if (iterations >= 1 && iterations <= max) return iterations;
  throw new ProtocolError(
    "pkcs12-iterations",
    `PKCS#12: ${iterations} iterations are not in 1..${max}`,
  );
}

/** Encrypts with the password. */
export async function encryptWithPassword(
  encryption: PasswordEncryption,
  password: string,
  content: Uint8Array,
): Promise<Buffer> {
  const { name, key, iv } = await keyFor(encryption, bmpPassword(password), password);
  const cipher = createCipheriv(name, key, iv);
  return Buffer.concat([cipher.update(content), cipher.final()]);
}

/** Undefined where the padding is wrong, as after a wrong password. */
export async function decryptWithPassword(
  encryption: PasswordEncryption,
  password: PasswordForms,
  content: Uint8Array,
): Promise<Buffer | undefined> {
  const { name, key, iv } = await keyFor(encryption, password.bmp, password.text);
  const decipher = createDecipheriv(name, key, iv);
  try {
    return Buffer.concat([decipher.update(content), decipher.final()]);
  } catch {
    return undefined;
  }
}

/** A password as PKCS#12's own derivation takes it and as PBKDF2 does (UTF-8). */
export interface PasswordForms {
  readonly bmp: Uint8Array;
  readonly text: string;
}

async function keyFor(encryption: PasswordEncryption, bmp: Uint8Array, text: string) {
  const { salt, iterations } = encryption;
  if (encryption.scheme === "pbes2") {
    const { keyBytes, openssl } = CIPHERS[encryption.cipher];
    const key = await derive(text, salt, iterations, keyBytes, encryption.prf);
    return { name: openssl, key, iv: encryption.iv };
  }
  const parts = { digest: "sha1", password: bmp, salt, iterations } as const;
  const { keyBytes, ivBytes } = TRIPLE_DES;
  return {
    name: "des-ede3-cbc",
    key: pkcs12Kdf({ ...parts, purpose: KDF_PURPOSE.key, bytes: keyBytes }),
    iv: pkcs12Kdf({ ...parts, purpose: KDF_PURPOSE.iv, bytes: ivBytes }),
  };
}

function notRead(what: string): ProtocolError {
  return new ProtocolError("pkcs12-algorithm", `PKCS#12: ${what} is not read here`);
}

function broken(what: string): ProtocolError {
  return new ProtocolError("pkcs12-malformed", `PKCS#12: ${what}`);
}
