import { hash } from "node:crypto";
import { ProtocolError } from "../errors.ts";
import { readAlgorithm } from "./algorithm-identifier.ts";
import type { Certificate } from "./certificate.ts";
import { encodeSerialNumber, readSerialNumber } from "./certificate.ts";
import { DerReader } from "./der-reader.ts";
import { TAG } from "./der-tag.ts";
import { explicit, nullValue, objectIdentifier, octetString, sequence } from "./der-writer.ts";
import {
  type Extension,
  encodeExtensions,
  findExtension,
  parseWhole,
  readExtensions,
} from "./extensions.ts";
import { OID } from "./object-identifiers.ts";
import { keyBitsOf } from "./public-key.ts";

/** Which certificate an OCSP message speaks of (RFC 6960 section 4.1.1). */
export interface CertId {
  /** Of the CertID, so that an answer repeats it byte for byte. */
  readonly der: Buffer;
  /** Dotted identifier of the digest. */
  readonly hashAlgorithm: string;
  readonly issuerNameHash: Buffer;
  readonly issuerKeyHash: Buffer;
  /** Lower-case hex as in `Certificate`. */
  readonly serialNumber: string;
}

/**
 * An OCSP request (RFC 6960 section 4.1); a signature on it is passed over.
 *
 *     SEQUENCE {
 *       tbsRequest SEQUENCE {
 *         version [0]?, requestorName [1]?, requestList SEQUENCE OF SEQUENCE { reqCert CertID, extensions [0]? },
 *         requestExtensions [2]? }
 *       optionalSignature [0]? }
 */
export interface OcspRequest {
  readonly certIds: readonly CertId[];
  readonly nonce: Buffer | undefined;
}

/** Our own limits. */
const MAX_REQUEST_BYTES = 16_384;
const MAX_CERT_IDS = 32;
/** RFC 9654 section 2.1. */
const MAX_NONCE_OCTETS = 128;

/** Reads a request. Throws `der-*` or `x509-ocsp-request`. */
export function parseOcspRequest(der: Uint8Array): OcspRequest {
  if (der.length > MAX_REQUEST_BYTES)
    throw fault(`${der.length} bytes exceed ${MAX_REQUEST_BYTES}`);
  const outer = new DerReader(der);
  const body = outer.enter();
  outer.end();
  const tbs = body.enter();
  body.enterOptional(0xa0);
  body.end();
  tbs.enterOptional(0xa0)?.readSmallInteger(0);
  tbs.enterOptional(0xa1);
  const certIds = readRequestList(tbs.enter());
  const extensions = readExplicitExtensions(tbs.enterOptional(0xa2));
  tbs.end();
  return { certIds, nonce: nonceOf(extensions) };
}

function readRequestList(list: DerReader): CertId[] {
  const certIds: CertId[] = [];
  while (!list.isAtEnd) {
    if (certIds.length === MAX_CERT_IDS) throw fault(`more than ${MAX_CERT_IDS} certificates`);
    const request = list.enter();
    certIds.push(readCertId(request));
    readExplicitExtensions(request.enterOptional(0xa0));
    request.end();
  }
  if (certIds.length === 0) throw fault("it asks for no certificate");
  return certIds;
}

/** Reads the extensions inside an explicit tag. */
export function readExplicitExtensions(within: DerReader | undefined): Extension[] {
  if (within === undefined) return [];
  const extensions = readExtensions(within);
  within.end();
  return extensions;
}

/** The nonce among the extensions of a request or a response. Throws `x509-ocsp-request` for one that is too long. */
export function nonceOf(extensions: readonly Extension[]): Buffer | undefined {
  const extension = findExtension(extensions, OID.ocspNonce);
  if (extension === undefined) return undefined;
  const nonce = parseWhole(extension.value, (reader) => reader.readOctetString());
  if (nonce.length > MAX_NONCE_OCTETS) throw fault(`a nonce of ${nonce.length} octets`);
  return nonce;
}

export function nonceExtension(nonce: Uint8Array): Extension {
  return { oid: OID.ocspNonce, critical: false, value: octetString(nonce) };
}

/** CertID ::= SEQUENCE { hashAlgorithm, issuerNameHash, issuerKeyHash, serialNumber } */
export function readCertId(reader: DerReader): CertId {
  const der = reader.readRaw(TAG.sequence);
  const body = new DerReader(der).enter();
  const hashAlgorithm = readAlgorithm(body);
  const issuerNameHash = body.readOctetString();
  const issuerKeyHash = body.readOctetString();
  const serialNumber = readSerialNumber(body);
  body.end();
  return { der, hashAlgorithm, issuerNameHash, issuerKeyHash, serialNumber };
}

const DIGESTS: Readonly<Record<string, string>> = {
  [OID.sha1]: "sha1",
  [OID.sha256]: "sha256",
  [OID.sha384]: "sha384",
  [OID.sha512]: "sha512",
};

type Issuer = Pick<Certificate, "subject" | "publicKeyInfo">;

/** The CertID of a certificate by its issuer. SHA-1 is what every responder understands; it only names the issuer. */
export function certIdFor(
  issuer: Issuer,
  serialNumber: string,
  hashAlgorithm: string = OID.sha1,
): CertId {
  const digest = DIGESTS[hashAlgorithm];
  if (digest === undefined) throw fault(`digest ${hashAlgorithm} is not supported`);
  const issuerNameHash = hash(digest, issuer.subject.der, "buffer");
  const issuerKeyHash = hash(digest, keyBitsOf(issuer.publicKeyInfo), "buffer");
  const der = sequence(
    sequence(objectIdentifier(hashAlgorithm), nullValue()),
    octetString(issuerNameHash),
    octetString(issuerKeyHash),
    encodeSerialNumber(serialNumber),
  );
  return { der, hashAlgorithm, issuerNameHash, issuerKeyHash, serialNumber };
}

/** Whether a CertID names a certificate of this issuer; false for digests that are not supported. */
export function isIssuedBy(certId: CertId, issuer: Issuer): boolean {
  const digest = DIGESTS[certId.hashAlgorithm];
  if (digest === undefined) return false;
  return (
    certId.issuerNameHash.equals(hash(digest, issuer.subject.der, "buffer")) &&
    certId.issuerKeyHash.equals(hash(digest, keyBitsOf(issuer.publicKeyInfo), "buffer"))
  );
}

/** Writes an unsigned request. */
export function encodeOcspRequest(request: {
  readonly certIds: readonly Pick<CertId, "der">[];
  readonly nonce?: Uint8Array;
}): Buffer {
  const list = sequence(...request.certIds.map(({ der }) => sequence(der)));
  const extensions =
    request.nonce === undefined
      ? []
      : [explicit(2, encodeExtensions([nonceExtension(request.nonce)]))];
  return sequence(sequence(list, ...extensions));
}

function fault(message: string): ProtocolError {
  return new ProtocolError("x509-ocsp-request", `OCSP request: ${message}`);
}
