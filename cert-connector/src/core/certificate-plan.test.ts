import { assembleSigned, parseCertificate } from "@isthmus/shared/x509/certificate";
import { formatName } from "@isthmus/shared/x509/name-text";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { beforeAll, describe, expect, test } from "vitest";
import { planCertificate } from "./certificate-plan.ts";
import type { DirectoryEntry } from "./directory-entry.ts";
import {
  goodEntry,
  goodGrant,
  goodIssuer,
  goodProfile,
  goodPublicKeyInfo,
  NOON,
} from "./fixture.ts";
import type { Grant } from "./grant.ts";
import type { Issuer } from "./issuer.ts";
import type { Profile, PublicUrls } from "./profile.ts";

const DAY_MS = 86_400_000;
const publicKeyInfo = goodPublicKeyInfo();
let issuer: Issuer;

beforeAll(async () => {
  ({ issuer } = await goodIssuer());
});

function planned(
  profile: Partial<Profile> = {},
  grant: Partial<Grant> = {},
  rest: {
    readonly now?: number;
    readonly publicUrls?: PublicUrls;
    readonly entry?: DirectoryEntry;
    readonly securityIdentifierForm?: "uri" | "extension";
  } = {},
) {
  const plan = planCertificate({
    profile: { ...goodProfile, ...profile },
    grant: { ...goodGrant, ...grant },
    publicKeyInfo,
    issuer,
    publicUrls: rest.publicUrls ?? {},
    entry: rest.entry,
    ...(rest.securityIdentifierForm && { securityIdentifierForm: rest.securityIdentifierForm }),
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

  test.each(["a b", "a/b", "ä", "x".repeat(129)])("device id %s is refused", (deviceId) => {
    expect(() => planned({}, { deviceId })).toThrow(
      expect.objectContaining({ code: "device-id-invalid" }),
    );
  });
});

describe("a security identifier (strong mapping)", () => {
  const PREFIX = "tag:microsoft.com,2022-09-14:sid:";
  const FOREIGN = `${PREFIX}S-1-5-21-1-2-3-500`;
  const OWN = `${PREFIX}${goodEntry.securityIdentifier}`;
  const directory = { name: "ad", lookUp: "user", required: true, publish: false } as const;
  const mapped: Partial<Profile> = { directory, securityIdentifier: "directory" };
  const intune: Partial<Profile> = {
    directory,
    challenge: { kind: "intune", tenant: "t", deviceId: "none" },
  };
  const granted = (value: string): Partial<Grant> => ({
    subjectAltNames: [{ type: "uri", value }],
  });
  const validated = (value: string): Partial<Grant> => ({
    ...granted(value),
    notify: { kind: "intune", name: "t" },
  });
  const urisOf = ({ plan }: ReturnType<typeof planned>) =>
    plan.subjectAltNames.flatMap(({ type, value }) => (type === "uri" ? [value] : []));

  test("is the directory's, as a URI in a certificate that a device asked for", () => {
    const made = planned(mapped, {}, { entry: goodEntry });
    expect(urisOf(made)).toContain(OWN);
    expect(made.certificate.sid).toBeUndefined();
    expect(made.plan.securityIdentifier).toBe(goodEntry.securityIdentifier);
  });

  test("is an extension in a certificate that is made for a device", () => {
    const form = { entry: goodEntry, securityIdentifierForm: "extension" } as const;
    const made = planned(mapped, {}, form);
    expect(made.certificate.sid).toBe(goodEntry.securityIdentifier);
    expect(urisOf(made)).not.toContain(OWN);
  });

  test("is written by the variable that Intune has for it, too", () => {
    for (const template of [
      "{{OnPremisesSecurityIdentifier}}",
      `${PREFIX}{{onpremisessecurityidentifier}}`,
    ]) {
      const profile: Partial<Profile> = { subjectAltNames: [{ type: "uri", template }] };
      expect(urisOf(planned(profile, {}, { entry: goodEntry }))).toContain(OWN);
    }
  });

  test("comes once, though profile and template both ask for it", () => {
    const template = "{{OnPremisesSecurityIdentifier}}";
    const profile: Partial<Profile> = { ...mapped, subjectAltNames: [{ type: "uri", template }] };
    const uris = urisOf(planned(profile, {}, { entry: goodEntry }));
    expect(uris.filter((uri) => uri === OWN)).toHaveLength(1);
  });

  test.each([
    undefined,
    { ...goodEntry, securityIdentifier: undefined },
    { ...goodEntry, securityIdentifier: "S-1-5 x" },
  ])("refuses where the directory has none: %#", (entry) => {
    expect(() => planned(mapped, {}, entry === undefined ? {} : { entry })).toThrow(
      expect.objectContaining({ code: "sid-missing" }),
    );
  });

  test.each([
    `${PREFIX}{{requestedCommonName}}`,
    "{{requestedCommonName}}",
    "{{serialNumber}}",
    FOREIGN,
  ])("never comes from the request, the challenge or a constant: %s", (template) => {
    const value = template.startsWith("{{") ? FOREIGN : "S-1-5-21-1-2-3-500";
    const profile: Partial<Profile> = { ...mapped, subjectAltNames: [{ type: "uri", template }] };
    const grant = { requestedCommonName: value, attributes: { serialNumber: value } };
    expect(() => planned(profile, grant, { entry: goodEntry })).toThrow(
      expect.objectContaining({ code: "sid-mismatch", rule: "certificate.sid" }),
    );
  });

  test.each([FOREIGN, FOREIGN.toUpperCase(), OWN])(
    "of a signed challenge is refused: %s",
    (value) => {
      expect(() => planned(mapped, granted(value), { entry: goodEntry })).toThrow(
        expect.objectContaining({ code: "sid-unproven" }),
      );
    },
  );

  test("of a request that Intune validated has to be the directory's, where there is one", () => {
    expect(urisOf(planned(intune, validated(OWN), { entry: goodEntry }))).toContain(OWN);
    for (const rest of [{ entry: goodEntry }, {}]) {
      expect(() => planned(intune, validated(FOREIGN), rest)).toThrow(
        expect.objectContaining({ code: "sid-mismatch" }),
      );
    }
    const alone: Partial<Profile> = { ...intune, directory: undefined };
    expect(urisOf(planned(alone, validated(FOREIGN)))).toContain(FOREIGN);
  });

  test.each<[string, Partial<Grant>]>([
    ["a signed challenge", {}],
    ["another tenant", { notify: { kind: "intune", name: "other" } }],
    ["a webhook", { notify: { kind: "webhook", name: "t" } }],
  ])("of %s is not Intune's because the profile was changed to Intune since", (_, origin) => {
    const alone: Partial<Profile> = { ...intune, directory: undefined };
    expect(() => planned(alone, { ...granted(FOREIGN), ...origin })).toThrow(
      expect.objectContaining({ code: "sid-unproven" }),
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
