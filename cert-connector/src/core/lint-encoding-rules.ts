import { ProtocolError } from "@isthmus/shared/errors";
import { DerReader } from "@isthmus/shared/x509/der-reader";
import { TAG } from "@isthmus/shared/x509/der-tag";
import { type DistinguishedName, encodeName } from "@isthmus/shared/x509/name";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import type { LintRule, LintSubject } from "./lint-rule.ts";

/** 2050-01-01: dates before it are UTCTime, those from it on GeneralizedTime (RFC 5280 section 4.1.2.5). */
const GENERALIZED_TIME_FROM = 2_524_608_000_000;
/** RFC 5280 sections 4.2.1.1, 4.2.1.2, 4.2.1.12, 4.2.1.13, 4.2.2.1: marked critical they would shut out old clients. */
const NEVER_CRITICAL: ReadonlySet<string> = new Set([
  OID.authorityKeyIdentifier,
  OID.subjectKeyIdentifier,
  OID.extendedKeyUsage,
  OID.crlDistributionPoints,
  OID.authorityInfoAccess,
  OID.ntdsCaSecurity,
]);
const MAX_SERIAL_CONTENT_OCTETS = 20;

/** How the parts of a certificate have to be written, whatever they say. */
export const ENCODING_RULES: readonly LintRule[] = [
  {
    name: "serial-number-octets",
    source: "RFC 5280 section 4.1.2.2: twenty octets with the one for the sign",
    fault: ({ certificate }) => {
      const { serialNumber } = certificate;
      const octets = serialNumber.length / 2 + (/^[89a-f]/.test(serialNumber) ? 1 : 0);
      return octets > MAX_SERIAL_CONTENT_OCTETS ? `${octets} octets as INTEGER` : undefined;
    },
  },
  {
    name: "validity-form",
    source: "RFC 5280 section 4.1.2.5",
    fault: ({ certificate: { tbs, notBefore, notAfter } }) => {
      const [first, last] = validityTags(tbs);
      return first === timeTag(notBefore) && last === timeTag(notAfter)
        ? undefined
        : "UTCTime is for years before 2050 and GeneralizedTime for those after";
    },
  },
  {
    name: "unique-identifiers",
    source: "RFC 5280 section 4.1.2.8",
    fault: ({ certificate: { tbs } }) => {
      const tag = afterPublicKey(tbs).peekTag();
      return tag === 0x81 || tag === 0x82 ? "a unique identifier" : undefined;
    },
  },
  {
    name: "subject-encoding",
    source: "RFC 5280 section 4.1.2.4 and appendix A.1: one text, one form",
    fault: ({ certificate: { subject } }) =>
      isInOurForm(subject) ? undefined : "a string type other than that of its attribute",
  },
  {
    name: "criticality",
    source: "RFC 5280 section 4.2",
    fault: ({ certificate: { extensions } }) =>
      extensions.find(({ oid, critical }) => critical && NEVER_CRITICAL.has(oid))?.oid,
  },
  {
    name: "alternative-names-criticality",
    source: "RFC 5280 section 4.2.1.6: critical where the subject is empty, and only there",
    fault: namesCriticalityFault,
  },
];

/** Written again it gives the same bytes. */
function isInOurForm(name: DistinguishedName): boolean {
  try {
    return encodeName(name.attributes).der.equals(name.der);
  } catch (error) {
    if (error instanceof ProtocolError) return false;
    throw error;
  }
}

function timeTag(time: number): number {
  return time < GENERALIZED_TIME_FROM ? TAG.utcTime : TAG.generalizedTime;
}

/** A reader of the TBSCertificate that stands at `validity`. */
function atValidity(tbs: Buffer): DerReader {
  const reader = new DerReader(tbs).enter();
  reader.readOptional(0xa0);
  reader.skip(TAG.integer);
  reader.skip(TAG.sequence);
  reader.skip(TAG.sequence);
  return reader;
}

function validityTags(tbs: Buffer): readonly [number, number] {
  const validity = atValidity(tbs).enter();
  const first = validity.peekTag();
  validity.skip();
  return [first, validity.peekTag()];
}

function afterPublicKey(tbs: Buffer): DerReader {
  const reader = atValidity(tbs);
  reader.skip(TAG.sequence);
  reader.skip(TAG.sequence);
  reader.skip(TAG.sequence);
  return reader;
}

function namesCriticalityFault({ certificate }: LintSubject): string | undefined {
  const names = certificate.extensions.find(({ oid }) => oid === OID.subjectAltName);
  const isSubjectEmpty = certificate.subject.attributes.length === 0;
  return names?.critical && !isSubjectEmpty ? "critical beside a subject" : undefined;
}
