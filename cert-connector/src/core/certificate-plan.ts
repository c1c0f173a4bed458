import { RefusalError } from "@isthmus/shared/errors";
import { encodeTbsCertificate } from "@isthmus/shared/x509/certificate";
import {
  authorityInfoAccessExtension,
  authorityKeyIdentifierExtension,
  basicConstraintsExtension,
  crlDistributionPointsExtension,
  type Extension,
  extendedKeyUsageExtension,
  type KeyUsage,
  keyUsageExtension,
  sidExtension,
  subjectAltNameExtension,
  subjectKeyIdentifierExtension,
} from "@isthmus/shared/x509/extensions";
import type { DistinguishedName } from "@isthmus/shared/x509/name";
import { formatName } from "@isthmus/shared/x509/name-text";
import { keyIdentifierOf } from "@isthmus/shared/x509/public-key";
import type { DirectoryEntry } from "./directory-entry.ts";
import { type Grant, SID_URI_PREFIX } from "./grant.ts";
import type { Issuer } from "./issuer.ts";
import { plannedNames, plannedSubject } from "./planned-names.ts";
import { type AltName, EXTENDED_KEY_USAGE_OIDS, type Profile, type PublicUrls } from "./profile.ts";
import { requireKey } from "./public-key.ts";
import { renewalSpreadMs } from "./renewal-spread.ts";
import { plannedSecurityIdentifier } from "./security-identifier.ts";

/** A device whose clock is slow must not refuse a certificate that it was just given. */
const BACKDATE_MS = 300_000;
const DAY_MS = 86_400_000;
/** Below this there is no use in issuing: the issuing CA itself ends. */
const MIN_VALIDITY_MS = DAY_MS;

/** A certificate decided in every byte but its signature. */
export interface CertificatePlan {
  readonly serialNumber: string;
  readonly issuer: Issuer;
  readonly subject: DistinguishedName;
  /** RFC 4514. */
  readonly subjectText: string;
  readonly subjectAltNames: readonly AltName[];
  /** Strong mapping: the SID that stands in it by the profile, in either form. */
  readonly securityIdentifier?: string | undefined;
  readonly notBefore: number;
  readonly notAfter: number;
  /** The TBSCertificate, DER. */
  readonly tbs: Buffer;
}

export interface PlanParts {
  readonly profile: Profile;
  readonly grant: Grant;
  /** What the directory says about the account that the grant proves. */
  readonly entry?: DirectoryEntry | undefined;
  /** How a SID is written: a URI in a certificate that a device asked for, the extension in one that is made for it. */
  readonly securityIdentifierForm?: "uri" | "extension";
  /** SubjectPublicKeyInfo of the request, DER: the one thing taken from it. */
  readonly publicKeyInfo: Buffer;
  readonly issuer: Issuer;
  readonly publicUrls: PublicUrls;
  readonly serialNumber: string;
  readonly now: number;
}

/**
 * Decides a certificate: names from the grant by the profile, everything else from the profile alone. Throws RefusalError
 * where they do not fit together, ProtocolError where a value cannot be encoded.
 */
export function planCertificate(parts: PlanParts): CertificatePlan {
  const { profile, publicKeyInfo, issuer, serialNumber } = parts;
  const key = requireKey(publicKeyInfo, profile.keyFloor);
  const subject = plannedSubject(profile, parts);
  const securityIdentifier = plannedSecurityIdentifier(profile, parts.entry);
  const subjectAltNames = namesWithSid(parts, securityIdentifier);
  const validity = plannedValidity(parts);
  const tbs = encodeTbsCertificate({
    serialNumber,
    issuer: issuer.certificate.subject,
    subject,
    ...validity,
    publicKeyInfo,
    extensions: [
      ...plannedExtensions(parts, subject, subjectAltNames, usagesFor(profile, key.kind)),
      ...sidExtensions(parts, securityIdentifier),
    ],
    signatureAlgorithm: issuer.signatureAlgorithm,
  });
  const subjectText = formatName(subject);
  const names = { subject, subjectText, subjectAltNames, securityIdentifier };
  return { serialNumber, issuer, ...names, ...validity, tbs };
}

