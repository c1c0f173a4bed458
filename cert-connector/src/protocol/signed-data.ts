import { hash } from "node:crypto";
import { ProtocolError } from "@isthmus/shared/errors";
import { readAlgorithm } from "@isthmus/shared/x509/algorithm-identifier";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import { DerReader } from "@isthmus/shared/x509/der-reader";
import { TAG } from "@isthmus/shared/x509/der-tag";
import {
  element,
  explicit,
  integer,
  nullValue,
  objectIdentifier,
  octetString,
  sequence,
  setOf,
} from "@isthmus/shared/x509/der-writer";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { SHA1_WITH_RSA, SIGNATURE, sign } from "@isthmus/shared/x509/signature";
import type { SigningKey } from "@isthmus/shared/x509/signing-key";
import {
  encodeIssuerAndSerial,
  type IssuerAndSerial,
  readIssuerAndSerial,
} from "./issuer-and-serial.ts";

/**
 * CMS SignedData in its ContentInfo (RFC 5652 section 5), read whole; nothing in it is verified.
 *
 *     SEQUENCE { signedData, [0] SEQUENCE {
 *       version, digestAlgorithms SET OF,
 *       encapContentInfo SEQUENCE { eContentType, eContent [0] OCTET STRING? },
 *       certificates [0] SET OF?, crls [1] SET OF?,
 *       signerInfos SET OF SEQUENCE {
 *         version, sid, digestAlgorithm, signedAttrs [0] SET OF?, signatureAlgorithm, signature OCTET STRING,
 *         unsignedAttrs [1]? } } }
 */
export interface SignedData {
  readonly contentType: string;
  /** Empty where there is none. */
  readonly content: Buffer;
  readonly certificates: readonly Buffer[];
  readonly certificateLists: readonly Buffer[];
  readonly signers: readonly SignerInfo[];
}

export interface SignerInfo {
  readonly signer: SignerIdentifier;
  /** Dotted identifier of the digest. */
  readonly digestAlgorithm: string;
  /** The attributes as they were signed: DER of a SET. */
  readonly signedAttributes: Buffer;
  /** By dotted type; the DER of the one value. */
  readonly attributes: ReadonlyMap<string, Buffer>;
  /** AlgorithmIdentifier, DER. */
  readonly signatureAlgorithm: Buffer;
  readonly signature: Buffer;
}

export type SignerIdentifier =
  | ({ readonly by: "issuerAndSerial" } & IssuerAndSerial)
  | { readonly by: "keyIdentifier"; readonly keyIdentifier: Buffer };

/** Our own limits. */
const MAX_CERTIFICATES = 16;
const MAX_SIGNERS = 4;
const MAX_ATTRIBUTES = 32;

/** Reads SignedData; BER is accepted outside of what is signed. Throws `der-*`, `x509-*` or `cms-signed-data`. */
export function parseSignedData(der: Uint8Array): SignedData {
  const outer = new DerReader(der, { allowBer: true });
  const contentInfo = outer.enter();
  outer.end();
  if (contentInfo.readObjectIdentifier() !== OID.signedData) throw fault("it is another content");
  const explicitTag = contentInfo.enter(0xa0);
  contentInfo.end();
  const body = explicitTag.enter();
  explicitTag.end();
  body.readSmallInteger(5);
  readDigestAlgorithms(body.enter(TAG.set));
  const encapsulated = readEncapsulated(body.enter());
  const certificates = readRawSet(body.enterOptional(0xa0));
  const certificateLists = readRawSet(body.enterOptional(0xa1));
  const signers = readSigners(body.enter(TAG.set));
  body.end();
  return { ...encapsulated, certificates, certificateLists, signers };
}

/** A hint of what is to come, for readers in one pass; nothing relies on it. */
function readDigestAlgorithms(set: DerReader): void {
  while (!set.isAtEnd) readAlgorithm(set);
}

function readEncapsulated(body: DerReader): Pick<SignedData, "contentType" | "content"> {
  const contentType = body.readObjectIdentifier();
  const explicitTag = body.enterOptional(0xa0);
  body.end();
  const content = explicitTag?.readOctetString() ?? Buffer.alloc(0);
  explicitTag?.end();
  return { contentType, content };
}

function readRawSet(set: DerReader | undefined): Buffer[] {
  const members: Buffer[] = [];
  while (set !== undefined && !set.isAtEnd) {
    if (members.length === MAX_CERTIFICATES) throw fault(`more than ${MAX_CERTIFICATES} of a kind`);
    members.push(set.readRaw(TAG.sequence));
  }
  return members;
}

function readSigners(set: DerReader): SignerInfo[] {
  const signers: SignerInfo[] = [];
  while (!set.isAtEnd) {
    if (signers.length === MAX_SIGNERS) throw fault(`more than ${MAX_SIGNERS} signers`);
    signers.push(readSignerInfo(set.enter()));
  }
  return signers;
}

