import { generateKeyPairSync } from "node:crypto";
import { assembleSigned, parseCertificate } from "@isthmus/shared/x509/certificate";
import { bitString, objectIdentifier, sequence } from "@isthmus/shared/x509/der-writer";
import {
  authorityKeyIdentifierExtension,
  basicConstraintsExtension,
  crlDistributionPointsExtension,
  extendedKeyUsageExtension,
  keyUsageExtension,
  subjectAltNameExtension,
  subjectKeyIdentifierExtension,
} from "@isthmus/shared/x509/extensions";
import { publicKeyInfoOf } from "@isthmus/shared/x509/issue";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { keyBitsOf } from "@isthmus/shared/x509/public-key";
import { SIGNATURE } from "@isthmus/shared/x509/signature";
import { beforeAll, describe, expect, test } from "vitest";
import { goodProfile, NOON } from "./fixture.ts";
import { LINT_RULES, lintTbs } from "./lint.ts";
import { DEVICE_NAME, LintBench, rulesOf } from "./lint-fixture.ts";
import { FORM_RULES } from "./lint-form-rules.ts";
import { KEY_RULES } from "./lint-key-rules.ts";
import type { Profile } from "./profile.ts";

const DAY_MS = 86_400_000;
const rsaKey = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey;
const device = DEVICE_NAME;
let bench: LintBench;

beforeAll(async () => {
  bench = await LintBench.make();
});

test("a planned certificate breaks no rule", () => {
  expect(bench.faults({})).toEqual([]);
});

test("what is linted is what any parser reads: a faulty certificate is refused by name", () => {
  const tbs = bench.tbs({ serialNumber: "01" });
  expect(() => lintTbs(tbs, bench.context())).toThrow(
    expect.objectContaining({ code: "lint", message: expect.stringContaining("serial-number: ") }),
  );
});

type Bad = readonly [rule: string, what: string, faults: () => string[]];
const bad: readonly Bad[] = [
  [
    "size",
    "9 KiB of names",
    () => {
      const names = Array.from({ length: 40 }, (_, n) => `urn:${"x".repeat(220)}:${n}`);
      return bench.faults(
        bench.withNames(...names.map((value) => ({ type: "uri", value }) as const)),
      );
    },
  ],
  ["serial-number", "15 octets", () => bench.faults({ serialNumber: "40".repeat(15) })],
  ["serial-number", "21 octets", () => bench.faults({ serialNumber: "40".repeat(21) })],
  ["signature-algorithm", "SHA-384 of a P-256 CA", () => faultsWithAlgorithm()],
  [
    "issuer-name",
    "equal text in other bytes",
    () => bench.faults({ issuer: parseNameText("CN=test issuing ca") }),
  ],
  [
    "validity-order",
    "ends before it begins",
    () => bench.faults({ notBefore: NOON, notAfter: NOON - DAY_MS }),
  ],
  ["validity-now", "begins tomorrow", () => bench.faults({ notBefore: NOON + DAY_MS })],
  ["validity-now", "backdated by a day", () => bench.faults({ notBefore: NOON - DAY_MS })],
  [
    "validity-profile",
    "a day longer than the profile",
    () => bench.faults({ notAfter: NOON + 366 * DAY_MS }),
  ],
  [
    "validity-issuer",
    "outlives its CA",
    () => bench.faults({ notAfter: bench.issuer.certificate.notAfter + 1_000 }),
  ],
  [
    "expected-extensions",
    "an extension that nobody asked for",
    () =>
      bench.faults({
        extensions: [
          ...bench.good.extensions,
          { oid: "1.2.3.4", critical: false, value: Buffer.from([5, 0]) },
        ],
      }),
  ],
  [
    "authority-key-identifier",
    "another CA's",
    () =>
      bench.faults({ extensions: bench.with(authorityKeyIdentifierExtension(Buffer.alloc(20))) }),
  ],
  [
    "revocation-address",
    "another list",
    () =>
      bench.faults({
        extensions: bench.with(crlDistributionPointsExtension(["http://evil.example/x.crl"])),
      }),
  ],
  [
    "revocation-address",
    "none where one is configured",
    () => bench.faults({ extensions: bench.without(OID.crlDistributionPoints) }),
  ],
  [
    "key-floor",
    "a curve that the profile lacks",
    () =>
      bench.faults(
        {},
        { profile: { ...goodProfile, keyFloor: { rsaBits: 2048, curves: ["P-384"] } } },
      ),
  ],
  [
    "key-algorithm",
    "an RSA key without the NULL of its algorithm",
    () => {
      const bits = bitString(keyBitsOf(publicKeyInfoOf(rsaKey)));
      return bench.faults(
        bench.withKey(sequence(sequence(objectIdentifier(OID.rsaEncryption)), bits)),
      );
    },
  ],
  ["ec-point", "a compressed point", () => bench.faults(bench.withKey(compressed()))],
  ["ec-point", "a point beside its curve", () => bench.faults(bench.withKey(besideCurve()))],
  [
    "key-of-the-authority",
    "the CA's own key",
    () => bench.faults(bench.withKey(publicKeyInfoOf(bench.issuerKey))),
  ],
  [
    "subject-key-identifier",
    "of another key",
    () => bench.faults({ extensions: bench.with(subjectKeyIdentifierExtension(Buffer.alloc(20))) }),
  ],
  [
    "end-entity",
    "CA:true",
    () => bench.faults({ extensions: bench.with(basicConstraintsExtension({ isCa: true })) }),
  ],
  [
    "end-entity",
    "no basic constraints",
    () => bench.faults({ extensions: bench.without(OID.basicConstraints) }),
  ],
  [
    "key-usage",
    "keyCertSign",
    () =>
      bench.faults({
        extensions: bench.with(keyUsageExtension(["digitalSignature", "keyCertSign"])),
      }),
  ],
  ["key-usage", "none", () => bench.faults({ extensions: bench.without(OID.keyUsage) })],
  [
    "key-usage",
    "not critical",
    () =>
      bench.faults({
        extensions: bench.with({ ...keyUsageExtension(["digitalSignature"]), critical: false }),
      }),
  ],
  [
    "key-usage-of-key-type",
    "keyEncipherment with an EC key",
    () =>
      bench.faults({
        extensions: bench.with(keyUsageExtension(["digitalSignature", "keyEncipherment"])),
      }),
  ],
  [
    "extended-key-usage",
    "serverAuth",
    () =>
      bench.faults({
        extensions: bench.with(extendedKeyUsageExtension([OID.clientAuth, OID.serverAuth])),
      }),
  ],
  [
    "forbidden-purpose",
    "OCSPSigning",
    () => bench.faults({ extensions: bench.with(extendedKeyUsageExtension([OID.ocspSigning])) }),
  ],
];