/** With the URI of a SID that the profile asks for, unless a template has put it there. */
function namesWithSid(parts: PlanParts, sid: string | undefined): readonly AltName[] {
  const names = plannedNames(parts.profile, parts);
  if (sid === undefined || parts.securityIdentifierForm === "extension") return names;
  const value = SID_URI_PREFIX + sid;
  return names.some((name) => name.value === value) ? names : [...names, { type: "uri", value }];
}

function sidExtensions(parts: PlanParts, sid: string | undefined): readonly Extension[] {
  return sid !== undefined && parts.securityIdentifierForm === "extension"
    ? [sidExtension(sid)]
    : [];
}

function plannedValidity({ profile, grant, publicKeyInfo, issuer, now }: PlanParts) {
  const second = Math.floor(now / 1_000) * 1_000;
  const wholeMs = profile.validityDays * DAY_MS;
  const spreadMs = renewalSpreadMs(profile, grant, publicKeyInfo, wholeMs);
  const validityMs = Math.max(MIN_VALIDITY_MS, wholeMs - spreadMs);
  const notBefore = Math.max(second - BACKDATE_MS, issuer.certificate.notBefore);
  const notAfter = Math.min(second + validityMs, issuer.certificate.notAfter);
  if (notAfter - second < MIN_VALIDITY_MS) {
    throw new RefusalError(
      "issuer-expiring",
      "authority.validity",
      "The issuing CA's certificate ends within a day",
    );
  }
  return { notBefore, notAfter };
}

/** Enciphering with a key is for RSA, agreeing on one for EC: what the key cannot do is left out. */
function usagesFor(profile: Profile, kind: "rsa" | "ec" | "ed25519"): readonly KeyUsage[] {
  const impossible: readonly KeyUsage[] =
    kind === "rsa" ? ["keyAgreement"] : ["keyEncipherment", "dataEncipherment"];
  return profile.keyUsage.filter((usage) => !impossible.includes(usage));
}

function plannedExtensions(
  { profile, publicKeyInfo, issuer, publicUrls }: PlanParts,
  subject: DistinguishedName,
  names: readonly AltName[],
  usages: readonly KeyUsage[],
): Extension[] {
  const { keyId } = issuer;
  const purposes = profile.extendedKeyUsage.map((name) => EXTENDED_KEY_USAGE_OIDS[name]);
  const extensions = [
    keyUsageExtension(usages),
    extendedKeyUsageExtension(purposes),
    basicConstraintsExtension({ isCa: false }),
    subjectKeyIdentifierExtension(keyIdentifierOf(publicKeyInfo)),
    authorityKeyIdentifierExtension(Buffer.from(keyId, "hex")),
  ];
  if (names.length > 0) {
    extensions.push(subjectAltNameExtension(names, subject.attributes.length === 0));
  }
  const { crl, access } = publishedUrls(publicUrls, keyId);
  if (crl !== undefined) extensions.push(crlDistributionPointsExtension([crl]));
  if (access !== undefined) extensions.push(authorityInfoAccessExtension(access));
  return extensions;
}

/** The addresses of one issuer's list, responder and certificate. */
export function publishedUrls(urls: PublicUrls, keyId: string) {
  const under = (base: string | undefined, file: string) =>
    base === undefined ? undefined : `${base.replace(/\/+$/, "")}/${file}`;
  const ocsp = under(urls.ocsp, keyId);
  const ca = under(urls.ca, `${keyId}.cer`);
  const hasAccess = ocsp !== undefined || ca !== undefined;
  return {
    crl: under(urls.crl, `${keyId}.crl`),
    access: hasAccess
      ? {
          ocsp: ocsp === undefined ? [] : [ocsp],
          caIssuers: ca === undefined ? [] : [ca],
        }
      : undefined,
  };
}
