import type { Certificate } from "@isthmus/shared/x509/certificate";
import { parseCertificate } from "@isthmus/shared/x509/certificate";
import { issueCertificate } from "@isthmus/shared/x509/issue";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { beforeAll, describe, expect, test } from "vitest";
import { goodGrant, goodIssuer, goodProfile, goodPublicKeyInfo, NOON } from "./fixture.ts";
import type { Grant } from "./grant.ts";
import type { IssuedCertificate } from "./ledger.ts";
import type { Profile } from "./profile.ts";
import { renewalGrant } from "./renewal.ts";

const DAY_MS = 86_400_000;
const END = NOON + 100 * DAY_MS;
let shown: Certificate;
let known: IssuedCertificate;

beforeAll(async () => {
  const { issuer, key } = await goodIssuer();
  const der = await issueCertificate({
    subject: parseNameText("CN=device-1"),
    issuer: { name: issuer.certificate.subject, key },
    publicKeyInfo: goodPublicKeyInfo(),
    validity: { notBefore: NOON, notAfter: END },
    serialNumber: "42".repeat(20),
    extensions: [],
  });
  shown = parseCertificate(der);
  known = {
    serialNumber: shown.serialNumber,
    issuerKeyId: issuer.keyId,
    profileId: "device",
    certificate: der,
    grant: goodGrant,
    notBefore: NOON,
    notAfter: END,
    revokedAt: undefined,
    revocationReason: undefined,
  };
});

const nearEnd = END - 20 * DAY_MS;
const newKey = goodPublicKeyInfo();

function grantOf(
  of: {
    readonly candidates?: readonly IssuedCertificate[];
    readonly profile?: Profile;
    readonly publicKeyInfo?: Buffer;
    readonly now?: number;
  } = {},
): Grant {
  const request = { shown, candidates: [known], profile: goodProfile, publicKeyInfo: newKey };
  return renewalGrant({ ...request, now: nearEnd, ...of });
}

test("a renewal has the identity of the certificate it renews, and no challenge to use up", () => {
  const { challenge: _, ...identity } = goodGrant;
  expect(grantOf()).toEqual(identity);
});

test("the window opens at the profile's share of the validity", () => {
  expect(() => grantOf({ now: nearEnd - 1_000 })).toThrow(
    expect.objectContaining({ code: "renewal-too-early", rule: "profile.renewalWindowPercent" }),
  );
  const always = { ...goodProfile, renewalWindowPercent: 100 };
  expect(() => grantOf({ profile: always, now: NOON })).not.toThrow();
});

test.each<[string, Partial<IssuedCertificate>]>([
  ["renewal-revoked", { revokedAt: NOON }],
  ["renewal-profile", { profileId: "other" }],
  ["renewal-unknown", { certificate: Buffer.from("another one of the same serial number") }],
])("%s", (code, changes) => {
  expect(() => grantOf({ candidates: [{ ...known, ...changes }] })).toThrow(
    expect.objectContaining({ code }),
  );
});

test("a certificate that is not in the ledger renews nothing, whoever signed it", () => {
  expect(() => grantOf({ candidates: [] })).toThrow(
    expect.objectContaining({ code: "renewal-unknown" }),
  );
});

test("an expired certificate renews nothing", () => {
  expect(() => grantOf({ now: END + 1 })).toThrow(
    expect.objectContaining({ code: "renewal-expired" }),
  );
});

test("the old key is refused where the profile wants a new one", () => {
  const publicKeyInfo = shown.publicKeyInfo;
  expect(() => grantOf({ publicKeyInfo })).not.toThrow();
  const profile = { ...goodProfile, renewalKey: "new" } as const;
  expect(() => grantOf({ publicKeyInfo, profile })).toThrow(
    expect.objectContaining({ code: "renewal-same-key", rule: "profile.renewalKey" }),
  );
  expect(() => grantOf({ profile })).not.toThrow();
});

describe("rescue", () => {
  const profile = { ...goodProfile, rescueDays: 10 };
  const rescued = (count: number): IssuedCertificate => ({
    ...known,
    grant: { ...goodGrant, rescue: { count, of: "01", issuedAt: 0, expiredAt: 0 } },
  });

  test("an expired certificate renews within the profile's days, counted and named in the grant", () => {
    const { rescue, ...identity } = grantOf({ profile, now: END + 10 * DAY_MS });
    const { challenge: _, ...granted } = goodGrant;
    expect(identity).toEqual(granted);
    expect(rescue).toEqual({
      count: 1,
      of: shown.serialNumber,
      issuedAt: shown.notBefore,
      expiredAt: END,
    });
  });

  test("a moment after these days it renews nothing", () => {
    expect(() => grantOf({ profile, now: END + 10 * DAY_MS + 1 })).toThrow(
      expect.objectContaining({ code: "renewal-expired", rule: "profile.rescueDays" }),
    );
  });

  test("a revoked certificate is not rescued", () => {
    const candidates = [{ ...known, revokedAt: NOON }];
    expect(() => grantOf({ profile, candidates, now: END + 1 })).toThrow(
      expect.objectContaining({ code: "renewal-revoked" }),
    );
  });

  test("the third time is the last, and an ordinary renewal in between forgets nothing", () => {
    expect(grantOf({ profile, candidates: [rescued(2)], now: END + 1 }).rescue?.count).toBe(3);
    expect(grantOf({ profile, candidates: [rescued(2)] }).rescue?.count).toBe(2);
    expect(() => grantOf({ profile, candidates: [rescued(3)], now: END + 1 })).toThrow(
      expect.objectContaining({ code: "rescue-limit" }),
    );
  });
});
