import type { TestIdentity } from "@isthmus/shared/testing/certificate-authority";
import { testKey } from "@isthmus/shared/testing/certificate-authority";
import {
  extendedKeyUsageExtension,
  KEY_USAGES,
  type KeyUsage,
  keyUsageExtension,
  sidExtension,
  subjectAltNameExtension,
} from "@isthmus/shared/x509/extensions";
import type { GeneralName } from "@isthmus/shared/x509/general-name";
import { issueCertificate, publicKeyInfoOf } from "@isthmus/shared/x509/issue";
import { encodeName } from "@isthmus/shared/x509/name";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import fc from "fast-check";

/** Certificates of every shape that a profile could lead to. */
export interface GeneratedCertificate {
  readonly serialNumber: string;
  readonly notBefore: number;
  readonly validityMs: number;
  readonly subject: readonly (readonly [type: string, value: string])[];
  readonly names: readonly GeneralName[];
  readonly usages: readonly KeyUsage[];
  readonly purposes: readonly string[];
  readonly sid: string | undefined;
}

const SECOND_MS = 1_000;
const ATTRIBUTES = [OID.commonName, OID.organizationName, OID.organizationalUnitName];
const PURPOSES = [OID.clientAuth, OID.serverAuth, OID.emailProtection, OID.ipsecIke];
const text = fc.string({ minLength: 1, maxLength: 40, unit: "grapheme" });
const hostText = fc.stringMatching(/^[a-z0-9]{1,20}\.[a-z]{2,8}$/);

const name: fc.Arbitrary<GeneralName> = fc.oneof(
  hostText.map((value) => ({ type: "dns", value }) as const),
  hostText.map((value) => ({ type: "email", value: `a@${value}` }) as const),
  hostText.map((value) => ({ type: "uri", value: `urn:isthmus:device:${value}` }) as const),
  text.map((value) => ({ type: "upn", value }) as const),
);

export const generatedCertificates: fc.Arbitrary<GeneratedCertificate> = fc.record({
  serialNumber: fc
    .uint8Array({ minLength: 1, maxLength: 20 })
    .map((octets) => `4${Buffer.from(octets).toString("hex")}1`),
  notBefore: fc
    .integer({ min: Date.UTC(1951, 0, 1) / SECOND_MS, max: Date.UTC(2090, 0, 1) / SECOND_MS })
    .map((second) => second * SECOND_MS),
  validityMs: fc.integer({ min: 1, max: 30 * 365 * 86_400 }).map((seconds) => seconds * SECOND_MS),
  subject: fc.array(fc.tuple(fc.constantFrom(...ATTRIBUTES), text), { minLength: 1, maxLength: 6 }),
  names: fc.array(name, { maxLength: 8 }),
  usages: fc.subarray([...KEY_USAGES], { minLength: 1 }),
  purposes: fc.subarray(PURPOSES, { minLength: 1 }),
  sid: fc.option(
    fc.nat().map((rid) => `S-1-5-21-1-2-3-${rid}`),
    { nil: undefined },
  ),
});

const publicKeyInfo = publicKeyInfoOf(testKey());

export function issueGenerated(
  {
    serialNumber,
    notBefore,
    validityMs,
    subject,
    names,
    usages,
    purposes,
    sid,
  }: GeneratedCertificate,
  authority: TestIdentity,
): Promise<Buffer> {
  return issueCertificate({
    subject: encodeName(subject.map(([type, value]) => [{ type, value }])),
    issuer: { name: authority.certificate.subject, key: authority.key },
    publicKeyInfo,
    validity: { notBefore, notAfter: notBefore + validityMs },
    serialNumber,
    extensions: [
      keyUsageExtension(usages),
      extendedKeyUsageExtension(purposes),
      ...(names.length === 0 ? [] : [subjectAltNameExtension(names)]),
      ...(sid === undefined ? [] : [sidExtension(sid)]),
    ],
  });
}
