import { generateKeyPairSync } from "node:crypto";
import { systemRandom } from "@isthmus/shared/random";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { encodeTbsCertificate, type TbsCertificate } from "@isthmus/shared/x509/certificate";
import { encodeTbsCertificateList } from "@isthmus/shared/x509/certificate-list";
import {
  basicConstraintsExtension,
  type Extension,
  extendedKeyUsageExtension,
  keyUsageExtension,
  sidExtension,
  subjectAltNameExtension,
} from "@isthmus/shared/x509/extensions";
import { publicKeyInfoOf } from "@isthmus/shared/x509/issue";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { beforeAll, describe, expect, test } from "vitest";
import { Authorities } from "./authorities.ts";
import { planCertificate } from "./certificate-plan.ts";
import { EnrolmentService } from "./enrolment-service.ts";
import {
  goodEntry,
  goodGrant,
  goodIssuer,
  goodProfile,
  goodPublicKeyInfo,
  NOON,
} from "./fixture.ts";
import { type IssuanceRules, issuanceGuard } from "./issuance-guard.ts";
import type { Issuer } from "./issuer.ts";
import type { Ledger } from "./ledger.ts";
import type { CertificateAuthority } from "./ports.ts";

const DAY_MS = 86_400_000;
const KEY_INFO = goodPublicKeyInfo();
const rules: IssuanceRules = {
  profiles: [".*"],
  authorities: [".*"],
  subjects: ["CN=[^,]+,O=Example"],
  subjectAltNames: { uri: ["urn:isthmus:device:.+"], dns: [".*"], email: [".*"], upn: [".*"] },
  securityIdentifiers: ["S-1-5-21-1-2-3-[1-9][0-9]{3,8}"],
  extendedKeyUsage: ["clientAuth"],
  maxValidityDays: 398,
  minRsaBits: 2048,
  allowStaticChallenge: true,
};
const guard = issuanceGuard(rules, undefined);

let issuer: Issuer;
beforeAll(async () => {
  ({ issuer } = await goodIssuer());
});

const usage = keyUsageExtension(["digitalSignature"]);
const clientAuth = extendedKeyUsageExtension([OID.clientAuth]);
const endEntity = basicConstraintsExtension({ isCa: false });

function bytes(extensions: readonly Extension[], changes: Partial<TbsCertificate> = {}): Buffer {
  return encodeTbsCertificate({
    serialNumber: "41".repeat(20),
    issuer: issuer.certificate.subject,
    subject: parseNameText("CN=a,O=Example"),
    notBefore: NOON,
    notAfter: NOON + 30 * DAY_MS,
    publicKeyInfo: KEY_INFO,
    extensions,
    signatureAlgorithm: issuer.signatureAlgorithm,
    ...changes,
  });
}

const judge = (tbs: Uint8Array) => guard.judgeBytes({ tbs, issuerKeyId: issuer.keyId }, issuer);

test.each(["uri", "extension"] as const)("every plan passes, a SID as %s too", (form) => {
  const plan = planCertificate({
    profile: {
      ...goodProfile,
      validityDays: 398,
      securityIdentifier: "directory",
      keyUsage: ["digitalSignature", "nonRepudiation", "keyAgreement"],
    },
    grant: goodGrant,
    entry: goodEntry,
    securityIdentifierForm: form,
    publicKeyInfo: KEY_INFO,
    issuer,
    publicUrls: { crl: "http://pki.example/crl", ocsp: "http://pki.example/ocsp" },
    serialNumber: "41".repeat(20),
    now: NOON,
  });
  expect(() => judge(plan.tbs)).not.toThrow();
});

