import { constants, createCipheriv, publicEncrypt } from "node:crypto";
import { ProtocolError } from "@isthmus/shared/errors";
import type { Random } from "@isthmus/shared/random";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import { DerReader } from "@isthmus/shared/x509/der-reader";
import {
  explicit,
  implicit,
  integer,
  objectIdentifier,
  octetString,
  sequence,
  setOf,
} from "@isthmus/shared/x509/der-writer";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { withoutStack } from "@isthmus/shared/x509/without-stack";
import {
  CIPHERS,
  type ContentCipher,
  cipherKey,
  cipherOf,
  LEGACY_CIPHERS,
} from "./content-cipher.ts";
import type { SealedEnvelope } from "./envelope-opening.ts";
import {
  encodeIssuerAndSerial,
  type IssuerAndSerial,
  isIdentifiedBy,
  readIssuerAndSerial,
} from "./issuer-and-serial.ts";
import { encodeKeyEncryption, type KeyEncryption, readKeyEncryption } from "./key-encryption.ts";

/**
 * CMS EnvelopedData in its ContentInfo (RFC 5652 section 6): what is public of it.
 *
 *     SEQUENCE { envelopedData, [0] SEQUENCE {
 *       version, originatorInfo [0]?,
 *       recipientInfos SET OF SEQUENCE { version, rid, keyEncryptionAlgorithm, encryptedKey OCTET STRING },
 *       encryptedContentInfo SEQUENCE { contentType, contentEncryptionAlgorithm, encryptedContent [0] OCTET STRING },
 *       unprotectedAttrs [1]? } }
 */
export interface EnvelopedData {
  readonly recipients: readonly Recipient[];
  readonly cipher: ContentCipher;
  readonly iv: Buffer;
  readonly encryptedContent: Buffer;
}

export interface Recipient {
  readonly recipient: RecipientIdentifier;
  readonly keyEncryption: KeyEncryption;
  readonly encryptedKey: Buffer;
}

export type RecipientIdentifier =
  | ({ readonly by: "issuerAndSerial" } & IssuerAndSerial)
  | { readonly by: "keyIdentifier"; readonly keyIdentifier: Buffer };

/** Our own limits. */
const MAX_RECIPIENTS = 8;

/**
 * Reads EnvelopedData as DER or BER. Throws `der-*`, `x509-*`, `cms-enveloped-data` for its shape, and
 * `cms-algorithm` for algorithms that are not allowed; triple and single DES need `allowLegacy`.
 */
export function parseEnvelopedData(
  der: Uint8Array,
  { allowLegacy = false }: { readonly allowLegacy?: boolean } = {},
): EnvelopedData {
  const outer = new DerReader(der, { allowBer: true });
  const contentInfo = outer.enter();
  outer.end();
  if (contentInfo.readObjectIdentifier() !== OID.envelopedData)
    throw fault("it is another content");
  const explicitTag = contentInfo.enter(0xa0);
  contentInfo.end();
  const body = explicitTag.enter();
  explicitTag.end();
  body.readSmallInteger(4);
  body.enterOptional(0xa0);
  const recipients = readRecipients(body.enter(0x31));
  const content = readEncryptedContent(body.enter());
  body.enterOptional(0xa1);
  body.end();
  if (LEGACY_CIPHERS.includes(content.cipher) && !allowLegacy) {
    throw notAllowed(`${content.cipher} is allowed to legacy profiles only`);
  }
  return { recipients, ...content };
}

function readRecipients(set: DerReader): Recipient[] {
  const recipients: Recipient[] = [];
  let count = 0;
  while (!set.isAtEnd) {
    count += 1;
    if (count > MAX_RECIPIENTS) throw fault(`more than ${MAX_RECIPIENTS} recipients`);
    // Other ways than key transport (context tags) cannot be meant for us.
    if (set.peekTag() === 0x30) recipients.push(readKeyTransport(set.enter()));
    else set.skip();
  }
  return recipients;
}

function readKeyTransport(body: DerReader): Recipient {
  body.readSmallInteger(2);
  const keyIdentifier = body.readOptional(0x80);
  const recipient: RecipientIdentifier =
    keyIdentifier === undefined
      ? { by: "issuerAndSerial", ...readIssuerAndSerial(body) }
      : { by: "keyIdentifier", keyIdentifier };
  const keyEncryption = readKeyEncryption(body);
  const encryptedKey = body.readOctetString();
  body.end();
  return { recipient, keyEncryption, encryptedKey };
}

