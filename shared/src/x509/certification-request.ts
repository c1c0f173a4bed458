import type { KeyObject } from "node:crypto";
import { ProtocolError } from "../errors.ts";
import { assembleSigned, readSigned } from "./certificate.ts";
import { type CertificateExtensions, describeExtensions } from "./certificate-extensions.ts";
import { DerReader } from "./der-reader.ts";
import { decodeString } from "./der-string.ts";
import { TAG } from "./der-tag.ts";
import {
  implicit,
  integer,
  objectIdentifier,
  printableString,
  sequence,
  setOf,
  sorted,
  utf8String,
} from "./der-writer.ts";
import { type Extension, encodeExtensions, readExtensions } from "./extensions.ts";
import { publicKeyInfoOf } from "./issue.ts";
import { type DistinguishedName, readName } from "./name.ts";
import { OID } from "./object-identifiers.ts";
import { importPublicKey, readPublicKeyInfo } from "./public-key.ts";
import {
  parseSignatureAlgorithm,
  sign,
  signatureAlgorithmFor,
  type VerifyOptions,
  verify,
} from "./signature.ts";

/**
 * A PKCS#10 certification request (RFC 2986), read whole; its signature is checked by `verifySignature`.
 *
 *     SEQUENCE {
 *       certificationRequestInfo SEQUENCE { version 0, subject, subjectPKInfo, attributes [0] SET OF Attribute }
 *       signatureAlgorithm, signature BIT STRING }
 */
export interface CertificationRequest {
  readonly der: Buffer;
  readonly subject: DistinguishedName;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKeyInfo: Buffer;
  /** PKCS#9 challengePassword: a secret. */
  readonly challengePassword: string | undefined;
  /** What the requester wishes for. Who issues decides. */
  readonly extensionRequest: readonly Extension[];
  /** The meaning of `extensionRequest`. */
  readonly requested: CertificateExtensions;
  /** Every attribute that is there, as dotted identifiers. */
  readonly attributeTypes: ReadonlySet<string>;
  /** The public key, made at the first call. Throws `x509-public-key`. */
  publicKey(): KeyObject;
  /** Whether the requester holds the private key. `knownKey` spares making the key again where it is at hand. */
  verifySignature(options?: VerifyOptions & { readonly knownKey?: KeyObject }): boolean;
}

/** Our own limits. */
const MAX_REQUEST_BYTES = 65_536;
const MAX_ATTRIBUTES = 32;
const MAX_CHALLENGE_CHARACTERS = 16_384;

/** Reads a request. Throws `der-*` or `x509-*`. */
export function parseCertificationRequest(der: Uint8Array): CertificationRequest {
  if (der.length > MAX_REQUEST_BYTES)
    throw fault(`${der.length} bytes exceed ${MAX_REQUEST_BYTES}`);
  const outer = new DerReader(der);
  const whole = outer.readRaw(TAG.sequence);
  outer.end();
  const signed = readSigned(whole);
  const info = new DerReader(signed.tbs).enter();
  info.readSmallInteger(0);
  const subject = readName(info);
  const publicKeyInfo = readPublicKeyInfo(info);
  const attributes = readAttributes(info.enterOptional(0xa0));
  info.end();
  const requested = describeExtensions(attributes.extensionRequest);
  return withKey({ der: whole, subject, publicKeyInfo, ...attributes, requested }, signed);
}

type Parts = Omit<CertificationRequest, "publicKey" | "verifySignature">;

function withKey(parts: Parts, signed: ReturnType<typeof readSigned>): CertificationRequest {
  let publicKey: KeyObject | undefined;
  const keyOnce = () => {
    publicKey ??= importPublicKey(parts.publicKeyInfo);
    return publicKey;
  };
  return {
    ...parts,
    publicKey: keyOnce,
    verifySignature({ knownKey, ...options } = {}) {
      const algorithm = parseSignatureAlgorithm(signed.signatureAlgorithm, options);
      publicKey ??= knownKey;
      return verify(algorithm, signed.tbs, signed.signature, keyOnce());
    },
  };
}

