import { createPublicKey } from "node:crypto";
import { assembleSigned, encodeTbsCertificate } from "./certificate.ts";
import {
  authorityKeyIdentifierExtension,
  type Extension,
  subjectKeyIdentifierExtension,
} from "./extensions.ts";
import type { DistinguishedName } from "./name.ts";
import { OID } from "./object-identifiers.ts";
import { keyIdentifierOf } from "./public-key.ts";
import { sign, signatureAlgorithmFor } from "./signature.ts";
import { isHeld, type SigningKey } from "./signing-key.ts";

/** A certificate to be made in one step, for CAs and for certificates that a service makes for itself. */
export interface CertificateRequest {
  readonly subject: DistinguishedName;
  /** Who signs; `self` signs with the subject's own key. */
  readonly issuer: { readonly name: DistinguishedName; readonly key: SigningKey } | SelfSigned;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKeyInfo: Uint8Array;
  /** ms since the epoch. */
  readonly validity: { readonly notBefore: number; readonly notAfter: number };
  /** Hex, whole octets. */
  readonly serialNumber: string;
  /** Subject and authority key identifier are added where they are missing. */
  readonly extensions: readonly Extension[];
}

export interface SelfSigned {
  readonly selfSignedWith: SigningKey;
}

/** Issues a certificate with the algorithm that fits the issuer's key, and returns its DER. */
export async function issueCertificate(request: CertificateRequest): Promise<Buffer> {
  const { subject, publicKeyInfo, validity, serialNumber } = request;
  const issuer =
    "selfSignedWith" in request.issuer
      ? { name: subject, key: request.issuer.selfSignedWith }
      : request.issuer;
  const signatureAlgorithm = signatureAlgorithmFor(issuer.key);
  const tbs = encodeTbsCertificate({
    serialNumber,
    issuer: issuer.name,
    subject,
    ...validity,
    publicKeyInfo,
    extensions: withKeyIdentifiers(request.extensions, publicKeyInfo, issuer.key),
    signatureAlgorithm,
  });
  return assembleSigned(tbs, signatureAlgorithm, await sign(signatureAlgorithm, tbs, issuer.key));
}

function withKeyIdentifiers(
  extensions: readonly Extension[],
  publicKeyInfo: Uint8Array,
  issuerKey: SigningKey,
): Extension[] {
  const lacks = (oid: string) => !extensions.some((extension) => extension.oid === oid);
  const added: Extension[] = [];
  if (lacks(OID.subjectKeyIdentifier)) {
    added.push(subjectKeyIdentifierExtension(keyIdentifierOf(publicKeyInfo)));
  }
  if (lacks(OID.authorityKeyIdentifier)) {
    added.push(authorityKeyIdentifierExtension(keyIdentifierOf(publicKeyInfoOf(issuerKey))));
  }
  return [...extensions, ...added];
}

/** SubjectPublicKeyInfo of a private, public or held key, DER. */
export function publicKeyInfoOf(signingKey: SigningKey): Buffer {
  const key = isHeld(signingKey) ? signingKey.publicKey : signingKey;
  const publicKey = key.type === "private" ? createPublicKey(key) : key;
  return publicKey.export({ type: "spki", format: "der" });
}

/** A positive serial number of 16 octets from 16 random ones, hex: the first bits are fixed so that it keeps its length. */
export function serialNumberFrom(random: Uint8Array): string {
  const octets = Buffer.from(random);
  octets[0] = ((octets[0] ?? 0) & 0x3f) | 0x40;
  return octets.toString("hex");
}
