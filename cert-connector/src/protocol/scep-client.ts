import { hash } from "node:crypto";
import { ProtocolError } from "@isthmus/shared/errors";
import type { Random } from "@isthmus/shared/random";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import type { ContentCipher } from "./content-cipher.ts";
import { openEnvelope } from "./envelope-opening.ts";
import { parseEnvelopedData, sealedFor } from "./enveloped-data.ts";
import { encodeIssuerAndSerial, type IssuerAndSerial } from "./issuer-and-serial.ts";
import type { KeyEncryption } from "./key-encryption.ts";
import { encodeIssuerAndSubject, type IssuerAndSubject } from "./scep-content.ts";
import {
  FAIL_INFOS,
  type FailInfo,
  nameOf,
  PKI_STATUSES,
  type PkiStatus,
  parsePkiMessage,
  readNonce,
  readNumber,
  readText,
  type SignedPkiMessage,
  verifyPkiMessage,
} from "./scep-message.ts";
import { encodeScepRequest, type ScepSigner } from "./scep-writer.ts";
import { parseSignedData } from "./signed-data.ts";

/** Whom a client speaks to and how. */
export interface ScepServerDescription {
  /** The RA's certificate, or the CA's where there is no RA: requests are encrypted to it and answers signed by it. */
  readonly recipient: Certificate;
  /** Who may sign answers; the recipient alone where absent. Some servers have one RA certificate for each purpose. */
  readonly signers?: readonly Certificate[];
  /** micromdm 2.1.0 sends our nonce back as its own; what tells a replay is `recipientNonce`. */
  readonly mayEchoNonce?: boolean;
  readonly cipher?: ContentCipher;
  readonly keyEncryption?: KeyEncryption;
  readonly digest?: "sha1" | "sha256" | "sha512";
}

/** A request ready to be sent, and what its answer is checked against. */
export interface ScepTransaction {
  readonly message: Buffer;
  readonly transactionId: string;
  readonly senderNonce: Buffer;
  readonly signer: ScepSigner;
  readonly server: ScepServerDescription;
}

/** What a client asks for. PKCSReq and RenewalReq carry a PKCS#10 request in DER. */
export type ScepWish =
  | { readonly messageType: "PKCSReq" | "RenewalReq"; readonly certificationRequest: Buffer }
  | {
      readonly messageType: "CertPoll";
      readonly issuerAndSubject: IssuerAndSubject;
      readonly transactionId: string;
    }
  | { readonly messageType: "GetCert" | "GetCRL"; readonly issuerAndSerial: IssuerAndSerial };

const NONCE_OCTETS = 16;
const TRANSACTION_ID_OCTETS = 16;

/**
 * Makes a request. The transactionID of an enrolment is a digest of the request, so that sending it again is the same
 * transaction; it is random for a query.
 */
export async function beginScepTransaction(
  wish: ScepWish,
  signer: ScepSigner,
  server: ScepServerDescription,
  random: Random,
): Promise<ScepTransaction> {
  const transactionId = transactionIdFor(wish, random);
  const senderNonce = random.bytes(NONCE_OCTETS);
  const request = {
    messageType: wish.messageType,
    transactionId,
    senderNonce,
    content: contentOf(wish),
    recipient: server.recipient,
    signer,
    cipher: server.cipher ?? "aes-256-cbc",
    keyEncryption: server.keyEncryption ?? { scheme: "pkcs1" },
    digest: server.digest ?? "sha256",
  } as const;
  const message = await encodeScepRequest(request, random);
  return { message, transactionId, senderNonce, signer, server };
}

function transactionIdFor(wish: ScepWish, random: Random): string {
  switch (wish.messageType) {
    case "PKCSReq":
    case "RenewalReq":
      return hash("sha256", wish.certificationRequest, "hex");
    case "CertPoll":
      return wish.transactionId;
    case "GetCert":
    case "GetCRL":
      return random.bytes(TRANSACTION_ID_OCTETS).toString("hex");
  }
}

function contentOf(wish: ScepWish): Buffer {
  switch (wish.messageType) {
    case "PKCSReq":
    case "RenewalReq":
      return wish.certificationRequest;
    case "CertPoll":
      return encodeIssuerAndSubject(wish.issuerAndSubject);
    case "GetCert":
    case "GetCRL":
      return encodeIssuerAndSerial(wish.issuerAndSerial);
  }
}

