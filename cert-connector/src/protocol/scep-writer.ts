import type { KeyObject } from "node:crypto";
import type { Random } from "@isthmus/shared/random";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import { octetString, printableString, utf8String } from "@isthmus/shared/x509/der-writer";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import type { SigningKey } from "@isthmus/shared/x509/signing-key";
import type { ContentCipher } from "./content-cipher.ts";
import { encodeEnvelopedData } from "./enveloped-data.ts";
import type { KeyEncryption } from "./key-encryption.ts";
import {
  FAIL_INFOS,
  type FailInfo,
  MESSAGE_TYPES,
  type MessageType,
  PKI_STATUSES,
  type VerifiedPkiMessage,
} from "./scep-message.ts";
import { encodeCertificatesOnly, encodeSignedData } from "./signed-data.ts";

/** RFC 8894 section 3.2.1.5. */
const NONCE_OCTETS = 16;

/** Who signs a request and opens its answer. */
export interface ScepSigner {
  readonly certificate: Certificate;
  readonly privateKey: KeyObject;
}

/** Who signs answers; its key may be held elsewhere. */
export interface ScepResponder {
  readonly certificate: Certificate;
  readonly privateKey: SigningKey;
}

/** A request of a client. */
export interface ScepRequest {
  readonly messageType: Exclude<MessageType, "CertRep">;
  readonly transactionId: string;
  readonly senderNonce: Uint8Array;
  /** PKCS#10, IssuerAndSerial or IssuerAndSubject, DER. */
  readonly content: Uint8Array;
  readonly recipient: Certificate;
  readonly signer: ScepSigner;
  readonly cipher: ContentCipher;
  readonly keyEncryption: KeyEncryption;
  readonly digest: "sha1" | "sha256" | "sha512";
}

/** Writes a request (RFC 8894 section 3.3). */
export function encodeScepRequest(request: ScepRequest, random: Random): Promise<Buffer> {
  return encodeSignedData({
    content: encodeEnvelopedData(request, random),
    certificates: [request.signer.certificate.der],
    signer: request.signer,
    digest: request.digest,
    attributes: [
      messageTypeAttribute(request.messageType),
      [OID.scepTransactionId, printableString(request.transactionId)],
      [OID.scepSenderNonce, octetString(request.senderNonce)],
    ],
  });
}

/** How a request is answered. */
export type ScepResult =
  | {
      readonly status: "SUCCESS";
      /** The certificate asked for first; none where a list was asked for. */
      readonly certificates: readonly Uint8Array[];
      readonly certificateLists?: readonly Uint8Array[];
      /** As received, so that the client can open the answer. */
      readonly cipher: ContentCipher;
      readonly keyEncryption: KeyEncryption;
    }
  | { readonly status: "PENDING" }
  | { readonly status: "FAILURE"; readonly failInfo: FailInfo; readonly failInfoText?: string };

/**
 * Writes the CertRep to a request (RFC 8894 section 3.3.2), encrypted to the key that signed the request and signed by the
 * server: two RSA operations, the signature on the thread pool.
 */
export function encodeCertRep(
  request: Pick<VerifiedPkiMessage, "transactionIdDer" | "senderNonce" | "signer" | "digest">,
  result: ScepResult,
  signer: ScepResponder,
  random: Random,
): Promise<Buffer> {
  const recipientNonce = request.senderNonce;
  return encodeSignedData({
    content: resultContent(request, result, random),
    certificates: [signer.certificate.der],
    signer,
    digest: request.digest,
    attributes: [
      messageTypeAttribute("CertRep"),
      [OID.scepTransactionId, request.transactionIdDer],
      [OID.scepPkiStatus, printableString(String(PKI_STATUSES[result.status]))],
      [OID.scepSenderNonce, octetString(random.bytes(NONCE_OCTETS))],
      ...(recipientNonce === undefined
        ? []
        : [[OID.scepRecipientNonce, octetString(recipientNonce)] as const]),
      ...failureAttributes(result),
    ],
  });
}

/** Nothing, as an empty OCTET STRING, unless it is a success: OpenSSL's PKCS7 calls find no content at all a fault. */
function resultContent(
  request: Pick<VerifiedPkiMessage, "signer">,
  result: ScepResult,
  random: Random,
): Buffer {
  if (result.status !== "SUCCESS") return Buffer.alloc(0);
  const { certificates, certificateLists = [], cipher, keyEncryption } = result;
  const content = encodeCertificatesOnly(certificates, certificateLists);
  const recipient = request.signer;
  return encodeEnvelopedData({ content, recipient, cipher, keyEncryption }, random);
}

function failureAttributes(result: ScepResult): (readonly [string, Buffer])[] {
  if (result.status !== "FAILURE") return [];
  const { failInfo, failInfoText } = result;
  const code = printableString(String(FAIL_INFOS[failInfo]));
  const text: (readonly [string, Buffer])[] =
    failInfoText === undefined ? [] : [[OID.scepFailInfoText, utf8String(failInfoText)]];
  return [[OID.scepFailInfo, code], ...text];
}

/** The answer to GetNextCACert: certs-only, signed by the present CA or RA (RFC 8894 section 4.7.1). */
export function encodeNextCaCertificates(
  certificates: readonly Uint8Array[],
  signer: ScepResponder,
): Promise<Buffer> {
  return encodeSignedData({
    content: encodeCertificatesOnly(certificates),
    certificates: [signer.certificate.der],
    signer,
    digest: "sha256",
    attributes: [],
  });
}

function messageTypeAttribute(messageType: MessageType): readonly [string, Buffer] {
  return [OID.scepMessageType, printableString(String(MESSAGE_TYPES[messageType]))];
}
