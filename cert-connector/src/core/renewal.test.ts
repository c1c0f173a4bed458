import type { Certificate } from "@isthmus/shared/x509/certificate";
import { parseCertificate } from "@isthmus/shared/x509/certificate";
import { issueCertificate } from "@isthmus/shared/x509/issue";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { beforeAll, expect, test } from "vitest";
import { goodGrant, goodIssuer, goodProfile, goodPublicKeyInfo, NOON } from "./fixture.ts";
import type { IssuedCertificate } from "./ledger.ts";
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

test("a renewal has the identity of the certificate it renews, and no challenge to use up", () => {
  const { challenge: _, ...identity } = goodGrant;
  expect(renewalGrant(shown, [known], goodProfile, nearEnd)).toEqual(identity);
});

test("the window opens at the profile's share of the validity", () => {
  expect(() => renewalGrant(shown, [known], goodProfile, nearEnd - 1_000)).toThrow(
    expect.objectContaining({ code: "renewal-too-early", rule: "profile.renewalWindowPercent" }),
  );
  const always = { ...goodProfile, renewalWindowPercent: 100 };
  expect(() => renewalGrant(shown, [known], always, NOON)).not.toThrow();
});

test.each<[string, Partial<IssuedCertificate>]>([
  ["renewal-revoked", { revokedAt: NOON }],
  ["renewal-profile", { profileId: "other" }],
  ["renewal-unknown", { certificate: Buffer.from("another one of the same serial number") }],
])("%s", (code, changes) => {
  expect(() => renewalGrant(shown, [{ ...known, ...changes }], goodProfile, nearEnd)).toThrow(
    expect.objectContaining({ code }),
  );
});

test("a certificate that is not in the ledger renews nothing, whoever signed it", () => {
  expect(() => renewalGrant(shown, [], goodProfile, nearEnd)).toThrow(
    expect.objectContaining({ code: "renewal-unknown" }),
  );
});

test("an expired certificate renews nothing", () => {
  expect(() => renewalGrant(shown, [known], goodProfile, END + 1)).toThrow(
    expect.objectContaining({ code: "renewal-expired" }),
  );
});
