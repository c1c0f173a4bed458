import type { KeyObject } from "node:crypto";
import { BitString, Null, OctetString, PrintableString, Sequence } from "asn1js";
import * as pkijs from "pkijs";

/** All casts around pkijs and asn1js, which the tests use as a second opinion on our own codec. */

export type Verdict = "accepted" | "refused";

/** The key as WebCrypto has it, for signing with SHA-256. */
export function signingKey(key: KeyObject): CryptoKey {
  const algorithm =
    key.asymmetricKeyType === "rsa"
      ? { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }
      : { name: "ECDSA", namedCurve: "P-256" };
  return key.toCryptoKey(algorithm, true, [
    key.type === "private" ? "sign" : "verify",
  ]) as CryptoKey;
}

export function readCertificate(der: Uint8Array): pkijs.Certificate {
  return pkijs.Certificate.fromBER(exact(der));
}

/** Whether pkijs reads a certificate and finds that `issuer` signed it. */
export function judgeCertificate(der: Uint8Array, issuer: Uint8Array): Promise<Verdict> {
  return judged(() => readCertificate(der).verify(readCertificate(issuer)));
}

/** Whether pkijs reads a PKCS#10 request and finds its signature right. */
export function judgeRequest(der: Uint8Array): Promise<Verdict> {
  return judged(() => pkijs.CertificationRequest.fromBER(exact(der)).verify());
}

/** Whether pkijs reads a revocation list and finds that `issuer` signed it. */
export function judgeList(der: Uint8Array, issuer: Uint8Array): Promise<Verdict> {
  const issuerCertificate = readCertificate(issuer);
  return judged(() => readList(der).verify({ issuerCertificate }));
}

export function readList(der: Uint8Array): pkijs.CertificateRevocationList {
  return pkijs.CertificateRevocationList.fromBER(exact(der));
}

export function readRequest(der: Uint8Array): pkijs.CertificationRequest {
  return pkijs.CertificationRequest.fromBER(exact(der));
}

export function readSignedData(der: Uint8Array): pkijs.SignedData {
  return new pkijs.SignedData({ schema: pkijs.ContentInfo.fromBER(exact(der)).content });
}

/** Whether pkijs reads SignedData and finds the signature of its first signer right. */
export function judgeSignedData(der: Uint8Array): Promise<Verdict> {
  return judged(() => readSignedData(der).verify({ signer: 0, checkChain: false }));
}

export function readEnvelopedData(der: Uint8Array): pkijs.EnvelopedData {
  return new pkijs.EnvelopedData({ schema: pkijs.ContentInfo.fromBER(exact(der)).content });
}

/** Opens an envelope with pkijs. WebCrypto has no RSAES-PKCS1-v1_5: the key must be wrapped with OAEP. */
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

/** Seals content with pkijs: AES-256-CBC, OAEP. */
export async function sealWithPkijs(
  content: Uint8Array,
  certificate: Uint8Array,
  oaepHashAlgorithm: "SHA-1" | "SHA-256" | "SHA-512",
): Promise<Buffer> {
  const envelope = new pkijs.EnvelopedData();
  envelope.addRecipientByCertificate(readCertificate(certificate), { oaepHashAlgorithm });
  const cipher = { name: "AES-CBC", length: 256 } as const;
  await envelope.encrypt(cipher, exact(content));
  return contentInfo(pkijs.ContentInfo.ENVELOPED_DATA, envelope);
}

/** Signs content with pkijs, with contentType, messageDigest and further attributes (type -> PrintableString). */
export async function signWithPkijs(
  content: Uint8Array,
  certificate: Uint8Array,
  key: KeyObject,
  attributes: Readonly<Record<string, string>> = {},
): Promise<Buffer> {
  const signer = readCertificate(certificate);
  const digest = await crypto.subtle.digest("SHA-256", exact(content));
  const attribute = (type: string, values: unknown[]) => new pkijs.Attribute({ type, values });
  const signedAttrs = new pkijs.SignedAndUnsignedAttributes({
    type: 0,
    attributes: [
      attribute("1.2.840.113549.1.9.3", [new pkijs.AlgorithmIdentifier().toSchema()]),
      attribute("1.2.840.113549.1.9.4", [new OctetString({ valueHex: digest })]),
      ...Object.entries(attributes).map(([type, value]) =>
        attribute(type, [new PrintableString({ value })]),
      ),
    ],
  });
  signedAttrs.attributes[0] = attribute("1.2.840.113549.1.9.3", [
    objectIdentifier(pkijs.ContentInfo.DATA),
  ]);
  const signed = new pkijs.SignedData({
    version: 1,
    encapContentInfo: new pkijs.EncapsulatedContentInfo({
      eContentType: pkijs.ContentInfo.DATA,
      eContent: new OctetString({ valueHex: exact(content) }),
    }),
    signerInfos: [
      new pkijs.SignerInfo({
        version: 1,
        sid: new pkijs.IssuerAndSerialNumber({
          issuer: signer.issuer,
          serialNumber: signer.serialNumber,
        }),
        signedAttrs,
      }),
    ],
    certificates: [signer],
  });
  await signed.sign(signingKey(key), 0, "SHA-256");
  return contentInfo(pkijs.ContentInfo.SIGNED_DATA, signed);
}
