import { createHmac } from "node:crypto";
import type { Random } from "@isthmus/shared/random";
import { TAG } from "@isthmus/shared/x509/der-tag";
import {
  element,
  explicit,
  implicit,
  integer,
  nullValue,
  objectIdentifier,
  octetString,
  sequence,
  setOf,
} from "@isthmus/shared/x509/der-writer";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { CIPHERS } from "./content-cipher.ts";
import { PKCS12_DIGESTS, PKCS12_OID, type Pkcs12Digest } from "./pkcs12-algorithms.ts";
import {
  encodePasswordEncryption,
  encryptWithPassword,
  type PasswordEncryption,
} from "./pkcs12-encryption.ts";
import { bmpPassword, KDF_PURPOSE, pkcs12Kdf } from "./pkcs12-kdf.ts";

/**
 * Two kinds of PFX. `legacy`: SHA-1 and triple DES on both bags and a SHA-1 MAC, which every Windows, Apple and Android
 * reads. `modern`: PBES2 with AES-256 and SHA-256 throughout, which old Apple and Android devices refuse.
 */
export type Pkcs12Format = "legacy" | "modern";

/**
 * Iterations. The passwords we make are random (192 bits), so that stretching adds nothing to them: the counts are what
 * readers expect at least (Windows writes 2000, OpenSSL 2048).
 */
const LEGACY_ITERATIONS = 2_048;
const MODERN_ITERATIONS = 10_000;
const MAC_ITERATIONS = 2_048;
const SALT_BYTES = 16;

/** What goes into a PFX. */
export interface Pkcs12Content {
  /** PKCS#8 PrivateKeyInfo, DER. */
  readonly privateKey: Uint8Array;
  /** The certificate of that key, DER. */
  readonly certificate: Uint8Array;
  /** Its issuers, the nearest first, DER. */
  readonly chain: readonly Uint8Array[];
  readonly friendlyName?: string | undefined;
  /** Names key and certificate as belonging together; the certificate's SHA-1 by custom. */
  readonly localKeyId: Uint8Array;
}

/**
 * Writes a PFX (RFC 7292 section 4), DER.
 *
 *     SEQUENCE { 3, ContentInfo { data, SEQUENCE {
 *       ContentInfo { encryptedData: the certificates }
 *       ContentInfo { data: the key, encrypted by itself } } }
 *     MacData }
 */
export async function encodePkcs12(
  content: Pkcs12Content,
  of: { readonly format: Pkcs12Format; readonly password: string },
  random: Random,
): Promise<Buffer> {
  const { format, password } = of;
  const encrypted = async (plain: Uint8Array) => {
    const encryption = encryptionOf(format, random);
    return { encryption, bytes: await encryptWithPassword(encryption, password, plain) };
  };
  const attributes = attributesOf(content);
  const certificates = sequence(
    certificateBag(content.certificate, attributes),
    ...content.chain.map((certificate) => certificateBag(certificate, [])),
  );
  const key = await encrypted(content.privateKey);
  const shrouded = sequence(encodePasswordEncryption(key.encryption), octetString(key.bytes));
  const keys = sequence(bag(PKCS12_OID.shroudedKeyBag, shrouded, attributes));
  const safe = sequence(encryptedData(await encrypted(certificates)), data(keys));
  return sequence(integer(3), data(safe), macData(safe, format, password, random));
}

function encryptionOf(format: Pkcs12Format, random: Random): PasswordEncryption {
  const salt = random.bytes(SALT_BYTES);
  if (format === "legacy") return { scheme: "pkcs12", salt, iterations: LEGACY_ITERATIONS };
  const cipher = "aes-256-cbc";
  const iv = random.bytes(CIPHERS[cipher].blockBytes);
  return { scheme: "pbes2", salt, iterations: MODERN_ITERATIONS, prf: "sha256", cipher, iv };
}

/** ContentInfo of type data. */
function data(content: Uint8Array): Buffer {
  return sequence(objectIdentifier(OID.data), explicit(0, octetString(content)));
}

/** ContentInfo of type encryptedData (RFC 5652 section 8). */
function encryptedData(of: {
  readonly encryption: PasswordEncryption;
  readonly bytes: Uint8Array;
}): Buffer {
  const content = sequence(
    objectIdentifier(OID.data),
    encodePasswordEncryption(of.encryption),
    implicit(0, of.bytes),
  );
  return sequence(
    objectIdentifier(PKCS12_OID.encryptedData),
    explicit(0, sequence(integer(0), content)),
  );
}

function certificateBag(certificate: Uint8Array, attributes: readonly Buffer[]): Buffer {
  const value = sequence(
    objectIdentifier(PKCS12_OID.x509Certificate),
    explicit(0, octetString(certificate)),
  );
  return bag(PKCS12_OID.certBag, value, attributes);
}

function bag(oid: string, value: Uint8Array, attributes: readonly Buffer[]): Buffer {
  const set = attributes.length === 0 ? [] : [setOf(...attributes)];
  return sequence(objectIdentifier(oid), explicit(0, value), ...set);
}

function attributesOf({ friendlyName, localKeyId }: Pkcs12Content): Buffer[] {
  const attribute = (oid: string, value: Buffer) => sequence(objectIdentifier(oid), setOf(value));
  const name = Buffer.from(friendlyName ?? "", "utf16le").swap16();
  return [
    attribute(PKCS12_OID.localKeyId, octetString(localKeyId)),
    ...(name.length === 0
      ? []
      : [attribute(PKCS12_OID.friendlyName, element(TAG.bmpString, name))]),
  ];
}

function macData(safe: Uint8Array, format: Pkcs12Format, password: string, random: Random): Buffer {
  const digest: Pkcs12Digest = format === "legacy" ? "sha1" : "sha256";
  const salt = random.bytes(SALT_BYTES);
  const key = pkcs12Kdf({
    digest,
    password: bmpPassword(password),
    salt,
    iterations: MAC_ITERATIONS,
    purpose: KDF_PURPOSE.mac,
    bytes: PKCS12_DIGESTS[digest].outputBytes,
  });
  const mac = createHmac(digest, key).update(safe).digest();
  const algorithm = sequence(objectIdentifier(PKCS12_DIGESTS[digest].oid), nullValue());
  return sequence(
    sequence(algorithm, octetString(mac)),
    octetString(salt),
    integer(MAC_ITERATIONS),
  );
}
