import { ProtocolError } from "@isthmus/shared/errors";
import {
  assembleSigned,
  type Certificate,
  parseCertificate,
} from "@isthmus/shared/x509/certificate";
import { verifyIssuedBy } from "@isthmus/shared/x509/chain";
import { parseWhole } from "@isthmus/shared/x509/extensions";
import type { GeneralName } from "@isthmus/shared/x509/general-name";
import { isSameName } from "@isthmus/shared/x509/name";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import type { Issuer } from "./issuer.ts";

/** A remote authority's clock and its rounding to whole days. */
const VALIDITY_TOLERANCE_MS = 86_400_000;
const NO_SIGNATURE = Buffer.alloc(1);

/**
 * Where the certificate that a remote authority made goes beyond the plan (a TBSCertificate, DER); empty if it keeps to
 * it. The authority may add its own addresses and policies, and may give less: a shorter validity, fewer usages. It may
 * not give another key, other names, more usages or a CA, in whatever form: Windows, for one, goes by application policies
 * before extended key usages, and an authority may copy what a device has put into its request.
 */
export function deviationsFromPlan(
  plannedTbs: Uint8Array,
  made: Certificate,
  issuer: Issuer,
): string[] {
  const planned = parseCertificate(
    assembleSigned(plannedTbs, issuer.signatureAlgorithm, NO_SIGNATURE),
  );
  const deviations: string[] = [];
  const expect = (isKept: boolean, deviation: string) => {
    if (!isKept) deviations.push(deviation);
  };
  expect(verifyIssuedBy(made, issuer.certificate), "it is not signed by the authority's issuer");
  expect(made.publicKeyInfo.equals(planned.publicKeyInfo), "it is for another key");
  expect(isSameName(made.subject, planned.subject), "its subject is another");
  expect(made.basicConstraints?.isCa !== true, "it is a CA's");
  expect(
    made.notAfter <= planned.notAfter + VALIDITY_TOLERANCE_MS,
    "it is valid for longer than planned",
  );
  expect(made.notBefore < made.notAfter, "its validity is empty");
  expect(
    isPart(made.keyUsage, planned.keyUsage),
    "it has further key usages, or no bounds on them",
  );
  expect(
    isPart(made.extendedKeyUsage, planned.extendedKeyUsage),
    "it has further extended key usages, or no bounds on them",
  );
  expect(sameNames(made, planned), "its alternative names are others");
  expect(made.sid === planned.sid, "its security identifier is another");
  return [...deviations, ...foreignPowers(made, planned)];
}

const POLICIES: readonly string[] = [OID.applicationPolicies, OID.applicationPolicyMappings];
/** Bits of an end entity in a netscape-cert-type; those from the fifth on are of object signing and CAs. */
const NETSCAPE_END_ENTITY_BITS = 0xe0;

function foreignPowers(made: Certificate, planned: Certificate): string[] {
  const powers: string[] = [];
  for (const { oid, value } of made.extensions) {
    if (
      POLICIES.includes(oid) &&
      !isPart(applicationPolicies(oid, value), planned.extendedKeyUsage)
    ) {
      powers.push("it has application policies beyond its extended key usages");
    }
    if (oid === OID.netscapeCertificateType && !isNetscapeEndEntity(value)) {
      powers.push("its Netscape type is a CA's or an object signer's");
    }
    if (oid === OID.proxyCertificateInfo) powers.push("it may issue proxy certificates");
    if (oid === OID.nameConstraints) powers.push("it has a CA's name constraints");
  }
  const unknown = made.unknownCritical.filter((oid) => !POLICIES.includes(oid));
  if (unknown.length > 0) powers.push(`it has unknown critical extensions: ${unknown.join(", ")}`);
  return powers;
}

/** CertificatePolicies of [MS-WCCE]: each identifier is one of an extended key usage. Empty where it cannot be read. */
function applicationPolicies(oid: string, value: Buffer): readonly string[] {
  if (oid !== OID.applicationPolicies) return [];
  try {
    return parseWhole(value, (reader) => {
      const policies: string[] = [];
      const sequenceOf = reader.enter();
      while (!sequenceOf.isAtEnd) policies.push(sequenceOf.enter().readObjectIdentifier());
      return policies;
    });
  } catch (error) {
    if (error instanceof ProtocolError) return [];
    throw error;
  }
}

/** BIT STRING, of which the first octet that counts is the third. */
function isNetscapeEndEntity(value: Buffer): boolean {
  const [, , , first = 0xff] = value;
  return value.length === 4 && (first & ~NETSCAPE_END_ENTITY_BITS) === 0;
}

/** Absent means unbounded, so it is part of nothing but what is absent too. */
function isPart(
  made: readonly string[] | undefined,
  planned: readonly string[] | undefined,
): boolean {
  if (planned === undefined) return true;
  return made !== undefined && made.length > 0 && made.every((each) => planned.includes(each));
}

function sameNames(made: Certificate, planned: Certificate): boolean {
  const [ours, theirs] = [planned, made].map((certificate) =>
    [...new Set((certificate.subjectAltNames ?? []).map(comparable))].sort().join("\n"),
  );
  return ours === theirs;
}

/** Host names and mail domains are the same in either case. */
function comparable(name: GeneralName): string {
  const text = JSON.stringify(name);
  return name.type === "dns" || name.type === "email" ? text.toLowerCase() : text;
}