function readEncryptedContent(body: DerReader) {
  body.readObjectIdentifier();
  const algorithm = body.enter();
  const oid = algorithm.readObjectIdentifier();
  const cipher = cipherOf(oid);
  if (cipher === undefined) throw notAllowed(`content encryption ${oid} is not allowed`);
  const iv = algorithm.readOctetString();
  algorithm.end();
  const encryptedContent = body.readOctetString(0x80);
  body.end();
  const { blockBytes } = CIPHERS[cipher];
  if (iv.length !== blockBytes) throw fault(`an initialization vector of ${iv.length} octets`);
  if (encryptedContent.length === 0 || encryptedContent.length % blockBytes !== 0) {
    throw fault("the encrypted content is not of whole blocks");
  }
  return { cipher, iv, encryptedContent };
}

/** The envelope for the first of these certificates that it is addressed to, with that certificate's index. */
export function sealedFor(
  envelope: EnvelopedData,
  certificates: readonly Certificate[],
): { readonly index: number; readonly sealed: SealedEnvelope } | undefined {
  const { cipher, iv, encryptedContent } = envelope;
  for (const { recipient, keyEncryption, encryptedKey } of envelope.recipients) {
    const index = certificates.findIndex((candidate) => isAddressedTo(recipient, candidate));
    if (index < 0) continue;
    return { index, sealed: { keyEncryption, encryptedKey, cipher, iv, encryptedContent } };
  }
  return undefined;
}

function isAddressedTo(recipient: RecipientIdentifier, certificate: Certificate): boolean {
  if (recipient.by === "issuerAndSerial") return isIdentifiedBy(certificate, recipient);
  return certificate.subjectKeyIdentifier?.equals(recipient.keyIdentifier) === true;
}

/** What goes into an envelope for one recipient. */
export interface EnvelopeContent {
  readonly content: Uint8Array;
  readonly recipient: Certificate;
  readonly cipher: ContentCipher;
  readonly keyEncryption: KeyEncryption;
}

/** Seals content for the key of a certificate. Throws `cms-recipient` if that key is not RSA. */
export function encodeEnvelopedData(of: EnvelopeContent, random: Random): Buffer {
  const { oid, keyBytes, openssl, blockBytes } = CIPHERS[of.cipher];
  const key = random.bytes(keyBytes);
  const iv = random.bytes(blockBytes);
  const cipher = createCipheriv(openssl, cipherKey(of.cipher, key), iv);
  const encryptedContent = Buffer.concat([cipher.update(of.content), cipher.final()]);
  const recipientInfo = sequence(
    integer(0),
    encodeIssuerAndSerial(of.recipient),
    encodeKeyEncryption(of.keyEncryption),
    octetString(wrapKey(key, of)),
  );
  const contentInfo = sequence(
    objectIdentifier(OID.data),
    sequence(objectIdentifier(oid), octetString(iv)),
    implicit(0, encryptedContent),
  );
  const envelopedData = sequence(integer(0), setOf(recipientInfo), contentInfo);
  return sequence(objectIdentifier(OID.envelopedData), explicit(0, envelopedData));
}

function wrapKey(contentKey: Buffer, { recipient, keyEncryption }: EnvelopeContent): Buffer {
  const key = recipient.publicKey();
  if (key.asymmetricKeyType !== "rsa") {
    throw new ProtocolError("cms-recipient", "EnvelopedData: the recipient's key is not RSA");
  }
  if (keyEncryption.scheme === "pkcs1") {
    const padding = constants.RSA_PKCS1_PADDING;
    return withoutStack(() => publicEncrypt({ key, padding }, contentKey));
  }
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  const { digest: oaepHash } = keyEncryption;
  return withoutStack(() => publicEncrypt({ key, padding, oaepHash }, contentKey));
}

function notAllowed(message: string): ProtocolError {
  return new ProtocolError("cms-algorithm", `EnvelopedData: ${message}`);
}

function fault(message: string): ProtocolError {
  return new ProtocolError("cms-enveloped-data", `EnvelopedData: ${message}`);
}
