import { ProtocolError } from "@isthmus/shared/errors";
import type { DerReader } from "@isthmus/shared/x509/der-reader";
import { TAG } from "@isthmus/shared/x509/der-tag";
import { explicit, nullValue, objectIdentifier, sequence } from "@isthmus/shared/x509/der-writer";
import { OID } from "@isthmus/shared/x509/object-identifiers";

/** How a content key is encrypted to an RSA key: PKCS#1 v1.5, or OAEP with one digest for label and mask. */
export type KeyEncryption =
  | { readonly scheme: "pkcs1" }
  | { readonly scheme: "oaep"; readonly digest: OaepDigest };

export type OaepDigest = "sha1" | "sha256" | "sha384" | "sha512";

const DIGEST_OIDS: Readonly<Record<OaepDigest, string>> = {
  sha1: OID.sha1,
  sha256: OID.sha256,
  sha384: OID.sha384,
  sha512: OID.sha512,
};

/**
 * Reads the AlgorithmIdentifier of a key encryption (RFC 3370, RFC 4055 section 4.1). OAEP parameters may be absent or NULL
 * too, which current Windows sends: both mean the defaults, SHA-1 throughout.
 * Throws `cms-algorithm` for other algorithms, a digest that differs between label and mask, and a label.
 *
 *     RSAES-OAEP-params ::= SEQUENCE { hashFunc [0]?, maskGenFunc [1]?, pSourceFunc [2]? }
 */
export function readKeyEncryption(reader: DerReader): KeyEncryption {
  const algorithm = reader.enter();
  const oid = algorithm.readObjectIdentifier();
  if (oid === OID.rsaEncryption) {
    if (!algorithm.isAtEnd) algorithm.readNull();
    algorithm.end();
    return { scheme: "pkcs1" };
  }
  if (oid !== OID.rsaesOaep) throw fault(`key encryption ${oid} is not allowed`);
  const hasParameters = algorithm.peekTag() === TAG.sequence;
  const digest = hasParameters ? readOaepParameters(algorithm.enter()) : "sha1";
  if (!hasParameters && !algorithm.isAtEnd) algorithm.readNull();
  algorithm.end();
  return { scheme: "oaep", digest };
}

function readOaepParameters(parameters: DerReader): OaepDigest {
  const digest = digestOf(parameters.enterOptional(0xa0)?.enter());
  const mask = parameters.enterOptional(0xa1)?.enter();
  if (mask !== undefined && mask.readObjectIdentifier() !== OID.mgf1) {
    throw fault("OAEP with another mask than MGF1");
  }
  const maskDigest = digestOf(mask?.enter());
  if (maskDigest !== digest) throw fault(`OAEP with ${digest} and a mask of ${maskDigest}`);
  refuseLabel(parameters.enterOptional(0xa2)?.enter());
  parameters.end();
  return digest;
}

function digestOf(algorithm: DerReader | undefined): OaepDigest {
  const oid = algorithm?.readObjectIdentifier() ?? OID.sha1;
  for (const [digest, known] of Object.entries(DIGEST_OIDS)) {
    if (known === oid) return digest as OaepDigest;
  }
  throw fault(`OAEP with digest ${oid} is not allowed`);
}

function refuseLabel(source: DerReader | undefined): void {
  if (source === undefined) return;
  const isEmpty =
    source.readObjectIdentifier() === OID.pSpecified && source.readOctetString().length === 0;
  if (!isEmpty) throw fault("OAEP with a label");
}

/** The AlgorithmIdentifier; defaults of OAEP are left out as DER demands. */
export function encodeKeyEncryption(keyEncryption: KeyEncryption): Buffer {
  if (keyEncryption.scheme === "pkcs1") {
    return sequence(objectIdentifier(OID.rsaEncryption), nullValue());
  }
  const { digest } = keyEncryption;
  if (digest === "sha1") return sequence(objectIdentifier(OID.rsaesOaep), sequence());
  const algorithm = sequence(objectIdentifier(DIGEST_OIDS[digest]), nullValue());
  const mask = sequence(objectIdentifier(OID.mgf1), algorithm);
  const parameters = sequence(explicit(0, algorithm), explicit(1, mask));
  return sequence(objectIdentifier(OID.rsaesOaep), parameters);
}

function fault(message: string): ProtocolError {
  return new ProtocolError("cms-algorithm", `EnvelopedData: ${message}`);
}