/** What a server answered. */
export type ScepAnswer =
  | {
      readonly status: "SUCCESS";
      readonly certificates: readonly Certificate[];
      /** DER. */
      readonly certificateLists: readonly Buffer[];
    }
  | { readonly status: "PENDING" }
  | {
      readonly status: "FAILURE";
      readonly failInfo: FailInfo;
      readonly failInfoText: string | undefined;
    };

/**
 * Reads the answer to a request: a CertRep by the server that the request was for, of the same transaction, with our nonce.
 * Throws `der-*`, `x509-*`, `cms-*`, `scep-message`, or `scep-answer` where it belongs to something else.
 */
export function readScepAnswer(bytes: Uint8Array, transaction: ScepTransaction): ScepAnswer {
  const { server } = transaction;
  const message = verifyPkiMessage(parsePkiMessage(bytes), { allowLegacy: true });
  const signers = server.signers ?? [server.recipient];
  if (!signers.some(({ der }) => der.equals(message.signer.der))) {
    throw fault("another server signed it");
  }
  checkBelongs(message, transaction);
  const number = readNumber(message.signerInfo, OID.scepPkiStatus);
  const status = nameOf(PKI_STATUSES, number);
  if (status === undefined) throw fault(`status ${number} does not exist`);
  return answerOf(status, message, transaction.signer);
}

function checkBelongs(message: SignedPkiMessage, transaction: ScepTransaction): void {
  if (message.messageType !== "CertRep") throw fault("it is not a CertRep");
  if (message.transactionId !== transaction.transactionId) throw fault("of another transaction");
  const nonce = readNonce(message.signerInfo, OID.scepRecipientNonce);
  if (nonce?.equals(transaction.senderNonce) !== true) throw fault("it lacks our nonce");
  const isEcho = message.senderNonce?.equals(transaction.senderNonce) === true;
  if (isEcho && transaction.server.mayEchoNonce !== true) throw fault("our nonce for its own");
}

function answerOf(status: PkiStatus, message: SignedPkiMessage, signer: ScepSigner): ScepAnswer {
  switch (status) {
    case "SUCCESS":
      return openAnswer(message, signer);
    case "PENDING":
      return { status };
    case "FAILURE":
      return { status, ...failureOf(message) };
  }
}

function failureOf({ signerInfo }: SignedPkiMessage) {
  const number = readNumber(signerInfo, OID.scepFailInfo);
  const failInfo = nameOf(FAIL_INFOS, number);
  if (failInfo === undefined) throw fault(`failInfo ${number} does not exist`);
  const hasText = signerInfo.attributes.has(OID.scepFailInfoText);
  return {
    failInfo,
    failInfoText: hasText ? readText(signerInfo, OID.scepFailInfoText) : undefined,
  };
}

function openAnswer(message: SignedPkiMessage, signer: ScepSigner): ScepAnswer {
  const envelope = parseEnvelopedData(message.signedData.content, { allowLegacy: true });
  const addressed = sealedFor(envelope, [signer.certificate]);
  if (addressed === undefined) throw fault("it is encrypted to another certificate");
  const { plaintext, isIntact } = openEnvelope(addressed.sealed, signer.privateKey);
  if (!isIntact) throw fault("its content cannot be decrypted");
  const { certificates, certificateLists } = parseSignedData(plaintext);
  return { status: "SUCCESS", certificates: certificates.map(parseCertificate), certificateLists };
}

/** The certificates of an answer to GetCACert: one in DER, or certs-only. Throws `der-*`, `x509-*` or `cms-*`. */
export function readCaCertificates(contentType: string, body: Uint8Array): Certificate[] {
  if (!/^application\/x-x509-ca-ra-cert\b/i.test(contentType)) return [parseCertificate(body)];
  return parseSignedData(body).certificates.map(parseCertificate);
}

/**
 * The certificate among those of GetCACert that requests are encrypted to: the RA's where there is one, told by its key
 * usage. Throws `scep-answer` if no certificate has an RSA key.
 */
export function selectRecipient(certificates: readonly Certificate[]): Certificate {
  const canDecrypt = certificates.filter(
    (candidate) => candidate.publicKey().asymmetricKeyType === "rsa",
  );
  const isRa = ({ basicConstraints, keyUsage }: Certificate) =>
    basicConstraints?.isCa !== true && keyUsage?.includes("keyEncipherment") === true;
  const [recipient = undefined] = [...canDecrypt.filter(isRa), ...canDecrypt];
  if (recipient === undefined) throw fault("no certificate to encrypt to");
  return recipient;
}

function fault(message: string): ProtocolError {
  return new ProtocolError("scep-answer", `SCEP answer: ${message}`);
}
