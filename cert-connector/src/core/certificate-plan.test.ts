import { assembleSigned, parseCertificate } from "@isthmus/shared/x509/certificate";
import { formatName } from "@isthmus/shared/x509/name-text";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { beforeAll, describe, expect, test } from "vitest";
import { planCertificate } from "./certificate-plan.ts";
import { goodGrant, goodIssuer, goodProfile, goodPublicKeyInfo, NOON } from "./fixture.ts";
import type { Grant } from "./grant.ts";
import type { Issuer } from "./issuer.ts";
import type { Profile, PublicUrls } from "./profile.ts";

const DAY_MS = 86_400_000;
const SID = "tag:microsoft.com,2022-09-14:sid:S-1-5-21-1-2-3-500";
const publicKeyInfo = goodPublicKeyInfo();
let issuer: Issuer;

beforeAll(async () => {
  ({ issuer } = await goodIssuer());
});

function planned(
  profile: Partial<Profile> = {},
  grant: Partial<Grant> = {},
  rest: { readonly now?: number; readonly publicUrls?: PublicUrls } = {},
) {
  const plan = planCertificate({
    profile: { ...goodProfile, ...profile },
    grant: { ...goodGrant, ...grant },
    publicKeyInfo,
    issuer,
    publicUrls: rest.publicUrls ?? {},
    serialNumber: "41".repeat(20),
    now: rest.now ?? NOON,
  });
  const signed = assembleSigned(plan.tbs, issuer.signatureAlgorithm, Buffer.alloc(1));
  return { plan, certificate: parseCertificate(signed) };
}

test("device id and user principal name of the challenge are in the certificate", () => {
  const { certificate } = planned();
  expect(certificate.subjectAltNames).toEqual([
    { type: "uri", value: "urn:isthmus:device:device-1" },
    { type: "upn", value: "ada@example.com" },
  ]);
  expect(formatName(certificate.subject)).toBe("CN=device-1,O=Example");
});

test("a template's value cannot add an attribute to the subject", () => {
  const profile = { subject: { template: "CN={{userName}},O=Example" } };
  const { certificate } = planned(profile, { userPrincipalName: "a,OU=Admins+CN=root@x" });
  expect(formatName(certificate.subject)).toBe("CN=a\\,OU\\=Admins\\+CN\\=root,O=Example");
  expect(certificate.subject.attributes).toHaveLength(2);
});

test("a profile without a challenge's subject refuses, and says which rule", () => {
  expect(() => planned({}, { subject: undefined })).toThrow(
    expect.objectContaining({ code: "subject-missing", rule: "profile.subject" }),
  );
});

test("names of kinds that the profile does not take are left out", () => {
  const grant: Partial<Grant> = {
    subjectAltNames: [
      { type: "dns", value: "a.example" },
      { type: "email", value: "ada@example.com" },
    ],
  };
  const { plan } = planned({ challengeSubjectAltNames: ["email"] }, grant);
  expect(plan.subjectAltNames.map(({ type }) => type)).toEqual(["uri", "upn", "email"]);
});

test("the profile's own names are filled in, and none comes twice", () => {
  const profile: Partial<Profile> = {
    subjectAltNames: [
      { type: "dns", template: "{{deviceId}}.devices.example" },
      { type: "upn", template: "{{userPrincipalName}}" },
    ],
  };
  expect(planned(profile).plan.subjectAltNames).toEqual([
    { type: "uri", value: "urn:isthmus:device:device-1" },
    { type: "upn", value: "ada@example.com" },
    { type: "dns", value: "device-1.devices.example" },
  ]);
});

describe("impersonation", () => {
  test.each(["urn:isthmus:device:device-2", "URN:ISTHMUS:DEVICE:device-1"])(
    "a challenge that names %s beside its device is refused",
    (value) => {
      expect(() => planned({}, { subjectAltNames: [{ type: "uri", value }] })).toThrow(
        expect.objectContaining({ code: "device-id-mismatch" }),
      );
    },
  );

  test("a template cannot make a device id from what the request says", () => {
    const profile: Partial<Profile> = {
      subjectAltNames: [{ type: "uri", template: "urn:isthmus:device:{{requestedCommonName}}" }],
    };
    expect(() => planned(profile, { requestedCommonName: "other" })).toThrow(
      expect.objectContaining({ code: "device-id-mismatch" }),
    );
  });

  test("a SID never comes from the request", () => {
    const template = "tag:microsoft.com,2022-09-14:sid:{{requestedCommonName}}";
    const profile: Partial<Profile> = { subjectAltNames: [{ type: "uri", template }] };
    expect(() => planned(profile, { requestedCommonName: "S-1-5-21-1-2-3-500" })).toThrow(
      expect.objectContaining({ code: "sid-from-request" }),
    );
  });

  test("a SID of the challenge is in the certificate", () => {
    const { plan } = planned({}, { subjectAltNames: [{ type: "uri", value: SID }] });
    expect(plan.subjectAltNames).toContainEqual({ type: "uri", value: SID });
  });

  test.each(["a b", "a/b", "ä", "x".repeat(129)])("device id %s is refused", (deviceId) => {
    expect(() => planned({}, { deviceId })).toThrow(
      expect.objectContaining({ code: "device-id-invalid" }),
    );
  });
});

describe("validity", () => {
  test("is the profile's, begun five minutes ago for slow clocks", () => {
    const { plan } = planned({ validityDays: 30 });
    expect(plan.notBefore).toBe(NOON - 300_000);
    expect(plan.notAfter).toBe(NOON + 30 * DAY_MS);
  });

  test("ends with the issuing CA at the latest", () => {
    const now = issuer.certificate.notAfter - 10 * DAY_MS;
    expect(planned({}, {}, { now }).plan.notAfter).toBe(issuer.certificate.notAfter);
  });

  test("of less than a day is refused", () => {
    const now = issuer.certificate.notAfter - DAY_MS + 1_000;
    expect(() => planned({}, {}, { now })).toThrow(
      expect.objectContaining({ code: "issuer-expiring" }),
    );
  });
});

test("an EC key is never said to encipher keys", () => {
  expect(planned().certificate.keyUsage).toEqual(["digitalSignature"]);
});

test("purposes, addresses and end entity are as configured", () => {
  const publicUrls = { crl: "http://p/crl/", ocsp: "http://p/ocsp", ca: "http://p/ca" };
  const { certificate } = planned({ extendedKeyUsage: ["emailProtection"] }, {}, { publicUrls });
  const { keyId } = issuer;
  expect(certificate.extendedKeyUsage).toEqual([OID.emailProtection]);
  expect(certificate.basicConstraints).toEqual({ isCa: false });
  expect(certificate.crlDistributionPoints).toEqual([`http://p/crl/${keyId}.crl`]);
  expect(certificate.authorityInfoAccess).toEqual({
    ocsp: [`http://p/ocsp/${keyId}`],
    caIssuers: [`http://p/ca/${keyId}.cer`],
  });
});
