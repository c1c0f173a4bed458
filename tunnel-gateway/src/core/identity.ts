import { hash } from "node:crypto";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import type { Refusal } from "./refusal.ts";

/** What a certificate can say about its holder. */
export const ASSERTIONS = ["deviceId", "userPrincipalName", "sid"] as const;
export type Assertion = (typeof ASSERTIONS)[number];

/** The part of a certificate's claims that its trust anchor may assert; at least one is there. */
export interface CertificateIdentity {
  readonly deviceId?: string | undefined;
  readonly userPrincipalName?: string | undefined;
  readonly sid?: string | undefined;
}

/** Certification authorities that one name of the local configuration stands for. */
export interface TrustAnchor {
  readonly name: string;
  /** The CAs that issue to devices, and those above them; a device certificate is issued by one of these directly. */
  readonly authorities: readonly Certificate[];
  readonly mayAssert: readonly Assertion[];
  /** What stands before the device id in a SAN URI. */
  readonly deviceIdPrefix: string;
  /** Which sources of revocation the local configuration names. */
  readonly revocation: { readonly hasLists: boolean; readonly hasOcsp: boolean };
}

/** A client certificate that the TLS layer has verified, read for deciding. */
export interface PeerCertificate {
  /** The trust anchor's name. */
  readonly anchor: string;
  /** Issuer and serial number in one: the same for the same certificate, different for every other. */
  readonly key: string;
  /** Identifies the issuing CA by name and key; `issuerIdOf`. */
  readonly issuerId: string;
  /** The issuing CA's certificate, from the anchor. */
  readonly issuer: Certificate;
  readonly serialNumber: string;
  readonly thumbprint: string;
  /** ms since the epoch. */
  readonly notAfter: number;
  readonly identity: CertificateIdentity;
}

/** What is kept of a certificate across restarts; the issuer's own certificate comes from the anchor again. */
export type CertificateFacts = Omit<PeerCertificate, "issuer">;

/** The usual form of a device id in certificates that the suite issues. */
export const DEFAULT_DEVICE_ID_PREFIX = "urn:isthmus:device:";

// Microsoft, KB5014754: strong mapping by a SAN URI.
const SID_PREFIX = "tag:microsoft.com,2022-09-14:sid:";
const SID = /^S-1(-\d{1,10}){1,15}$/;
/** Our own: ids end up in logs, URLs and headers. */
const DEVICE_ID = /^[A-Za-z0-9][A-Za-z0-9._:~-]{0,127}$/;
const MAX_USER_CHARACTERS = 256;

export type IdentityVerdict =
  | { readonly identity: CertificateIdentity; readonly refusal?: undefined }
  | { readonly identity?: undefined; readonly refusal: Refusal };

const issuerIds = new WeakMap<Certificate, string>();

/** Names the CA by its name and its key, so that a renewed CA certificate is the same issuer. */
export function issuerIdOf(authority: Certificate): string {
  const known = issuerIds.get(authority);
  if (known !== undefined) return known;
  const id = hash("sha256", Buffer.concat([authority.subject.der, authority.publicKeyInfo]), "hex");
  issuerIds.set(authority, id);
  return id;
}

/** Reads who a verified certificate stands for, as far as its trust anchor may say so. */
export function readIdentity(certificate: Certificate, anchor: TrustAnchor): IdentityVerdict {
  const claims = {
    deviceId: deviceIds(certificate, anchor.deviceIdPrefix),
    userPrincipalName: userPrincipalNames(certificate),
    sid: sids(certificate),
  };
  const asserted = ASSERTIONS.filter((assertion) => anchor.mayAssert.includes(assertion));
  for (const assertion of asserted) {
    if (claims[assertion].length > 1) {
      const message = `the certificate claims ${claims[assertion].length} values of ${assertion}`;
      return refuse("certificate-identity-ambiguous", anchor, message);
    }
  }
  const entries = asserted
    .filter((assertion) => claims[assertion].length === 1)
    .map((assertion) => [assertion, claims[assertion][0]]);
  if (entries.length === 0) {
    const wanted = asserted.join(", ");
    const message = `the certificate carries none of what its issuer may assert: ${wanted}`;
    return refuse("certificate-identity-missing", anchor, message);
  }
  return { identity: Object.fromEntries(entries) };
}

function deviceIds(certificate: Certificate, prefix: string): string[] {
  return unique(
    urisOf(certificate)
      .filter((uri) => uri.startsWith(prefix))
      .map((uri) => uri.slice(prefix.length)),
    DEVICE_ID,
  );
}

function userPrincipalNames(certificate: Certificate): string[] {
  const names = certificate.subjectAltNames.flatMap((name) =>
    name.type === "upn" ? [name.value.toLowerCase()] : [],
  );
  return unique(names, /^[^\s@\p{Cc}]+@[^\s@\p{Cc}]+$/u).filter(
    (name) => name.length <= MAX_USER_CHARACTERS,
  );
}

function sids(certificate: Certificate): string[] {
  const fromUris = urisOf(certificate)
    .filter((uri) => uri.startsWith(SID_PREFIX))
    .map((uri) => uri.slice(SID_PREFIX.length));
  return unique([...fromUris, ...(certificate.sid === undefined ? [] : [certificate.sid])], SID);
}

function urisOf(certificate: Certificate): string[] {
  return certificate.subjectAltNames.flatMap((name) => (name.type === "uri" ? [name.value] : []));
}

function unique(values: readonly string[], form: RegExp): string[] {
  return [...new Set(values)].filter((value) => form.test(value));
}

function refuse(
  code: "certificate-identity-ambiguous" | "certificate-identity-missing",
  anchor: TrustAnchor,
  message: string,
): IdentityVerdict {
  return { refusal: { code, rule: `anchor/${anchor.name}`, message } };
}
