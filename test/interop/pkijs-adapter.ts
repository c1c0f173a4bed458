import type { KeyObject, webcrypto } from "node:crypto";
import {
  Enumerated,
  Integer,
  ObjectIdentifier,
  OctetString,
  Primitive,
  PrintableString,
  Utf8String,
} from "asn1js";
import * as pkijs from "pkijs";

/**
 * All casts around pkijs and asn1js, which the tests use as a second opinion on our own codec: what they make of our
 * bytes (`read`, `judge`, `open`), and bytes of theirs for us (`make`, `sign`, `seal`).
 */
export type Verdict = "accepted" | "refused";

const DIGEST = "SHA-256";

/** The key as WebCrypto has it, for signing with SHA-256. */
function webKey(key: KeyObject): webcrypto.CryptoKey {
  const algorithm =
    key.asymmetricKeyType === "rsa"
      ? { name: "RSASSA-PKCS1-v1_5", hash: DIGEST }
      : { name: "ECDSA", namedCurve: "P-256" };
  return key.toCryptoKey(algorithm, true, [key.type === "private" ? "sign" : "verify"]);
}

/** An ArrayBuffer of just these bytes. */
function exact(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}

function derOf(structure: { toSchema(): { toBER(): ArrayBuffer } }): Buffer {
  return Buffer.from(structure.toSchema().toBER());
}

let lastReason = "";

/** Why pkijs refused the last message, in its own words without what differs from message to message. */
export function reasonOfRefusal(): string {
  return lastReason;
}

/** Accepted is what `act` finds true. */
export async function judged(act: () => Promise<unknown>): Promise<Verdict> {
  try {
    const verdict = await act();
    lastReason = "it does not verify";
    return verdict === true ? "accepted" : "refused";
  } catch (error) {
    lastReason = String((error as Error)?.message ?? error)
      .replace(/[0-9a-f]{8,}|\d+/gi, "N")
      .slice(0, 120);
    return "refused";
  }
}

export const readCertificate = (der: Uint8Array) => pkijs.Certificate.fromBER(exact(der));
export const readRequest = (der: Uint8Array) => pkijs.CertificationRequest.fromBER(exact(der));
export const readList = (der: Uint8Array) => pkijs.CertificateRevocationList.fromBER(exact(der));
export const readOcspRequest = (der: Uint8Array) => pkijs.OCSPRequest.fromBER(exact(der));
export const readSignedData = (der: Uint8Array) =>
  new pkijs.SignedData({ schema: pkijs.ContentInfo.fromBER(exact(der)).content });
export const readEnvelopedData = (der: Uint8Array) =>
  new pkijs.EnvelopedData({ schema: pkijs.ContentInfo.fromBER(exact(der)).content });

/** Whether pkijs reads a certificate and finds that `issuer` signed it. */
export function judgeCertificate(der: Uint8Array, issuer: Uint8Array): Promise<Verdict> {
  return judged(() => readCertificate(der).verify(readCertificate(issuer)));
}

/** Whether pkijs reads a PKCS#10 request and finds its signature right. */
export function judgeRequest(der: Uint8Array): Promise<Verdict> {
  return judged(() => readRequest(der).verify());
}

/** Whether pkijs reads a revocation list and finds that `issuer` signed it. */
export function judgeList(der: Uint8Array, issuer: Uint8Array): Promise<Verdict> {
  return judged(() => readList(der).verify({ issuerCertificate: readCertificate(issuer) }));
}

/** Whether pkijs reads SignedData and finds the signature of its first signer right. */
export function judgeSignedData(der: Uint8Array): Promise<Verdict> {
  return judged(() => readSignedData(der).verify({ signer: 0, checkChain: false }));
}

