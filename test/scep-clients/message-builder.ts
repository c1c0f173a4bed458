import {
  constants,
  createCipheriv,
  createHash,
  type KeyObject,
  publicEncrypt,
  sign as signNow,
} from "node:crypto";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import { encodeSerialNumber } from "@isthmus/shared/x509/certificate";
import {
  element,
  explicit,
  integer,
  nullValue,
  objectIdentifier,
  octetString,
  printableString,
  sequence,
  setOf,
} from "@isthmus/shared/x509/der-writer";
import { OID } from "@isthmus/shared/x509/object-identifiers";

/**
 * SCEP messages with the encodings that clients are known to send, written here and not by the connector's own writer:
 * BER with indefinite lengths, content in pieces, any algorithm and any parameters.
 */

/** DER, or BER as a streaming encoder writes it: outer parts of indefinite length, content in pieces. */
export type Encoding = "der" | "ber";

export interface EnvelopeStyle {
  readonly encoding: Encoding;
  /** AlgorithmIdentifier as it is to stand there, DER. */
  readonly keyEncryption: Buffer;
  /** How the content key is in fact encrypted. */
  readonly padding:
    | { readonly scheme: "pkcs1" }
    | { readonly scheme: "oaep"; readonly digest: string };
  readonly cipher: keyof typeof CIPHERS;
}

export interface SignatureStyle {
  readonly encoding: Encoding;
  readonly digest: keyof typeof DIGESTS;
  /** What SignerInfo calls the algorithm: plain rsaEncryption, or with its digest. */
  readonly names: "rsaEncryption" | "withDigest";
}

const CIPHERS = {
  "aes-128-cbc": { oid: OID.aes128Cbc, keyBytes: 16, ivBytes: 16, openssl: "aes-128-cbc" },
  "aes-256-cbc": { oid: OID.aes256Cbc, keyBytes: 32, ivBytes: 16, openssl: "aes-256-cbc" },
  "des-ede3-cbc": { oid: OID.desEde3Cbc, keyBytes: 24, ivBytes: 8, openssl: "des-ede3-cbc" },
  "des-cbc": { oid: OID.desCbc, keyBytes: 8, ivBytes: 8, openssl: "des-ede3-cbc" },
} as const;

const DIGESTS = {
  md5: { oid: "1.2.840.113549.2.5", withRsa: "1.2.840.113549.1.1.4" },
  sha1: { oid: OID.sha1, withRsa: OID.sha1WithRSAEncryption },
  sha256: { oid: OID.sha256, withRsa: OID.sha256WithRSAEncryption },
  sha512: { oid: OID.sha512, withRsa: OID.sha512WithRSAEncryption },
} as const;

/** Where bytes that should be random come from: fixed in the corpus, so that it can be made again. */
export type Noise = (length: number) => Buffer;

export const PIECE_BYTES = 1_000;

export function indefinite(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  return Buffer.concat([Buffer.from([tag, 0x80]), ...parts, Buffer.from([0, 0])]);
}

function wrapped(encoding: Encoding, tag: number, ...parts: readonly Uint8Array[]): Buffer {
  return encoding === "ber" ? indefinite(tag, ...parts) : element(tag, ...parts);
}

/** An OCTET STRING under a tag: whole, or in pieces. */
function octets(encoding: Encoding, tag: number, content: Uint8Array): Buffer {
  if (encoding === "der") return element(tag, content);
  const pieces: Buffer[] = [];
  for (let at = 0; at < content.length; at += PIECE_BYTES) {
    pieces.push(octetString(content.subarray(at, at + PIECE_BYTES)));
  }
  return indefinite(tag | 0x20, ...pieces);
}

