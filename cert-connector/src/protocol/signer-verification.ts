import { hash, type KeyObject } from "node:crypto";
import { ProtocolError } from "@isthmus/shared/errors";
import { readAlgorithm } from "@isthmus/shared/x509/algorithm-identifier";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";
import { DerReader } from "@isthmus/shared/x509/der-reader";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import {
  parseSignatureAlgorithm,
  SHA1_WITH_RSA,
  SIGNATURE,
  type SignatureAlgorithm,
  verify,
} from "@isthmus/shared/x509/signature";
import { isIdentifiedBy } from "./issuer-and-serial.ts";
import type { SignedData, SignerInfo } from "./signed-data.ts";

const DIGESTS: Readonly<Record<string, "sha256" | "sha384" | "sha512">> = {
  [OID.sha256]: "sha256",
  [OID.sha384]: "sha384",
  [OID.sha512]: "sha512",
};

export interface LegacyOptions {
  /** Accept SHA-1 from clients that know nothing better. */
  readonly allowLegacy?: boolean;
}

/** The certificate of a signer among those that came along. Throws `cms-signer` if it is not there. */
export function findSignerCertificate(data: SignedData, { signer }: SignerInfo): Certificate {
  const isSigner = (candidate: Certificate) =>
    signer.by === "issuerAndSerial"
      ? isIdentifiedBy(candidate, signer)
      : candidate.subjectKeyIdentifier?.equals(signer.keyIdentifier) === true;
  for (const der of data.certificates) {
    const candidate = parseCertificate(der);
    if (isSigner(candidate)) return candidate;
  }
  throw new ProtocolError("cms-signer", "SignedData: the signer's certificate did not come along");
}

/**
 * Checks that `publicKey` signed this content with these attributes (RFC 5652 section 5.6).
 * Throws `cms-digest-algorithm`, `x509-signature-algorithm`, or `cms-signature`.
 */
export function verifySigner(
  data: SignedData,
  info: SignerInfo,
  publicKey: KeyObject,
  options: LegacyOptions = {},
): void {
  const digest = digestOf(info.digestAlgorithm, options);
  const contentType = attributeOf(info, OID.contentType, (reader) => reader.readObjectIdentifier());
  const messageDigest = attributeOf(info, OID.messageDigest, (reader) => reader.readOctetString());
  if (
    contentType !== data.contentType ||
    !messageDigest.equals(hash(digest, data.content, "buffer"))
  ) {
    throw wrongSignature("the attributes do not belong to the content");
  }
  const algorithm = algorithmOf(info, digest, options);
  if (!verify(algorithm, info.signedAttributes, info.signature, publicKey)) {
    throw wrongSignature("the signature is wrong");
  }
}

type Digest = "sha1" | "sha256" | "sha384" | "sha512";

function digestOf(oid: string, { allowLegacy = false }: LegacyOptions): Digest {
  const digest = DIGESTS[oid] ?? (oid === OID.sha1 && allowLegacy ? "sha1" : undefined);
  if (digest !== undefined) return digest;
  throw new ProtocolError("cms-digest-algorithm", `SignedData: digest ${oid} is not allowed`);
}

const RSA_BY_DIGEST: Readonly<Record<Digest, SignatureAlgorithm>> = {
  sha1: SHA1_WITH_RSA,
  sha256: SIGNATURE.sha256WithRSA,
  sha384: SIGNATURE.sha384WithRSA,
  sha512: SIGNATURE.sha512WithRSA,
};

/** Plain rsaEncryption takes the digest from digestAlgorithm (RFC 3370 section 3.2); a whole algorithm must agree with it. */
function algorithmOf(info: SignerInfo, digest: Digest, { allowLegacy }: LegacyOptions) {
  const oid = readAlgorithm(new DerReader(info.signatureAlgorithm));
  if (oid === OID.rsaEncryption) return RSA_BY_DIGEST[digest];
  const options = allowLegacy ? { allowSha1: true } : {};
  const algorithm = parseSignatureAlgorithm(info.signatureAlgorithm, options);
  if (algorithm.digest !== digest) throw wrongSignature("its algorithm is of another digest");
  return algorithm;
}

/** Reads the value of a signed attribute that must be there. Throws `cms-attribute`. */
export function attributeOf<T>(info: SignerInfo, type: string, read: (reader: DerReader) => T): T {
  const value = info.attributes.get(type);
  if (value === undefined) {
    throw new ProtocolError("cms-attribute", `SignedData: signed attribute ${type} is missing`);
  }
  const reader = new DerReader(value);
  const result = read(reader);
  reader.end();
  return result;
}

function wrongSignature(message: string): ProtocolError {
  return new ProtocolError("cms-signature", `SignedData: ${message}`);
}