/** What pkijs finds an OCSP response to say of a certificate, after verifying it: 0 good, 1 revoked, 2 unknown. */
export async function statusFromOcsp(
  der: Uint8Array,
  certificate: Uint8Array,
  issuer: Uint8Array,
): Promise<number> {
  const response = pkijs.OCSPResponse.fromBER(exact(der));
  const bytes = response.responseBytes?.response.valueBlock.valueHexView ?? new Uint8Array();
  const basic = pkijs.BasicOCSPResponse.fromBER(exact(bytes));
  const authority = readCertificate(issuer);
  if (!(await basic.verify({ trustedCerts: [authority] }))) throw new Error("it does not verify");
  return (await basic.getCertificateStatus(readCertificate(certificate), authority)).status;
}

/** Opens an envelope. WebCrypto has no RSAES-PKCS1-v1_5: the key must be wrapped with OAEP. */
export async function openWithPkijs(
  der: Uint8Array,
  certificate: Uint8Array,
  key: KeyObject,
): Promise<Buffer> {
  const content = await readEnvelopedData(der).decrypt(0, {
    recipientCertificate: readCertificate(certificate),
    recipientPrivateKey: exact(key.export({ type: "pkcs8", format: "der" })),
  });
  return Buffer.from(content);
}

function nameOf(commonName: string): pkijs.RelativeDistinguishedNames {
  const value = new Utf8String({ value: commonName });
  const attribute = new pkijs.AttributeTypeAndValue({ type: "2.5.4.3", value });
  return new pkijs.RelativeDistinguishedNames({ typesAndValues: [attribute] });
}

/** A self-signed CA certificate. */
export async function makeCertificate(commonName: string, pair: KeyPair): Promise<Buffer> {
  const constraints = new pkijs.BasicConstraints({ cA: true, pathLenConstraint: 2 });
  const certificate = new pkijs.Certificate({
    version: 2,
    serialNumber: new Integer({ value: 4711 }),
    issuer: nameOf(commonName),
    subject: nameOf(commonName),
    notBefore: new pkijs.Time({ value: new Date(Date.UTC(2026, 0, 1)) }),
    notAfter: new pkijs.Time({ value: new Date(Date.UTC(2027, 0, 1)) }),
    extensions: [
      new pkijs.Extension({
        extnID: "2.5.29.19",
        critical: true,
        extnValue: constraints.toSchema().toBER(),
      }),
    ],
  });
  await certificate.subjectPublicKeyInfo.importKey(webKey(pair.publicKey));
  await certificate.sign(webKey(pair.privateKey), DIGEST);
  return derOf(certificate);
}

export interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

/** A PKCS#10 request with a challengePassword. */
export async function makeRequest(commonName: string, challenge: string, pair: KeyPair) {
  const values = [new PrintableString({ value: challenge })];
  const request = new pkijs.CertificationRequest({
    version: 0,
    subject: nameOf(commonName),
    attributes: [new pkijs.Attribute({ type: "1.2.840.113549.1.9.7", values })],
  });
  await request.subjectPublicKeyInfo.importKey(webKey(pair.publicKey));
  await request.sign(webKey(pair.privateKey), DIGEST);
  return derOf(request);
}

/** A revocation list with one entry. */
export async function makeList(
  issuer: Uint8Array,
  key: KeyObject,
  serialNumber: number,
): Promise<Buffer> {
  const reason = new Enumerated({ value: 4 }).toBER();
  const extension = new pkijs.Extension({ extnID: "2.5.29.21", extnValue: reason });
  const list = new pkijs.CertificateRevocationList({
    version: 1,
    issuer: readCertificate(issuer).subject,
    thisUpdate: new pkijs.Time({ value: new Date(Date.UTC(2026, 0, 1)) }),
    nextUpdate: new pkijs.Time({ value: new Date(Date.UTC(2026, 0, 8)) }),
    revokedCertificates: [
      new pkijs.RevokedCertificate({
        userCertificate: new Integer({ value: serialNumber }),
        revocationDate: new pkijs.Time({ value: new Date(Date.UTC(2026, 0, 1)) }),
        crlEntryExtensions: new pkijs.Extensions({ extensions: [extension] }),
      }),
    ],
  });
  await list.sign(webKey(key), DIGEST);
  return derOf(list);
}

