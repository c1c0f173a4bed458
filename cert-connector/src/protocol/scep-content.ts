import type { KeyObject } from "node:crypto";
import { ProtocolError } from "@isthmus/shared/errors";
import {
  type CertificationRequest,
  parseCertificationRequest,
} from "@isthmus/shared/x509/certification-request";
import { DerReader } from "@isthmus/shared/x509/der-reader";
import { sequence } from "@isthmus/shared/x509/der-writer";
import { type DistinguishedName, readName } from "@isthmus/shared/x509/name";
import type { OpenedEnvelope } from "./envelope-opening.ts";
import { type IssuerAndSerial, readIssuerAndSerial } from "./issuer-and-serial.ts";
import type { MessageType } from "./scep-message.ts";

/** What a request asks for, once its envelope is open. */
export type ScepRequestContent =
  | {
      readonly messageType: "PKCSReq" | "RenewalReq";
      readonly certificationRequest: CertificationRequest;
    }
  | { readonly messageType: "CertPoll"; readonly issuerAndSubject: IssuerAndSubject }
  | { readonly messageType: "GetCert" | "GetCRL"; readonly issuerAndSerial: IssuerAndSerial };

/** Names a request by who was asked and for whom (RFC 8894 section 3.3.3). */
export interface IssuerAndSubject {
  readonly issuer: DistinguishedName;
  readonly subject: DistinguishedName;
}

/** IssuerAndSubject ::= SEQUENCE { issuer Name, subject Name } */
export function encodeIssuerAndSubject({ issuer, subject }: IssuerAndSubject): Buffer {
  return sequence(issuer.der, subject.der);
}

export interface ReadingOptions {
  /** Accept a request signed with SHA-1. */
  readonly allowLegacy?: boolean;
  /** The message signer's key: in a first enrolment the request is for the same key, which is then not made twice. */
  readonly signerKey?: { readonly publicKeyInfo: Buffer; publicKey(): KeyObject };
}

/**
 * Reads what came out of an envelope. Whatever is wrong from unwrapping the key to the signature of the request, the
 * answer is one: `scep-content`, with the same message and no cause. A sender that could tell a wrong key from wrong
 * padding from wrong content could decrypt what others sent (Bleichenbacher, Vaudenay). For the same reason the content
 * is read even where the padding was wrong.
 */
export function readScepContent(
  messageType: Exclude<MessageType, "CertRep">,
  opened: OpenedEnvelope,
  options: ReadingOptions = {},
): ScepRequestContent {
  const content = attempt(() => read(messageType, opened.plaintext, options));
  if (content === undefined || !opened.isIntact) {
    throw new ProtocolError("scep-content", "SCEP message: the content cannot be read");
  }
  return content;
}

function attempt<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

function read(
  messageType: Exclude<MessageType, "CertRep">,
  plaintext: Uint8Array,
  options: ReadingOptions,
): ScepRequestContent | undefined {
  switch (messageType) {
    case "PKCSReq":
    case "RenewalReq": {
      const certificationRequest = parseCertificationRequest(plaintext);
      if (!isProven(certificationRequest, options)) return undefined;
      return { messageType, certificationRequest };
    }
    case "CertPoll":
      return { messageType, issuerAndSubject: whole(plaintext, readIssuerAndSubject) };
    case "GetCert":
    case "GetCRL":
      return { messageType, issuerAndSerial: whole(plaintext, readIssuerAndSerial) };
  }
}

/** Whether the requester holds the private key of the request. */
function isProven(request: CertificationRequest, options: ReadingOptions): boolean {
  const { signerKey, allowLegacy = false } = options;
  const isSameKey = signerKey?.publicKeyInfo.equals(request.publicKeyInfo) === true;
  const known = signerKey !== undefined && isSameKey ? { knownKey: signerKey.publicKey() } : {};
  return request.verifySignature({ allowSha1: allowLegacy, ...known });
}

function readIssuerAndSubject(reader: DerReader): IssuerAndSubject {
  const body = reader.enter();
  const issuer = readName(body);
  const subject = readName(body);
  body.end();
  return { issuer, subject };
}

function whole<T>(bytes: Uint8Array, readOne: (reader: DerReader) => T): T {
  const reader = new DerReader(bytes);
  const value = readOne(reader);
  reader.end();
  return value;
}
