import { beforeAll, describe, expect, test } from "vitest";
import { type CertificatePlan, type PlanParts, planCertificate } from "./certificate-plan.ts";
import {
  goodEntry,
  goodGrant,
  goodIssuer,
  goodProfile,
  goodPublicKeyInfo,
  NOON,
} from "./fixture.ts";
import type { Grant } from "./grant.ts";
import { type IssuanceRules, issuanceGuard } from "./issuance-guard.ts";
import type { Issuer } from "./issuer.ts";
import type { Profile } from "./profile.ts";

const openRules: IssuanceRules = {
  profiles: [".*"],
  authorities: [".*"],
  subjects: [".*"],
  subjectAltNames: { uri: [".*"], dns: [".*"], email: [".*"], upn: [".*"] },
  securityIdentifiers: [],
  extendedKeyUsage: ["clientAuth"],
  maxValidityDays: 398,
  minRsaBits: 2048,
  allowStaticChallenge: true,
};
let issuer: Issuer;

beforeAll(async () => {
  ({ issuer } = await goodIssuer());
});

function plan(grant: Partial<Grant> = {}): CertificatePlan {
  return planCertificate(partsOf(grant, goodProfile));
}

function partsOf(grant: Partial<Grant>, profile: Profile): PlanParts {
  return {
    profile,
    entry: goodEntry,
    grant: { ...goodGrant, ...grant },
    publicKeyInfo: goodPublicKeyInfo(),
    issuer,
    publicUrls: {},
    serialNumber: "41".repeat(20),
    now: NOON,
  };
}

function judge(rules: Partial<IssuanceRules>, grant: Partial<Grant> = {}): void {
  issuanceGuard({ ...openRules, ...rules }, undefined).judgePlan(plan(grant), goodProfile);
}

function refusalOf(act: () => void): { code: string; rule: string } {
  try {
    act();
  } catch (error) {
    return error as { code: string; rule: string };
  }
  throw new Error("not refused");
}

test("what no rule speaks against passes", () => {
  expect(() => judge({})).not.toThrow();
});

describe("a hostile cloud's profile is refused by the rule's name", () => {
  test.each<[string, Partial<Profile>, Partial<IssuanceRules>]>([
    ["certificates.profiles", {}, { profiles: ["server-.*"] }],
    ["certificates.authorities", { ca: "adcs" }, { authorities: ["embedded", "devices"] }],
    ["certificates.maxValidityDays", { validityDays: 399 }, {}],
    ["certificates.extendedKeyUsage", { extendedKeyUsage: ["clientAuth", "serverAuth"] }, {}],
    ["certificates.minRsaBits", {}, { minRsaBits: 3072 }],
    [
      "certificates.allowStaticChallenge",
      { challenge: { kind: "static", secretName: "s", deviceId: "none" } },
      { allowStaticChallenge: false },
    ],
  ])("%s", (rule, profile, rules) => {
    const guard = issuanceGuard({ ...openRules, ...rules }, undefined);
    const refusal = refusalOf(() => guard.judgeProfile({ ...goodProfile, ...profile }));
    expect(refusal).toMatchObject({ code: "guardrail", rule });
  });

  test("398 days pass", () => {
    const guard = issuanceGuard(openRules, undefined);
    expect(() => guard.judgeProfile({ ...goodProfile, validityDays: 398 })).not.toThrow();
  });
});

describe("a name beyond the guardrails is refused by the rule's name", () => {
  test("a subject", () => {
    const refusal = refusalOf(() => judge({ subjects: ["CN=[^,]+,O=Contoso"] }));
    expect(refusal).toMatchObject({ code: "guardrail", rule: "certificates.subjects" });
  });

  test("a pattern covers the whole value, not a part of it", () => {
    const rules = { subjects: ["CN=device-1"] };
    expect(refusalOf(() => judge(rules)).rule).toBe("certificates.subjects");
    expect(() => judge(rules, { subject: "CN=device-1" })).not.toThrow();
  });

  test("an alternative name", () => {
    const subjectAltNames = { ...openRules.subjectAltNames, upn: [".+@contoso\\.com"] };
    expect(refusalOf(() => judge({ subjectAltNames })).rule).toBe(
      "certificates.subjectAltNames.upn",
    );
    expect(() => judge({ subjectAltNames }, { userPrincipalName: "a@contoso.com" })).not.toThrow();
  });

  test.each([
    "tag:microsoft.com,2022-09-14:sid:S-1-5-21-1-2-3-500",
    "TAG:Microsoft.com,2022-09-14:SID:S-1-5-21-1-2-3-500",
  ])("a SID, unless it is listed: %s", (value) => {
    const judgeName = (rules: Partial<IssuanceRules>) =>
      issuanceGuard({ ...openRules, ...rules }, undefined).judgePlan(
        { ...plan(), subjectAltNames: [{ type: "uri", value }] },
        goodProfile,
      );
    expect(refusalOf(() => judgeName({})).rule).toBe("certificates.securityIdentifiers");
    expect(() => judgeName({ securityIdentifiers: ["S-1-5-21-1-2-3-\\d+"] })).not.toThrow();
  });

  test("a SID of the directory, in either form", () => {
    const profile: Profile = { ...goodProfile, securityIdentifier: "directory" };
    for (const securityIdentifierForm of ["uri", "extension"] as const) {
      const mapped = planCertificate({ ...partsOf({}, profile), securityIdentifierForm });
      const judgeMapped = (securityIdentifiers: readonly string[]) =>
        issuanceGuard({ ...openRules, securityIdentifiers }, undefined).judgePlan(mapped, profile);
      expect(refusalOf(() => judgeMapped([])).rule).toBe("certificates.securityIdentifiers");
      expect(refusalOf(() => judgeMapped([".*-500"])).rule).toBe(
        "certificates.securityIdentifiers",
      );
      expect(() => judgeMapped(["S-1-5-21-1-2-3-\\d+"])).not.toThrow();
    }
  });
});
