import { OID } from "@isthmus/shared/x509/object-identifiers";
import { publishedUrls } from "./certificate-plan.ts";
import type { LintRule, LintSubject } from "./lint-rule.ts";

/** Our own limits. */
const MIN_SERIAL_OCTETS = 16;
const MAX_SERIAL_OCTETS = 20;
const MAX_TBS_BYTES = 8_192;
const DAY_MS = 86_400_000;
const MAX_BACKDATE_MS = 3_600_000;

/** All that a certificate of ours may carry. */
const EXPECTED_EXTENSIONS: ReadonlySet<string> = new Set([
  OID.keyUsage,
  OID.extendedKeyUsage,
  OID.basicConstraints,
  OID.subjectAltName,
  OID.subjectKeyIdentifier,
  OID.authorityKeyIdentifier,
  OID.crlDistributionPoints,
  OID.authorityInfoAccess,
  OID.ntdsCaSecurity,
]);

/** What a certificate's outer form has to be, whoever it names. */
export const FORM_RULES: readonly LintRule[] = [
  {
    name: "version-3",
    source: "RFC 5280 section 4.1.2.1",
    fault: ({ certificate }) =>
      certificate.version === 3 ? undefined : `version ${certificate.version}, expected 3`,
  },
  {
    name: "size",
    source: "ours: what small devices and SCEP messages take",
    fault: ({ certificate: { tbs } }) =>
      tbs.length > MAX_TBS_BYTES ? `${tbs.length} bytes exceed ${MAX_TBS_BYTES}` : undefined,
  },
  {
    name: "serial-number",
    source: "RFC 5280 section 4.1.2.2; 128 random bits",
    fault: ({ certificate }) => {
      const octets = certificate.serialNumber.length / 2;
      return octets < MIN_SERIAL_OCTETS || octets > MAX_SERIAL_OCTETS
        ? `${octets} octets, expected ${MIN_SERIAL_OCTETS} to ${MAX_SERIAL_OCTETS}`
        : undefined;
    },
  },
  {
    name: "signature-algorithm",
    source: "RFC 5280 section 4.1.2.3",
    fault: ({ certificate, issuer }) =>
      certificate.signatureAlgorithm.equals(issuer.signatureAlgorithm.der)
        ? undefined
        : "not the issuing CA's algorithm",
  },
  {
    name: "issuer-name",
    source: "RFC 5280 section 4.1.2.4: chains are built by equal bytes",
    fault: ({ certificate, issuer }) =>
      certificate.issuer.der.equals(issuer.certificate.subject.der)
        ? undefined
        : "not the subject of the issuing CA, byte for byte",
  },
  {
    name: "validity-order",
    source: "RFC 5280 section 4.1.2.5",
    fault: ({ certificate: { notBefore, notAfter } }) =>
      notBefore < notAfter ? undefined : "it ends before it begins",
  },
  {
    name: "validity-now",
    source: "ours: no certificate for another time than this",
    fault: ({ certificate: { notBefore, notAfter }, now }) =>
      notBefore > now || notBefore < now - MAX_BACKDATE_MS || notAfter <= now
        ? "not valid from now, give or take an hour"
        : undefined,
  },
  {
    name: "validity-profile",
    source: "the profile",
    fault: ({ certificate: { notAfter }, profile, now }) =>
      notAfter > now + profile.validityDays * DAY_MS
        ? `longer than the profile's ${profile.validityDays} days`
        : undefined,
  },
  {
    name: "validity-issuer",
    source: "RFC 5280 section 6.1: a path is valid only while all of it is",
    fault: ({ certificate: { notBefore, notAfter }, issuer }) =>
      notBefore < issuer.certificate.notBefore || notAfter > issuer.certificate.notAfter
        ? "outside the validity of the issuing CA"
        : undefined,
  },
  {
    name: "expected-extensions",
    source: "ours: nothing is in a certificate that no rule has looked at",
    fault: ({ certificate }) => {
      const foreign = certificate.extensions.find(({ oid }) => !EXPECTED_EXTENSIONS.has(oid));
      return foreign && `extension ${foreign.oid}`;
    },
  },
  {
    name: "authority-key-identifier",
    source: "RFC 5280 section 4.2.1.1",
    fault: ({ certificate, issuer }) =>
      certificate.authorityKeyIdentifier?.toString("hex") === issuer.keyId
        ? undefined
        : "not the issuing CA's key",
  },
  {
    name: "revocation-address",
    source: "RFC 5280 sections 4.2.1.13 and 4.2.2.1: as configured",
    fault: addressFault,
  },
];

function addressFault({ certificate, issuer, publicUrls }: LintSubject): string | undefined {
  const { crl, access } = publishedUrls(publicUrls, issuer.keyId);
  const found = certificate.authorityInfoAccess;
  const has = JSON.stringify([certificate.crlDistributionPoints, found.ocsp, found.caIssuers]);
  const expected = JSON.stringify([
    crl === undefined ? [] : [crl],
    access?.ocsp ?? [],
    access?.caIssuers ?? [],
  ]);
  return has === expected ? undefined : "addresses differ from the configured ones";
}
