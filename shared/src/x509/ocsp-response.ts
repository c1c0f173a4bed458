import { ProtocolError } from "../errors.ts";
import { type Certificate, parseCertificate } from "./certificate.ts";
import { DerReader } from "./der-reader.ts";
import { TAG } from "./der-tag.ts";
import {
  bitString,
  enumerated,
  explicit,
  generalizedTime,
  implicit,
  objectIdentifier,
  octetString,
  sequence,
} from "./der-writer.ts";
import {
  encodeExtensions,
  REVOCATION_REASONS,
  type RevocationReason,
  revocationReasonOf,
} from "./extensions.ts";
import { type DistinguishedName, readName } from "./name.ts";
import { OID } from "./object-identifiers.ts";
import {
  type CertId,
  nonceExtension,
  nonceOf,
  readCertId,
  readExplicitExtensions,
} from "./ocsp-request.ts";
import { keyIdentifierOf } from "./public-key.ts";
import { sign, signatureAlgorithmFor } from "./signature.ts";
import type { SigningKey } from "./signing-key.ts";

/** Why there is no answer (RFC 6960 section 4.2.1). */
export const OCSP_FAILURES = {
  malformedRequest: 1,
  internalError: 2,
  tryLater: 3,
  sigRequired: 5,
  unauthorized: 6,
} as const;
export type OcspFailure = keyof typeof OCSP_FAILURES;

export type CertStatus =
  | { readonly status: "good" | "unknown" }
  | { readonly status: "revoked"; readonly revokedAt: number; readonly reason: RevocationReason };

/** What is said of one certificate. Times are ms since the epoch. */
export interface SingleResponse {
  readonly certId: CertId;
  readonly certStatus: CertStatus;
  readonly thisUpdate: number;
  readonly nextUpdate: number | undefined;
}

/**
 * An OCSP response (RFC 6960 section 4.2), read whole; nothing in it is verified.
 *
 *     SEQUENCE { responseStatus ENUMERATED, responseBytes [0] SEQUENCE { OID, OCTET STRING BasicOCSPResponse } }
 *
 *     BasicOCSPResponse ::= SEQUENCE {
 *       tbsResponseData SEQUENCE {
 *         version [0]?, responderID [1] Name | [2] KeyHash, producedAt, SEQUENCE OF SingleResponse, extensions [1]? }
 *       signatureAlgorithm, signature BIT STRING, certs [0] SEQUENCE OF Certificate? }
 */
export type OcspResponse =
  | { readonly status: OcspFailure }
  | ({ readonly status: "successful" } & BasicOcspResponse);

export interface BasicOcspResponse {
  readonly tbs: Buffer;
  readonly responderId: ResponderId;
  readonly producedAt: number;
  readonly responses: readonly SingleResponse[];
  readonly nonce: Buffer | undefined;
  /** AlgorithmIdentifier, DER. */
  readonly signatureAlgorithm: Buffer;
  readonly signature: Buffer;
  readonly certificates: readonly Certificate[];
}

export type ResponderId =
  | { readonly by: "name"; readonly name: DistinguishedName }
  | { readonly by: "key"; readonly keyHash: Buffer };

/** Our own limits. */
const MAX_RESPONSE_BYTES = 131_072;
const MAX_RESPONSES = 64;
const MAX_CERTIFICATES = 8;

/** Reads a response. Throws `der-*` or `x509-*`. */
export function parseOcspResponse(der: Uint8Array): OcspResponse {
  if (der.length > MAX_RESPONSE_BYTES) {
    throw fault(`${der.length} bytes exceed ${MAX_RESPONSE_BYTES}`);
  }
  const outer = new DerReader(der);
  const body = outer.enter();
  outer.end();
  const code = body.readEnumerated();
  if (code !== 0) return { status: failureOf(code) };
  const bytes = body.enter(0xa0).enter();
  body.end();
  if (bytes.readObjectIdentifier() !== OID.ocspBasic) throw fault("it is not a basic response");
  const basic = bytes.readOctetString();
  bytes.end();
  return { status: "successful", ...parseBasic(basic) };
}

function failureOf(code: number): OcspFailure {
  const [failure] = Object.entries(OCSP_FAILURES).find(([, known]) => known === code) ?? [];
  if (failure === undefined) throw fault(`status ${code} does not exist`);
  return failure as OcspFailure;
}

function parseBasic(der: Buffer): BasicOcspResponse {
  const outer = new DerReader(der);
  const body = outer.enter();
  outer.end();
  const tbs = body.readRaw(TAG.sequence);
  const signatureAlgorithm = body.readRaw(TAG.sequence);
  const signature = body.readBitStringOctets();
  const certificates = readCertificates(body.enterOptional(0xa0)?.enter());
  body.end();
  return { tbs, signatureAlgorithm, signature, certificates, ...readResponseData(tbs) };
}