describe("what somebody has put into the ledger's database is not signed", () => {
  const names = (uri: string) => subjectAltNameExtension([{ type: "uri", value: uri }], false);
  const other = (oid: string) => ({ oid, critical: false, value: Buffer.from([0x30, 0]) });
  test.each<[string, () => Buffer, string]>([
    ["no certificate", () => Buffer.from([0x30, 0]), "bytes"],
    [
      "a revocation list",
      () =>
        encodeTbsCertificateList({
          issuer: issuer.certificate.subject,
          thisUpdate: NOON,
          nextUpdate: NOON + DAY_MS,
          crlNumber: 1,
          revoked: [],
          authorityKeyIdentifier: Buffer.from(issuer.keyId, "hex"),
          signatureAlgorithm: issuer.signatureAlgorithm,
        }),
      "bytes",
    ],
    [
      "a CA",
      () =>
        bytes([
          keyUsageExtension(["keyCertSign"]),
          clientAuth,
          basicConstraintsExtension({ isCa: true }),
        ]),
      "bytes",
    ],
    ["a CA of old times, without a word on it", () => bytes([usage, clientAuth]), "bytes"],
    [
      "the right to sign certificates",
      () => bytes([keyUsageExtension(["keyCertSign"]), clientAuth, endEntity]),
      "bytes",
    ],
    ["no bounds on purposes", () => bytes([usage, endEntity]), "bytes"],
    [
      "the right to answer for revocation",
      () => bytes([usage, extendedKeyUsageExtension([OID.ocspSigning]), endEntity]),
      "bytes",
    ],
    [
      "an extension that we never write",
      () => bytes([usage, clientAuth, endEntity, other("1.3.6.1.4.1.311.21.10")]),
      "bytes",
    ],
    [
      "ten years",
      () => bytes([usage, clientAuth, endEntity], { notAfter: NOON + 3_650 * DAY_MS }),
      "bytes",
    ],
    [
      "another issuer",
      () => bytes([usage, clientAuth, endEntity], { issuer: parseNameText("CN=Else") }),
      "bytes",
    ],
    [
      "an address",
      () =>
        bytes([
          usage,
          clientAuth,
          endEntity,
          subjectAltNameExtension([{ type: "ip", value: "10.0.0.1" }], false),
        ]),
      "bytes",
    ],
    [
      "another's subject",
      () => bytes([usage, clientAuth, endEntity], { subject: parseNameText("CN=Administrator") }),
      "subjects",
    ],
    [
      "a name beyond the guardrails",
      () => bytes([usage, clientAuth, endEntity, names("https://vpn.example/")]),
      "subjectAltNames.uri",
    ],
    [
      "an administrator's SID as URI",
      () => bytes([usage, clientAuth, endEntity, names(`${SID}S-1-5-21-1-2-3-500`)]),
      "securityIdentifiers",
    ],
    [
      "an administrator's SID as extension",
      () => bytes([usage, clientAuth, endEntity, sidExtension("S-1-5-21-1-2-3-500")]),
      "securityIdentifiers",
    ],
  ])("%s", (_, make, rule) => {
    expect(() => judge(make())).toThrow(
      expect.objectContaining({ code: "guardrail", rule: `certificates.${rule}` }),
    );
  });
  const SID = "tag:microsoft.com,2022-09-14:sid:";

  test.each(["embedded", "remote"] as const)("nor asked for: %s", async (kind) => {
    const asked: string[] = [];
    const failures: unknown[] = [];
    const authority: CertificateAuthority = {
      name: "authority",
      labels: [],
      kind,
      issuer: () => issuer,
      obstacle: () => undefined,
      issue: async ({ serialNumber }) => {
        asked.push(serialNumber);
        return { kind: "refused", code: "no", message: "no" };
      },
      revoke: async () => undefined,
    };
    const forged = {
      transactionId: "t",
      authority: "authority",
      issuerKeyId: issuer.keyId,
      serialNumber: "41",
      tbs: bytes([keyUsageExtension(["keyCertSign"]), basicConstraintsExtension({ isCa: true })]),
      certificationRequest: Buffer.from("request"),
    };
    const enrolments = new EnrolmentService({
      ledger: {
        unfinishedIntents: async () => [forged],
        beginAsking: async () => ({ kind: "ask", isRepeated: false, reference: undefined }),
        recordRefused: async () => undefined,
      } as Partial<Ledger> as Ledger,
      authorities: new Authorities([authority]),
      challenges: {},
      guard,
      signingObstacle: () => undefined,
      recordFailure: async ({ error }) => void failures.push(error),
      tellAuthority: async () => "revoked",
      notifications: { deliver: async () => "accepted" },
      publicUrls: () => ({}),
      clock: new FakeClock(NOON),
      random: systemRandom,
    });
    expect(await enrolments.completeUnfinished(kind)).toEqual({ completed: 0, left: 1 });
    expect(asked).toEqual([]);
    expect(failures).toMatchObject([{ code: "guardrail", rule: "certificates.bytes" }]);
  });
});

test("an RSA key's usages pass", async () => {
  const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const both = keyUsageExtension(["digitalSignature", "keyEncipherment"]);
  const tbs = bytes([both, clientAuth, endEntity], { publicKeyInfo: publicKeyInfoOf(publicKey) });
  expect(() => judge(tbs)).not.toThrow();
});
