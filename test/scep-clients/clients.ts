import { createHash, type KeyObject } from "node:crypto";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import { explicit, nullValue, objectIdentifier, sequence } from "@isthmus/shared/x509/der-writer";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { certificationRequest, selfSignedCertificate, transactionIdOf } from "./device-papers.ts";
import { getRequest, postRequest } from "./http-request.ts";
import {
  type EnvelopeStyle,
  envelope,
  type MessageAttributes,
  type MessageSigner,
  type Noise,
  type SignatureStyle,
  signedMessage,
} from "./message-builder.ts";

/**
 * SCEP clients as they are documented to behave: the bytes of their enrolment, and how they go over HTTP. Each shows one
 * or more quirks of docs/cert-connector/scep-clients.md; none of them is the client itself.
 */
export interface EmulatedClient {
  readonly name: string;
  /** What it does differently. */
  readonly quirk: string;
  /** It needs SHA-1 or DES, and so a profile with `legacyAlgorithms`. */
  readonly isLegacy: boolean;
  readonly habit: "plain" | "apple" | "windows";
  readonly envelope: EnvelopeStyle;
  readonly signature: SignatureStyle;
  /** The whole HTTP request around a message, for a service at `path`. */
  http(message: Buffer, path: string): Buffer;
}

/** What a client is told and has. */
export interface Enrolment {
  readonly recipient: Certificate;
  readonly key: KeyObject;
  readonly subject: string;
  readonly challengePassword: string | undefined;
  readonly now: number;
  readonly noise: Noise;
  /** Whoever signs instead of a certificate of the client's own, e.g. in a renewal. */
  readonly signer?: MessageSigner;
  readonly messageType?: "17" | "19";
  /** Breaks the certification request, or the envelope around it, before what is outside is made good. */
  readonly breakRequest?: (request: Buffer) => Buffer;
  readonly breakEnvelope?: (envelope: Buffer) => Buffer;
  /** What differs among the signed attributes and certificates. */
  readonly attributes?: Partial<MessageAttributes>;
}

const asIs = (bytes: Buffer) => bytes;

/** The client's enrolment message. */
export function enrolmentMessage(client: EmulatedClient, enrolment: Enrolment): Buffer {
  const { key, noise, recipient, messageType = "19" } = enrolment;
  const { breakRequest = asIs, breakEnvelope = asIs } = enrolment;
  const digest = client.signature.digest === "sha1" ? "sha1" : "sha256";
  const papers = { ...enrolment, habit: client.habit, digest } as const;
  const signer = enrolment.signer ?? {
    certificate: selfSignedCertificate(papers),
    privateKey: key,
  };
  const request = breakRequest(certificationRequest(papers));
  const content = breakEnvelope(envelope(request, recipient, client.envelope, noise));
  const transactionId =
    enrolment.signer === undefined
      ? transactionIdOf(key)
      : createHash("sha256").update(request).digest("hex");
  const ordinary = { messageType, transactionId, senderNonce: noise(16) };
  const attributes = { ...ordinary, ...enrolment.attributes };
  return signedMessage(content, signer, attributes, client.signature);
}

const PKCS1 = sequence(objectIdentifier(OID.rsaEncryption), nullValue());
const OAEP = objectIdentifier(OID.rsaesOaep);
const SHA256 = sequence(objectIdentifier(OID.sha256), nullValue());
const OAEP_SHA256 = sequence(
  OAEP,
  sequence(explicit(0, SHA256), explicit(1, sequence(objectIdentifier(OID.mgf1), SHA256))),
);

const der = { encoding: "der", keyEncryption: PKCS1, padding: { scheme: "pkcs1" } } as const;
const ber = { ...der, encoding: "ber" } as const;
const modern: SignatureStyle = { encoding: "der", digest: "sha256", names: "rsaEncryption" };
const old: SignatureStyle = { encoding: "der", digest: "sha1", names: "rsaEncryption" };