function pointInfo(point: Buffer): Buffer {
  const algorithm = sequence(objectIdentifier(OID.ecPublicKey), objectIdentifier(OID.p256));
  return sequence(algorithm, bitString(point));
}

function compressed(): Buffer {
  const point = keyBitsOf(Buffer.from(bench.good.publicKeyInfo));
  return pointInfo(
    Buffer.concat([Buffer.from([2 + ((point[64] ?? 0) & 1)]), point.subarray(1, 33)]),
  );
}

function besideCurve(): Buffer {
  const point = Buffer.from(keyBitsOf(Buffer.from(bench.good.publicKeyInfo)));
  point[64] = (point[64] ?? 0) ^ 1;
  return pointInfo(point);
}

/** The signature algorithm stands in the signed bytes, and has to be the one the CA then signs with. */
function faultsWithAlgorithm(): string[] {
  const signatureAlgorithm = SIGNATURE.ecdsaWithSHA384;
  const tbs = bench.tbs({ signatureAlgorithm });
  const certificate = parseCertificate(assembleSigned(tbs, signatureAlgorithm, Buffer.alloc(1)));
  const subject = { ...bench.context(), certificate };
  return LINT_RULES.flatMap((rule) => (rule.fault(subject) === undefined ? [] : [`${rule.name}:`]));
}

describe("one bad certificate for each rule", () => {
  test.each(bad)("%s: %s", (rule, _what, faults) => {
    expect(rulesOf(faults())).toContain(rule);
  });

  test("version-3: no extensions and no version", () => {
    const { certificate } = bench.issuer;
    const subject = { ...bench.context(), certificate: { ...certificate, version: 1 as const } };
    const rule = LINT_RULES.find(({ name }) => name === "version-3");
    expect(rule?.fault(subject)).toBe("version 1, expected 3");
  });

  test("every rule has one", () => {
    const tested = new Set([...bad.map(([rule]) => rule), "version-3"]);
    const rules = [...FORM_RULES, ...KEY_RULES].map(({ name }) => name);
    expect(rules.filter((name) => !tested.has(name))).toEqual([]);
  });
});

test.each(["P-256", "P-384", "P-521"] as const)("a key on %s passes", (namedCurve) => {
  const info = publicKeyInfoOf(generateKeyPairSync("ec", { namedCurve }).publicKey);
  const profile: Profile = { ...goodProfile, keyFloor: { rsaBits: 2048, curves: [namedCurve] } };
  expect(bench.faults(bench.withKey(info), { profile })).toEqual([]);
});

test("an RSA certificate may encipher keys", () => {
  const changes = bench.withKey(publicKeyInfoOf(rsaKey));
  const usage = keyUsageExtension(["digitalSignature", "keyEncipherment"]);
  const extensions = [...changes.extensions.filter(({ oid }) => oid !== OID.keyUsage), usage];
  expect(bench.faults({ ...changes, extensions })).toEqual([]);
});

test("the profile's other purposes and usages pass", () => {
  const profile: Profile = { ...goodProfile, extendedKeyUsage: ["clientAuth", "emailProtection"] };
  const purposes = extendedKeyUsageExtension([OID.emailProtection, OID.clientAuth]);
  const names = subjectAltNameExtension([device, { type: "email", value: "ada@example.com" }]);
  expect(bench.faults({ extensions: bench.with(purposes, names) }, { profile })).toEqual([]);
});