/** An OCSP request for one certificate. */
export async function makeOcspRequest(certificate: Uint8Array, issuer: Uint8Array) {
  const request = new pkijs.OCSPRequest();
  await request.createForCertificate(readCertificate(certificate), {
    hashAlgorithm: DIGEST,
    issuerCertificate: readCertificate(issuer),
  });
  return Buffer.from(request.toSchema(true).toBER());
}

/** An OCSP response by the issuer itself: good, since the first of January 2026. */
export async function makeOcspResponse(
  certificate: Uint8Array,
  issuer: Uint8Array,
  key: KeyObject,
): Promise<Buffer> {
  const issuerCertificate = readCertificate(issuer);
  const certID = new pkijs.CertID();
  await certID.createForCertificate(readCertificate(certificate), {
    hashAlgorithm: DIGEST,
    issuerCertificate,
  });
  const basic = new pkijs.BasicOCSPResponse();
  basic.tbsResponseData.responderID = issuerCertificate.subject;
  basic.tbsResponseData.producedAt = new Date(Date.UTC(2026, 0, 1));
  const thisUpdate = new Date(Date.UTC(2026, 0, 1));
  const response = new pkijs.SingleResponse({ certID, thisUpdate });
  response.certStatus = new Primitive({ idBlock: { tagClass: 3, tagNumber: 0 } });
  basic.tbsResponseData.responses.push(response);
  await basic.sign(webKey(key), DIGEST);
  const responseBytes = new pkijs.ResponseBytes({
    responseType: pkijs.id_PKIX_OCSP_Basic,
    response: new OctetString({ valueHex: basic.toSchema().toBER() }),
  });
  return derOf(
    new pkijs.OCSPResponse({ responseStatus: new Enumerated({ value: 0 }), responseBytes }),
  );
}

/** Seals content: AES-256-CBC, the key wrapped with OAEP. */
export async function sealWithPkijs(
  content: Uint8Array,
  certificate: Uint8Array,
  oaepHashAlgorithm: "SHA-1" | "SHA-256" | "SHA-512",
): Promise<Buffer> {
  const envelope = new pkijs.EnvelopedData();
  envelope.addRecipientByCertificate(readCertificate(certificate), { oaepHashAlgorithm });
  await envelope.encrypt({ name: "AES-CBC", length: 256 }, exact(content));
  return contentInfo("1.2.840.113549.1.7.3", envelope);
}

/** Signs content, with contentType, messageDigest and further attributes (type -> PrintableString). */
export async function signWithPkijs(
  content: Uint8Array,
  certificate: Uint8Array,
  key: KeyObject,
  further: Readonly<Record<string, string>> = {},
): Promise<Buffer> {
  const signer = readCertificate(certificate);
  const { issuer, serialNumber } = signer;
  const digest = await crypto.subtle.digest(DIGEST, exact(content));
  const attribute = (type: string, value: unknown) =>
    new pkijs.Attribute({ type, values: [value] });
  const attributes = [
    attribute("1.2.840.113549.1.9.3", new ObjectIdentifier({ value: pkijs.ContentInfo.DATA })),
    attribute("1.2.840.113549.1.9.4", new OctetString({ valueHex: digest })),
    ...Object.entries(further).map(([type, value]) =>
      attribute(type, new PrintableString({ value })),
    ),
  ];
  const signed = new pkijs.SignedData({
    version: 1,
    encapContentInfo: new pkijs.EncapsulatedContentInfo({
      eContentType: pkijs.ContentInfo.DATA,
      eContent: new OctetString({ valueHex: exact(content) }),
    }),
    signerInfos: [
      new pkijs.SignerInfo({
        version: 1,
        sid: new pkijs.IssuerAndSerialNumber({ issuer, serialNumber }),
        signedAttrs: new pkijs.SignedAndUnsignedAttributes({ type: 0, attributes }),
      }),
    ],
    certificates: [signer],
  });
  await signed.sign(webKey(key), 0, DIGEST);
  return contentInfo("1.2.840.113549.1.7.2", signed);
}

function contentInfo(contentType: string, content: { toSchema(): unknown }): Buffer {
  return derOf(new pkijs.ContentInfo({ contentType, content: content.toSchema() }));
}