const APPLE = "mdmclient/1.0 CFNetwork/1568 Darwin/24.0.0";
const WINDOWS = "Mozilla/4.0 (compatible; Win32; NDES client 10.0.26100.1/ge_release)";
const CISCO = "Mozilla/4.0 (compatible; MSIE 5.0; Cisco PKI)";

function windows(name: string, quirk: string, style: Partial<EnvelopeStyle>): EmulatedClient {
  return {
    name,
    quirk,
    isLegacy: false,
    habit: "windows",
    envelope: { ...der, cipher: "aes-256-cbc", ...style },
    signature: { ...modern, names: "withDigest" },
    http: (message, path) => postRequest(message, `${path}/pkiclient.exe`, WINDOWS),
  };
}

export const CLIENTS: readonly EmulatedClient[] = [
  {
    name: "apple-ios",
    quirk: "BER with indefinite lengths and content in pieces, inside and outside",
    isLegacy: false,
    habit: "apple",
    envelope: { ...ber, cipher: "aes-128-cbc" },
    signature: { ...modern, encoding: "ber" },
    http: (message, path) => postRequest(message, path, APPLE),
  },
  {
    name: "apple-macos-get",
    quirk: "GET with + and / of the base64 as they are",
    isLegacy: false,
    habit: "apple",
    envelope: { ...ber, cipher: "aes-128-cbc" },
    signature: { ...modern, encoding: "ber" },
    http: (message, path) => getRequest(message, path, { escaping: "none", agent: APPLE }),
  },
  windows("windows-oaep-absent", "OAEP with SHA-1, without parameters", {
    keyEncryption: sequence(OAEP),
    padding: { scheme: "oaep", digest: "sha1" },
  }),
  windows("windows-oaep-null", "OAEP with SHA-1, with NULL for parameters", {
    keyEncryption: sequence(OAEP, nullValue()),
    padding: { scheme: "oaep", digest: "sha1" },
  }),
  windows("windows-oaep-sha256", "OAEP with SHA-256", {
    keyEncryption: OAEP_SHA256,
    padding: { scheme: "oaep", digest: "sha256" },
  }),
  windows("windows-pkcs1", "a critical authority key identifier in its own certificate", {}),
  {
    name: "cisco-ios",
    quirk: "HTTP/1.0 GET below /cgi-bin/pkiclient.exe, base64 in lines, triple DES and SHA-1",
    isLegacy: true,
    habit: "plain",
    envelope: { ...der, cipher: "des-ede3-cbc" },
    signature: { ...old, names: "withDigest" },
    http: (message, path) =>
      getRequest(message, `${path}/cgi-bin/pkiclient.exe`, {
        escaping: "all",
        isInLines: true,
        version: "1.0",
        agent: CISCO,
      }),
  },
  {
    name: "micromdm-scepclient",
    quirk: "SHA-1 and single DES whatever is offered",
    isLegacy: true,
    habit: "plain",
    envelope: { ...der, cipher: "des-cbc" },
    signature: { ...old, names: "withDigest" },
    http: (message, path) => postRequest(message, path, "Go-http-client/1.1"),
  },
  {
    name: "strongswan",
    quirk: "plain rsaEncryption as the algorithm of the signature",
    isLegacy: false,
    habit: "plain",
    envelope: { ...der, cipher: "aes-256-cbc" },
    signature: modern,
    http: (message, path) => postRequest(message, path, "strongSwan"),
  },
  {
    name: "certmonger",
    quirk: "GET with everything escaped",
    isLegacy: false,
    habit: "plain",
    envelope: { ...der, cipher: "aes-128-cbc" },
    signature: { ...modern, digest: "sha512" },
    http: (message, path) => getRequest(message, path, { escaping: "all", agent: "certmonger" }),
  },
];

/** The client of this name. */
export function clientNamed(name: string): EmulatedClient {
  const client = CLIENTS.find((each) => each.name === name);
  if (client === undefined) throw new Error(`there is no emulated client ${name}`);
  return client;
}
