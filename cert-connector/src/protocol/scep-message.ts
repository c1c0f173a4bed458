import { ProtocolError } from "@isthmus/shared/errors";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import { decodeString } from "@isthmus/shared/x509/der-string";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { parseSignedData, type SignedData, type SignerInfo } from "./signed-data.ts";
import {
  attributeOf,
  findSignerCertificate,
  type LegacyOptions,
  verifySigner,
} from "./signer-verification.ts";

/**
 * A SCEP pkiMessage (RFC 8894 section 3): SignedData by the requester, with what the transaction needs in its signed
 * attributes, around EnvelopedData for the server (or, in an answer, for the requester).
 *
 *     SignedData( attributes: transactionID, messageType, senderNonce, in an answer recipientNonce, pkiStatus, failInfo;
 *                 content: EnvelopedData( PKCS#10 | IssuerAndSerial | IssuerAndSubject | certs-only ) )
 */

/** RFC 8894 section 3.2.1.2. */
export const MESSAGE_TYPES = {
  CertRep: 3,
  RenewalReq: 17,
  PKCSReq: 19,
  CertPoll: 20,
  GetCert: 21,
  GetCRL: 22,
} as const;
export type MessageType = keyof typeof MESSAGE_TYPES;

/** RFC 8894 section 3.2.1.3. */
export const PKI_STATUSES = { SUCCESS: 0, FAILURE: 2, PENDING: 3 } as const;
export type PkiStatus = keyof typeof PKI_STATUSES;

/** RFC 8894 section 3.2.1.4. */
export const FAIL_INFOS = {
  badAlg: 0,
  badMessageCheck: 1,
  badRequest: 2,
  badTime: 3,
  badCertId: 4,
} as const;
export type FailInfo = keyof typeof FAIL_INFOS;

/** Our own limits. Nonces are 16 octets (section 3.2.1.5); old clients sent other sizes and were served. */
export const MAX_PKI_MESSAGE_BYTES = 131_072;
const MAX_TRANSACTION_ID_CHARACTERS = 256;
const MAX_NONCE_OCTETS = 64;

/** A message that was read but not verified: what it claims. */
export interface SignedPkiMessage {
  readonly messageType: MessageType;
  readonly transactionId: string;
  /** The DER of its string, to be echoed exactly. */
  readonly transactionIdDer: Buffer;
  readonly senderNonce: Buffer | undefined;
  readonly signedData: SignedData;
  readonly signerInfo: SignerInfo;
}

/** A message whose signature is right. Who the signer is, and whether they may, is still to be decided. */
export interface VerifiedPkiMessage extends SignedPkiMessage {
  readonly signer: Certificate;
  /** The digest that the message is signed with, to answer in kind. */
  readonly digest: "sha1" | "sha256" | "sha512";
}

/**
 * Reads a message. Throws `der-*`, `x509-*`, `cms-*`, or `scep-message` where it is no SCEP message: nothing that could be
 * answered with a CertRep.
 */
export function parsePkiMessage(bytes: Uint8Array): SignedPkiMessage {
  if (bytes.length > MAX_PKI_MESSAGE_BYTES) {
    throw fault(`${bytes.length} bytes exceed ${MAX_PKI_MESSAGE_BYTES}`);
  }
  const signedData = parseSignedData(bytes);
  const [signerInfo, ...others] = signedData.signers;
  if (signerInfo === undefined || others.length > 0) throw fault("it must have one signer");
  if (signedData.contentType !== OID.data) throw fault("its content is not of type data");
  const transactionIdDer = attributeOf(signerInfo, OID.scepTransactionId, (value) =>
    value.readRaw(),
  );
  return {
    messageType: readMessageType(signerInfo),
    transactionId: readTransactionId(transactionIdDer),
    transactionIdDer,
    senderNonce: readNonce(signerInfo, OID.scepSenderNonce),
    signedData,
    signerInfo,
  };
}

function readMessageType(info: SignerInfo): MessageType {
  const number = readNumber(info, OID.scepMessageType);
  const messageType = nameOf(MESSAGE_TYPES, number);
  if (messageType === undefined) throw fault(`message type ${number} does not exist`);
  return messageType;
}

function readTransactionId(der: Buffer): string {
  const text = decodeString(der[0] ?? 0, der);
  if (text === undefined || text.length === 0 || text.length > MAX_TRANSACTION_ID_CHARACTERS) {
    throw fault(`the transactionID is not of 1..${MAX_TRANSACTION_ID_CHARACTERS} characters`);
  }
  // It is stored and shown to people before anything is known of its sender.
  if (/\p{C}/u.test(text)) throw fault("a control character in the transactionID");
  return text;
}

/** A nonce among the signed attributes; undefined where there is none. Throws `scep-message` for one that is too long. */
export function readNonce(info: SignerInfo, type: string): Buffer | undefined {
  if (!info.attributes.has(type)) return undefined;
  const nonce = attributeOf(info, type, (value) => value.readOctetString());
  if (nonce.length > MAX_NONCE_OCTETS) throw fault(`a nonce of ${nonce.length} octets`);
  return nonce;
}

/** A number that is written as the decimal text of a PrintableString. Throws `scep-message`. */
export function readNumber(info: SignerInfo, type: string): number {
  const text = readText(info, type);
  if (!/^\d{1,3}$/.test(text)) throw fault(`attribute ${type} is not a number`);
  return Number(text);
}

/** The text of a string attribute. Throws `scep-message`. */
export function readText(info: SignerInfo, type: string): string {
  return attributeOf(info, type, (value) => {
    const text = decodeString(value.peekTag(), value.readRaw());
    if (text === undefined) throw fault(`attribute ${type} is not a string`);
    return text;
  });
}

/** The name of a number in one of the tables above; undefined if it has none. */
export function nameOf<Name extends string>(
  table: Readonly<Record<Name, number>>,
  number: number,
): Name | undefined {
  const names = Object.keys(table) as Name[];
  return names.find((name) => table[name] === number);
}

const DIGESTS: Readonly<Record<string, VerifiedPkiMessage["digest"]>> = {
  [OID.sha1]: "sha1",
  [OID.sha512]: "sha512",
};

/**
 * Verifies that the signer's certificate came along and its key signed the message. Throws `cms-signer` or
 * `cms-signature` (badMessageCheck), `cms-digest-algorithm`, `x509-signature-algorithm` or `scep-signer-key` (badAlg).
 */
export function verifyPkiMessage(
  message: SignedPkiMessage,
  options: LegacyOptions = {},
): VerifiedPkiMessage {
  const { signedData, signerInfo } = message;
  const signer = findSignerCertificate(signedData, signerInfo);
  const publicKey = signer.publicKey();
  if (publicKey.asymmetricKeyType !== "rsa") {
    // The answer is encrypted to this key (RFC 8894 section 3).
    throw new ProtocolError("scep-signer-key", "SCEP message: the signer's key is not RSA");
  }
  verifySigner(signedData, signerInfo, publicKey, options);
  return { ...message, signer, digest: DIGESTS[signerInfo.digestAlgorithm] ?? "sha256" };
}

function fault(message: string): ProtocolError {
  return new ProtocolError("scep-message", `SCEP message: ${message}`);
}
