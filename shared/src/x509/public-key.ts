import { createPublicKey, hash, type KeyObject } from "node:crypto";
import { ProtocolError } from "../errors.ts";
import { readAlgorithm } from "./algorithm-identifier.ts";
import { DerReader } from "./der-reader.ts";
import { TAG } from "./der-tag.ts";
import { OID } from "./object-identifiers.ts";
import { withoutStack } from "./without-stack.ts";

/** What kind of key a SubjectPublicKeyInfo holds, as far as a policy on key strength needs it. */
export type PublicKeyKind =
  | { readonly kind: "rsa"; readonly bits: number }
  | { readonly kind: "ec"; readonly curve: EllipticCurve }
  | { readonly kind: "ed25519" };

export type EllipticCurve = "P-256" | "P-384" | "P-521";

const CURVES: Readonly<Record<string, EllipticCurve>> = {
  [OID.p256]: "P-256",
  [OID.p384]: "P-384",
  [OID.p521]: "P-521",
};

/** Our own limits: what a larger modulus or exponent costs, everybody who may send a certificate could make us pay. */
const MIN_RSA_BITS = 1_024;
const MAX_RSA_BITS = 8_192;
const MAX_RSA_EXPONENT_OCTETS = 4;

/**
 * Reads what kind of key a SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7) holds.
 * Throws `der-*`, or `x509-public-key` for kinds, curves and sizes that are not supported.
 *
 *     SEQUENCE { algorithm SEQUENCE { OID, parameters }, subjectPublicKey BIT STRING }
 */
export function describePublicKey(publicKeyInfo: Uint8Array): PublicKeyKind {
  const outer = new DerReader(publicKeyInfo);
  const body = outer.enter();
  outer.end();
  const algorithm = body.enter();
  const oid = algorithm.readObjectIdentifier();
  const key = body.readBitStringOctets();
  body.end();
  switch (oid) {
    case OID.rsaEncryption:
    case OID.rsassaPss:
      return { kind: "rsa", bits: rsaBits(key) };
    case OID.ecPublicKey:
      return { kind: "ec", curve: curveOf(algorithm.readObjectIdentifier()) };
    case OID.ed25519:
      return { kind: "ed25519" };
    default:
      throw fault(`algorithm ${oid} is not supported`);
  }
}

function curveOf(oid: string): EllipticCurve {
  const curve = CURVES[oid];
  if (curve === undefined) throw fault(`curve ${oid} is not supported`);
  return curve;
}

/** RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER } */
function rsaBits(key: Buffer): number {
  const outer = new DerReader(key);
  const body = outer.enter();
  outer.end();
  const modulus = body.readInteger();
  const exponent = body.readInteger();
  body.end();
  const bits = bitLength(modulus);
  if (bits < MIN_RSA_BITS || bits > MAX_RSA_BITS) {
    throw fault(`RSA of ${bits} bits is not in ${MIN_RSA_BITS}..${MAX_RSA_BITS}`);
  }
  const isUsable = exponent.length <= MAX_RSA_EXPONENT_OCTETS && isOddAndPositive(exponent);
  if (!isUsable || !isOddAndPositive(modulus))
    throw fault("RSA with a modulus or exponent of no use");
  return bits;
}

function isOddAndPositive(content: Buffer): boolean {
  const [first = 0] = content;
  const last = content[content.length - 1] ?? 0;
  return (first & 0x80) === 0 && (last & 1) === 1 && !(content.length === 1 && last === 1);
}

function bitLength(content: Buffer): number {
  const start = content[0] === 0 ? 1 : 0;
  const top = content[start] ?? 0;
  return (content.length - start) * 8 - Math.clz32(top) + 24;
}

/** The SubjectPublicKeyInfo that comes next in `reader`, DER, after a look at its shape: any algorithm passes. */
export function readPublicKeyInfo(reader: DerReader): Buffer {
  const publicKeyInfo = reader.readRaw(TAG.sequence);
  const body = new DerReader(publicKeyInfo).enter();
  readAlgorithm(body);
  body.readBitStringOctets();
  body.end();
  return publicKeyInfo;
}

/** The key itself, after `describePublicKey` let it through. Throws `x509-public-key` also for a point off its curve. */
export function importPublicKey(publicKeyInfo: Buffer): KeyObject {
  describePublicKey(publicKeyInfo);
  try {
    return withoutStack(() => createPublicKey({ key: publicKeyInfo, format: "der", type: "spki" }));
  } catch (cause) {
    throw new ProtocolError("x509-public-key", "public key: OpenSSL refuses it", cause);
  }
}

/** SHA-1 of the key bits, method 1 of RFC 5280 section 4.2.1.2: a name for a key, not a protection. */
export function keyIdentifierOf(publicKeyInfo: Uint8Array): Buffer {
  return hash("sha1", keyBitsOf(publicKeyInfo), "buffer");
}

/** The content of the BIT STRING subjectPublicKey, which is what identifiers of keys are digests of. */
export function keyBitsOf(publicKeyInfo: Uint8Array): Buffer {
  const body = new DerReader(publicKeyInfo).enter();
  body.skip();
  return body.readBitStringOctets();
}

function fault(message: string): ProtocolError {
  return new ProtocolError("x509-public-key", `public key: ${message}`);
}
