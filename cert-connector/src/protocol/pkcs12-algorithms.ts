/** Object identifiers of PKCS#12 and PKCS#5 (RFC 7292 appendix D, RFC 8018 appendix C). */
export const PKCS12_OID = {
  keyBag: "1.2.840.113549.1.12.10.1.1",
  shroudedKeyBag: "1.2.840.113549.1.12.10.1.2",
  certBag: "1.2.840.113549.1.12.10.1.3",
  x509Certificate: "1.2.840.113549.1.9.22.1",
  friendlyName: "1.2.840.113549.1.9.20",
  localKeyId: "1.2.840.113549.1.9.21",
  encryptedData: "1.2.840.113549.1.7.6",
  pbeSha1TripleDes: "1.2.840.113549.1.12.1.3",
  pbes2: "1.2.840.113549.1.5.13",
  pbkdf2: "1.2.840.113549.1.5.12",
} as const;

/** Digests by name, with the octets of their output and of their block: the u and v of RFC 7292 appendix B.2. */
export const PKCS12_DIGESTS = {
  sha1: { oid: "1.3.14.3.2.26", hmac: "1.2.840.113549.2.7", outputBytes: 20, blockBytes: 64 },
  sha256: {
    oid: "2.16.840.1.101.3.4.2.1",
    hmac: "1.2.840.113549.2.9",
    outputBytes: 32,
    blockBytes: 64,
  },
  sha384: {
    oid: "2.16.840.1.101.3.4.2.2",
    hmac: "1.2.840.113549.2.10",
    outputBytes: 48,
    blockBytes: 128,
  },
  sha512: {
    oid: "2.16.840.1.101.3.4.2.3",
    hmac: "1.2.840.113549.2.11",
    outputBytes: 64,
    blockBytes: 128,
  },
} as const;
export type Pkcs12Digest = keyof typeof PKCS12_DIGESTS;

/** The digest with this object identifier: its own, or that of HMAC over it. */
export function pkcs12Digest(oid: string, as: "oid" | "hmac"): Pkcs12Digest | undefined {
  for (const [digest, known] of Object.entries(PKCS12_DIGESTS)) {
    if (known[as] === oid) return digest as Pkcs12Digest;
  }
  return undefined;
}
