import { createSecretKey, type KeyObject } from "node:crypto";
import { OID } from "@isthmus/shared/x509/object-identifiers";

/** Algorithm identifier, key size on the wire, and the OpenSSL name with the size of its key and block. */
export const CIPHERS = {
  "aes-128-cbc": { oid: OID.aes128Cbc, keyBytes: 16, openssl: "aes-128-cbc", blockBytes: 16 },
  "aes-192-cbc": { oid: OID.aes192Cbc, keyBytes: 24, openssl: "aes-192-cbc", blockBytes: 16 },
  "aes-256-cbc": { oid: OID.aes256Cbc, keyBytes: 32, openssl: "aes-256-cbc", blockBytes: 16 },
  "des-ede3-cbc": { oid: OID.desEde3Cbc, keyBytes: 24, openssl: "des-ede3-cbc", blockBytes: 8 },
  // OpenSSL's default provider has no single DES; three equal keys of triple DES are the same.
  "des-cbc": { oid: OID.desCbc, keyBytes: 8, openssl: "des-ede3-cbc", blockBytes: 8 },
} as const;
export type ContentCipher = keyof typeof CIPHERS;

/** Broken or short of block: only behind the legacy switch of a profile. */
export const LEGACY_CIPHERS: readonly ContentCipher[] = ["des-ede3-cbc", "des-cbc"];

/** The cipher with this algorithm identifier. */
export function cipherOf(oid: string): ContentCipher | undefined {
  for (const [cipher, known] of Object.entries(CIPHERS)) {
    if (known.oid === oid) return cipher as ContentCipher;
  }
  return undefined;
}

/** The key as OpenSSL takes it. As a key object, because Node turns bytes into one in a way that costs three times more. */
export function cipherKey(cipher: ContentCipher, key: Uint8Array): KeyObject {
  return createSecretKey(cipher === "des-cbc" ? Buffer.concat([key, key, key]) : key);
}