function readCertificates(list: DerReader | undefined): Certificate[] {
  const certificates: Certificate[] = [];
  while (list !== undefined && !list.isAtEnd) {
    if (certificates.length === MAX_CERTIFICATES) throw fault("too many certificates");
    certificates.push(parseCertificate(list.readRaw(TAG.sequence)));
  }
  return certificates;
}

function readResponseData(tbs: Buffer) {
  const data = new DerReader(tbs).enter();
  data.enterOptional(0xa0)?.readSmallInteger(0);
  const responderId = readResponderId(data);
  const producedAt = data.readTime();
  const list = data.enter();
  const responses: SingleResponse[] = [];
  while (!list.isAtEnd) {
    if (responses.length === MAX_RESPONSES) throw fault("too many responses");
    responses.push(readSingleResponse(list.enter()));
  }
  const nonce = nonceOf(readExplicitExtensions(data.enterOptional(0xa1)));
  data.end();
  return { responderId, producedAt, responses, nonce };
}

function readResponderId(data: DerReader): ResponderId {
  const byName = data.enterOptional(0xa1);
  if (byName !== undefined) return { by: "name", name: readName(byName) };
  return { by: "key", keyHash: data.enter(0xa2).readOctetString() };
}

/** SingleResponse ::= SEQUENCE { certID, certStatus, thisUpdate, nextUpdate [0]?, singleExtensions [1]? } */
function readSingleResponse(single: DerReader): SingleResponse {
  const certId = readCertId(single);
  const certStatus = readCertStatus(single);
  const thisUpdate = single.readTime();
  const nextUpdate = single.enterOptional(0xa0)?.readTime();
  readExplicitExtensions(single.enterOptional(0xa1));
  single.end();
  return { certId, certStatus, thisUpdate, nextUpdate };
}

/** good [0] NULL | revoked [1] SEQUENCE { revocationTime, revocationReason [0]? } | unknown [2] NULL, all implicit */
function readCertStatus(single: DerReader): CertStatus {
  const revoked = single.enterOptional(0xa1);
  if (revoked !== undefined) {
    const revokedAt = revoked.readTime();
    const code = revoked.enterOptional(0xa0)?.readEnumerated() ?? 0;
    revoked.end();
    return { status: "revoked", revokedAt, reason: revocationReasonOf(code) };
  }
  const isGood = single.readOptional(0x80) !== undefined;
  if (!isGood) single.read(0x82);
  return { status: isGood ? "good" : "unknown" };
}

/** Writes a response that holds no answer. */
export function encodeOcspFailure(failure: OcspFailure): Buffer {
  return sequence(enumerated(OCSP_FAILURES[failure]));
}

export interface OcspAnswer {
  readonly responses: readonly SingleResponse[];
  readonly producedAt: number;
  /** The request's nonce, if it had one. */
  readonly nonce?: Uint8Array | undefined;
  /** Who signs; `certificate` goes along where the responder is not the issuer itself. */
  readonly responder: {
    readonly key: SigningKey;
    /** SubjectPublicKeyInfo, DER. */
    readonly publicKeyInfo: Uint8Array;
    readonly certificate?: Uint8Array | undefined;
  };
}

/** Writes and signs a successful response. */
export async function encodeOcspResponse(answer: OcspAnswer): Promise<Buffer> {
  const { responder } = answer;
  const extensions =
    answer.nonce === undefined
      ? []
      : [explicit(1, encodeExtensions([nonceExtension(answer.nonce)]))];
  const tbs = sequence(
    explicit(2, octetString(keyIdentifierOf(responder.publicKeyInfo))),
    generalizedTime(answer.producedAt),
    sequence(...answer.responses.map(encodeSingleResponse)),
    ...extensions,
  );
  const algorithm = signatureAlgorithmFor(responder.key);
  const signature = await sign(algorithm, tbs, responder.key);
  const certificates =
    responder.certificate === undefined ? [] : [explicit(0, sequence(responder.certificate))];
  const basic = sequence(tbs, algorithm.der, bitString(signature), ...certificates);
  const bytes = sequence(objectIdentifier(OID.ocspBasic), octetString(basic));
  return sequence(enumerated(0), explicit(0, bytes));
}

function encodeSingleResponse(single: SingleResponse): Buffer {
  const { certId, certStatus, thisUpdate, nextUpdate } = single;
  return sequence(
    certId.der,
    encodeCertStatus(certStatus),
    generalizedTime(thisUpdate),
    ...(nextUpdate === undefined ? [] : [explicit(0, generalizedTime(nextUpdate))]),
  );
}

function encodeCertStatus(certStatus: CertStatus): Buffer {
  if (certStatus.status !== "revoked") {
    return implicit(certStatus.status === "good" ? 0 : 2, Buffer.alloc(0));
  }
  const { revokedAt, reason } = certStatus;
  const parts = [generalizedTime(revokedAt)];
  if (reason !== "unspecified") parts.push(explicit(0, enumerated(REVOCATION_REASONS[reason])));
  return implicit(1, Buffer.concat(parts), true);
}

function fault(message: string): ProtocolError {
  return new ProtocolError("x509-ocsp-response", `OCSP response: ${message}`);
}