function readSignerInfo(body: DerReader): SignerInfo {
  body.readSmallInteger(3);
  const signer = readSignerIdentifier(body);
  const digestAlgorithm = readAlgorithm(body);
  const signedAttributes = asSet(body.readRaw(0xa0));
  const signatureAlgorithm = body.readRaw(TAG.sequence);
  const signature = body.readOctetString();
  body.enterOptional(0xa1);
  body.end();
  const attributes = readAttributes(signedAttributes);
  return {
    signer,
    digestAlgorithm,
    signedAttributes,
    attributes,
    signatureAlgorithm,
    signature,
  };
}

function readSignerIdentifier(body: DerReader): SignerIdentifier {
  const keyIdentifier = body.readOptional(0x80);
  if (keyIdentifier !== undefined) return { by: "keyIdentifier", keyIdentifier };
  return { by: "issuerAndSerial", ...readIssuerAndSerial(body) };
}

/** What is signed is the SET itself, not the implicit tag that stands in its place (RFC 5652 section 5.4). */
function asSet(implicitlyTagged: Buffer): Buffer {
  const set = Buffer.from(implicitlyTagged);
  set[0] = TAG.set;
  return set;
}

/** Strict DER: RFC 5652 section 5.3 wants it of signed attributes, whatever the rest is in. */
function readAttributes(set: Buffer): Map<string, Buffer> {
  const outer = new DerReader(set);
  const body = outer.enter(TAG.set);
  outer.end();
  const attributes = new Map<string, Buffer>();
  while (!body.isAtEnd) {
    const attribute = body.enter();
    const type = attribute.readObjectIdentifier();
    const values = attribute.enter(TAG.set);
    attribute.end();
    if (attributes.has(type)) throw fault(`signed attribute ${type} comes twice`);
    if (attributes.size === MAX_ATTRIBUTES) throw fault(`more than ${MAX_ATTRIBUTES} attributes`);
    attributes.set(type, values.readRaw());
    values.end();
  }
  return attributes;
}

/** What goes into SignedData with one signer. */
export interface SignedContent {
  readonly content: Uint8Array;
  readonly certificates: readonly Uint8Array[];
  readonly signer: { readonly certificate: Certificate; readonly privateKey: SigningKey };
  readonly digest: "sha1" | "sha256" | "sha512";
  /** Beside contentType and messageDigest: type and DER of the value. */
  readonly attributes: readonly (readonly [type: string, value: Uint8Array])[];
}

const RSA = {
  sha1: SHA1_WITH_RSA,
  sha256: SIGNATURE.sha256WithRSA,
  sha512: SIGNATURE.sha512WithRSA,
} as const;
const DIGEST_OIDS = { sha1: OID.sha1, sha256: OID.sha256, sha512: OID.sha512 } as const;

/** Signs with RSA. SignerInfo.signatureAlgorithm is rsaEncryption: strongSwan 5.9.8 takes nothing else. */
export async function encodeSignedData(of: SignedContent): Promise<Buffer> {
  const attributes = setOf(
    attribute(OID.contentType, objectIdentifier(OID.data)),
    attribute(OID.messageDigest, octetString(hash(of.digest, of.content, "buffer"))),
    ...of.attributes.map(([type, value]) => attribute(type, value)),
  );
  const signature = await sign(RSA[of.digest], attributes, of.signer.privateKey);
  attributes[0] = 0xa0;
  const digestAlgorithm = sequence(objectIdentifier(DIGEST_OIDS[of.digest]), nullValue());
  const signerInfo = sequence(
    integer(1),
    encodeIssuerAndSerial(of.signer.certificate),
    digestAlgorithm,
    attributes,
    sequence(objectIdentifier(OID.rsaEncryption), nullValue()),
    octetString(signature),
  );
  const encapsulated = sequence(objectIdentifier(OID.data), explicit(0, octetString(of.content)));
  return contentInfo(
    setOf(digestAlgorithm),
    encapsulated,
    ...optionalSet(0, of.certificates),
    setOf(signerInfo),
  );
}

/** SignedData without content and signers, a bag of certificates and lists in the order given (certs-only). */
export function encodeCertificatesOnly(
  certificates: readonly Uint8Array[],
  certificateLists: readonly Uint8Array[] = [],
): Buffer {
  return contentInfo(
    setOf(),
    sequence(objectIdentifier(OID.data)),
    ...optionalSet(0, certificates),
    ...optionalSet(1, certificateLists),
    setOf(),
  );
}

function contentInfo(...parts: readonly Uint8Array[]): Buffer {
  const signedData = sequence(integer(1), ...parts);
  return sequence(objectIdentifier(OID.signedData), explicit(0, signedData));
}

/** Not sorted as DER would have it: clients take the first certificate for the one they asked for. */
function optionalSet(number: number, members: readonly Uint8Array[]): Buffer[] {
  return members.length === 0 ? [] : [element(0xa0 | number, ...members)];
}

function attribute(type: string, value: Uint8Array): Buffer {
  return sequence(objectIdentifier(type), setOf(value));
}

function fault(message: string): ProtocolError {
  return new ProtocolError("cms-signed-data", `SignedData: ${message}`);
}