type Attributes = Pick<Parts, "challengePassword" | "extensionRequest" | "attributeTypes">;

/** That of PKCS#9, and the one that older Windows uses for the same. */
const EXTENSION_REQUESTS: readonly string[] = [OID.extensionRequest, OID.microsoftExtensionRequest];

/** Attribute ::= SEQUENCE { type OBJECT IDENTIFIER, values SET OF ANY }. Unknown ones are passed over. */
function readAttributes(set: DerReader | undefined): Attributes {
  const seen = new Set<string>();
  let challengePassword: string | undefined;
  let extensionRequest: readonly Extension[] = [];
  while (set !== undefined && !set.isAtEnd) {
    const attribute = set.enter();
    const type = attribute.readObjectIdentifier();
    const values = attribute.enter(TAG.set);
    attribute.end();
    if (seen.has(type)) throw fault(`attribute ${type} comes twice`);
    if (seen.size === MAX_ATTRIBUTES) throw fault(`more than ${MAX_ATTRIBUTES} attributes`);
    seen.add(type);
    if (type === OID.challengePassword) challengePassword = readChallenge(values);
    if (EXTENSION_REQUESTS.includes(type)) extensionRequest = readExtensionRequest(values);
  }
  // Who checks the request elsewhere (Intune, a CA) may read the other one of the two.
  if (EXTENSION_REQUESTS.every((type) => seen.has(type))) throw fault("two extension requests");
  return { challengePassword, extensionRequest, attributeTypes: seen };
}

function readChallenge(values: DerReader): string {
  const tag = values.peekTag();
  const challenge = decodeString(tag, values.readRaw());
  values.end();
  if (challenge === undefined) throw fault("the challengePassword is no string");
  if (challenge.length > MAX_CHALLENGE_CHARACTERS) {
    throw fault(`a challengePassword of over ${MAX_CHALLENGE_CHARACTERS} characters`);
  }
  return challenge;
}

function readExtensionRequest(values: DerReader): Extension[] {
  const extensions = readExtensions(values);
  values.end();
  return extensions;
}

/** What goes into a request. */
export interface CertificationRequestContent {
  readonly subject: DistinguishedName;
  readonly challengePassword?: string;
  readonly extensionRequest?: readonly Extension[];
}

/** Writes a request and signs it with the key that it is for. */
export async function encodeCertificationRequest(
  content: CertificationRequestContent,
  privateKey: KeyObject,
): Promise<Buffer> {
  const attributes = encodeAttributes(content);
  const info = sequence(
    integer(0),
    content.subject.der,
    publicKeyInfoOf(privateKey),
    implicit(0, Buffer.concat(sorted(attributes)), true),
  );
  const algorithm = signatureAlgorithmFor(privateKey);
  return assembleSigned(info, algorithm, await sign(algorithm, info, privateKey));
}

function encodeAttributes(content: CertificationRequestContent): Buffer[] {
  const { challengePassword, extensionRequest = [] } = content;
  const attribute = (type: string, value: Buffer) => sequence(objectIdentifier(type), setOf(value));
  return [
    ...(challengePassword === undefined
      ? []
      : [attribute(OID.challengePassword, directoryString(challengePassword))]),
    ...(extensionRequest.length === 0
      ? []
      : [attribute(OID.extensionRequest, encodeExtensions(extensionRequest))]),
  ];
}

/** RFC 2985 section 5.4.1 prefers PrintableString for the challengePassword where it suffices. */
function directoryString(text: string): Buffer {
  return /^[A-Za-z0-9 '()+,\-./:=?]*$/.test(text) ? printableString(text) : utf8String(text);
}

function fault(message: string): ProtocolError {
  return new ProtocolError("x509-certification-request", `certification request: ${message}`);
}
