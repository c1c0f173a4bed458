import { hash, type KeyObject } from "node:crypto";
import { ProtocolError } from "../errors.ts";
import { type CertificateExtensions, readCertificateExtensions } from "./certificate-extensions.ts";
import { DerReader } from "./der-reader.ts";
import { TAG } from "./der-tag.ts";
import { bitString, explicit, integer, sequence, time } from "./der-writer.ts";
import { type Extension, encodeExtensions } from "./extensions.ts";
import { type DistinguishedName, readName } from "./name.ts";
import { importPublicKey, readPublicKeyInfo } from "./public-key.ts";

/**
 * An X.509 certificate (RFC 5280 section 4.1), read whole; nothing in it is verified.
 *
 *     SEQUENCE {
 *       tbsCertificate SEQUENCE {
 *         version [0], serialNumber, signature, issuer, validity SEQUENCE { notBefore, notAfter }, subject,
 *         subjectPublicKeyInfo, issuerUniqueID [1], subjectUniqueID [2], extensions [3] }
 *       signatureAlgorithm, signatureValue BIT STRING }
 */
export interface Certificate extends CertificateExtensions {
  readonly der: Buffer;
  /** The signed bytes. */
  readonly tbs: Buffer;
  readonly version: 1 | 2 | 3;
  /** Lower-case hex of the number, in whole octets, without the sign octet of its DER. */
  readonly serialNumber: string;
  readonly issuer: DistinguishedName;
  readonly subject: DistinguishedName;
  /** First and last moment of validity, ms since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKeyInfo: Buffer;
  /** AlgorithmIdentifier, DER. */
  readonly signatureAlgorithm: Buffer;
  readonly signature: Buffer;
  /** SHA-256 of `der`, lower-case hex. */
  readonly thumbprint: string;
  /** The public key, made at the first call. Throws `x509-public-key`. */
  publicKey(): KeyObject;
}

/** Our own limit. */
const MAX_CERTIFICATE_BYTES = 65_536;
/** RFC 5280 section 4.1.2.2 allows 20 octets. The certificate that certmonger signs its SCEP messages with has 32 (a digest). */
const MAX_SERIAL_NUMBER_OCTETS = 65;

/** Reads a certificate. Throws `der-*` or `x509-*`. */
export function parseCertificate(der: Uint8Array): Certificate {
  if (der.length > MAX_CERTIFICATE_BYTES) {
    throw fault("certificate", `${der.length} bytes exceed ${MAX_CERTIFICATE_BYTES}`);
  }
  const outer = new DerReader(der);
  const whole = outer.readRaw(TAG.sequence);
  outer.end();
  return readParts(whole);
}

function readParts(der: Buffer): Certificate {
  const signed = readSigned(der);
  const tbs = new DerReader(signed.tbs).enter();
  const version = readVersion(tbs);
  const serialNumber = readSerialNumber(tbs);
  if (!tbs.readRaw(TAG.sequence).equals(signed.signatureAlgorithm)) {
    throw fault("certificate", "the two signature algorithms differ");
  }
  const issuer = readName(tbs);
  const validity = tbs.enter();
  const [notBefore, notAfter] = [validity.readTime(), validity.readTime()];
  validity.end();
  const subject = readName(tbs);
  const publicKeyInfo = readPublicKeyInfo(tbs);
  tbs.readOptional(0x81);
  tbs.readOptional(0x82);
  const extensions = readCertificateExtensions(tbs.enterOptional(0xa3));
  tbs.end();
  const names = { issuer, subject, notBefore, notAfter, publicKeyInfo };
  return withLazyParts({ der, ...signed, version, serialNumber, ...names }, extensions);
}

/** The three parts of everything that X.509 signs: SEQUENCE { tbs, signatureAlgorithm, signature BIT STRING }. */
export function readSigned(der: Buffer): {
  readonly tbs: Buffer;
  readonly signatureAlgorithm: Buffer;
  readonly signature: Buffer;
} {
  // A certificate list may be long: only its outermost elements are read by this reader.
  const outer = new DerReader(der);
  const body = outer.enter();
  outer.end();
  const tbs = body.readRaw(TAG.sequence);
  const signatureAlgorithm = body.readRaw(TAG.sequence);
  const signature = body.readBitStringOctets();
  body.end();
  return { tbs, signatureAlgorithm, signature };
}

function readVersion(tbs: DerReader): 1 | 2 | 3 {
  const number = tbs.enterOptional(0xa0)?.readSmallInteger(2) ?? 0;
  return (number + 1) as 1 | 2 | 3;
}

/** The next INTEGER as a serial number: hex. Throws `x509-serial-number` if it is negative or too long. */
export function readSerialNumber(reader: DerReader): string {
  const content = reader.readInteger();
  if (((content[0] ?? 0) & 0x80) !== 0) throw fault("serial-number", "it is negative");
  if (content.length > MAX_SERIAL_NUMBER_OCTETS) {
    throw fault("serial-number", `${content.length} octets exceed ${MAX_SERIAL_NUMBER_OCTETS}`);
  }
  return content.toString("hex", content.length > 1 && content[0] === 0 ? 1 : 0);
}

/** A serial number in hex as INTEGER. */
export function encodeSerialNumber(serialNumber: string): Buffer {
  if (!/^([0-9a-f]{2}){1,64}$/.test(serialNumber)) {
    throw fault("serial-number", `"${serialNumber}" is not hex in whole octets`);
  }
  return integer(Buffer.from(serialNumber, "hex"));
}

type Parts = Omit<Certificate, keyof CertificateExtensions | "thumbprint" | "publicKey">;

/** Key and thumbprint are costly beside the rest, and most readers need neither: they are made when asked for. */
function withLazyParts(parts: Parts, extensions: CertificateExtensions): Certificate {
  let publicKey: KeyObject | undefined;
  let thumbprint: string | undefined;
  return {
    ...parts,
    ...extensions,
    get thumbprint() {
      thumbprint ??= hash("sha256", parts.der, "hex");
      return thumbprint;
    },
    publicKey() {
      publicKey ??= importPublicKey(parts.publicKeyInfo);
      return publicKey;
    },
  };
}

/** What goes into a TBSCertificate of version 3. */
export interface TbsCertificate {
  /** Hex, whole octets. */
  readonly serialNumber: string;
  readonly issuer: DistinguishedName;
  readonly subject: DistinguishedName;
  /** ms since the epoch; written in whole seconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKeyInfo: Uint8Array;
  readonly extensions: readonly Extension[];
  readonly signatureAlgorithm: { readonly der: Buffer };
}

/** The bytes to sign. */
export function encodeTbsCertificate(of: TbsCertificate): Buffer {
  const extensions =
    of.extensions.length === 0 ? [] : [explicit(3, encodeExtensions(of.extensions))];
  return sequence(
    explicit(0, integer(2)),
    encodeSerialNumber(of.serialNumber),
    of.signatureAlgorithm.der,
    of.issuer.der,
    sequence(time(of.notBefore), time(of.notAfter)),
    of.subject.der,
    of.publicKeyInfo,
    ...extensions,
  );
}

/** Puts signed bytes and their signature together: a certificate, CRL or request. */
export function assembleSigned(
  tbs: Uint8Array,
  algorithm: { readonly der: Buffer },
  signature: Uint8Array,
): Buffer {
  return sequence(tbs, algorithm.der, bitString(signature));
}

function fault(what: string, message: string): ProtocolError {
  return new ProtocolError(`x509-${what}`, `${what.replace("-", " ")}: ${message}`);
}