/** EnvelopedData for one recipient. */
export function envelope(
  content: Uint8Array,
  recipient: Certificate,
  style: EnvelopeStyle,
  noise: Noise,
): Buffer {
  const { oid, keyBytes, ivBytes, openssl } = CIPHERS[style.cipher];
  const key = noise(keyBytes);
  const iv = noise(ivBytes);
  const opensslKey = style.cipher === "des-cbc" ? Buffer.concat([key, key, key]) : key;
  const cipher = createCipheriv(openssl, opensslKey, iv);
  const encrypted = Buffer.concat([cipher.update(content), cipher.final()]);
  const recipientInfo = sequence(
    integer(0),
    sequence(recipient.issuer.der, encodeSerialNumber(recipient.serialNumber)),
    style.keyEncryption,
    octetString(wrapKey(key, recipient, style)),
  );
  const { encoding } = style;
  const encryptedContent = wrapped(
    encoding,
    0x30,
    objectIdentifier(OID.data),
    sequence(objectIdentifier(oid), octetString(iv)),
    octets(encoding, 0x80, encrypted),
  );
  const body = wrapped(encoding, 0x30, integer(0), setOf(recipientInfo), encryptedContent);
  return contentInfo(encoding, OID.envelopedData, body);
}

function wrapKey(key: Buffer, recipient: Certificate, { padding }: EnvelopeStyle): Buffer {
  const publicKey = recipient.publicKey();
  if (padding.scheme === "pkcs1") {
    return publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_PADDING }, key);
  }
  const oaep = constants.RSA_PKCS1_OAEP_PADDING;
  return publicEncrypt({ key: publicKey, padding: oaep, oaepHash: padding.digest }, key);
}

export interface MessageAttributes {
  readonly messageType: string;
  readonly transactionId: string;
  /** Old clients send none. */
  readonly senderNonce: Buffer | undefined;
  /** Certificates that stand before the signer's own. */
  readonly otherCertificates?: readonly Buffer[];
  /** Further signed attributes: type and DER of the value. */
  readonly further?: readonly (readonly [string, Buffer])[];
}

export interface MessageSigner {
  readonly certificate: Certificate;
  readonly privateKey: KeyObject;
}

/** SignedData around an envelope, with SCEP's attributes. */
export function signedMessage(
  content: Uint8Array,
  signer: MessageSigner,
  {
    messageType,
    transactionId,
    senderNonce,
    otherCertificates = [],
    further = [],
  }: MessageAttributes,
  { encoding, digest, names }: SignatureStyle,
): Buffer {
  const { oid, withRsa } = DIGESTS[digest];
  const attribute = (type: string, value: Uint8Array) =>
    sequence(objectIdentifier(type), setOf(value));
  const attributes = setOf(
    attribute(OID.contentType, objectIdentifier(OID.data)),
    attribute(OID.messageDigest, octetString(createHash(digest).update(content).digest())),
    attribute(OID.scepMessageType, printableString(messageType)),
    attribute(OID.scepTransactionId, printableString(transactionId)),
    ...(senderNonce === undefined
      ? []
      : [attribute(OID.scepSenderNonce, octetString(senderNonce))]),
    ...further.map(([type, value]) => attribute(type, value)),
  );
  const signature = signNow(digest, attributes, signer.privateKey);
  const signedAttributes = Buffer.from(attributes);
  signedAttributes[0] = 0xa0;
  const digestAlgorithm = sequence(objectIdentifier(oid), nullValue());
  const { issuer, serialNumber } = signer.certificate;
  const signerInfo = sequence(
    integer(1),
    sequence(issuer.der, encodeSerialNumber(serialNumber)),
    digestAlgorithm,
    signedAttributes,
    sequence(objectIdentifier(names === "withDigest" ? withRsa : OID.rsaEncryption), nullValue()),
    octetString(signature),
  );
  const encapsulated = wrapped(
    encoding,
    0x30,
    objectIdentifier(OID.data),
    wrapped(encoding, 0xa0, octets(encoding, 0x04, content)),
  );
  const body = wrapped(
    encoding,
    0x30,
    integer(1),
    setOf(digestAlgorithm),
    encapsulated,
    wrapped(encoding, 0xa0, ...otherCertificates, signer.certificate.der),
    setOf(signerInfo),
  );
  return contentInfo(encoding, OID.signedData, body);
}

function contentInfo(encoding: Encoding, type: string, body: Buffer): Buffer {
  return encoding === "ber"
    ? indefinite(0x30, objectIdentifier(type), indefinite(0xa0, body))
    : sequence(objectIdentifier(type), explicit(0, body));
}
