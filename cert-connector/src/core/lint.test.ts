import { generateKeyPairSync, type KeyObject } from "node:crypto";
import {
  assembleSigned,
  encodeTbsCertificate,
  parseCertificate,
  type TbsCertificate,
} from "@isthmus/shared/x509/certificate";
import {
  bitString,
  integer,
  nullValue,
  objectIdentifier,
  sequence,
} from "@isthmus/shared/x509/der-writer";
import {
  authorityKeyIdentifierExtension,
  basicConstraintsExtension,
  crlDistributionPointsExtension,
  type Extension,
  extendedKeyUsageExtension,
  keyUsageExtension,
  subjectAltNameExtension,
  subjectKeyIdentifierExtension,
} from "@isthmus/shared/x509/extensions";
import type { GeneralName } from "@isthmus/shared/x509/general-name";
import { publicKeyInfoOf } from "@isthmus/shared/x509/issue";
import { nameConstraintsExtension } from "@isthmus/shared/x509/name-constraints";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { keyIdentifierOf } from "@isthmus/shared/x509/public-key";
import { SIGNATURE } from "@isthmus/shared/x509/signature";
import { beforeAll, describe, expect, test } from "vitest";
import { planCertificate } from "./certificate-plan.ts";
import { goodGrant, goodIssuer, goodProfile, goodPublicKeyInfo, NOON } from "./fixture.ts";
import type { Issuer } from "./issuer.ts";
import { LINT_RULES, lintFaults, lintTbs } from "./lint.ts";
import type { LintSubject } from "./lint-rule.ts";
import type { Profile } from "./profile.ts";

const DAY_MS = 86_400_000;
const urls = { crl: "http://pki.example/crl", ocsp: "http://pki.example/ocsp" };
const rsaKey = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey;
let issuer: Issuer;
let issuerKey: KeyObject;
let good: TbsCertificate;

beforeAll(async () => {
  ({ issuer, key: issuerKey } = await goodIssuer());
  good = await goodParts(goodPublicKeyInfo());
});

/** The fields of a certificate that breaks no rule, as written by the planner. */
async function goodParts(publicKeyInfo: Buffer): Promise<TbsCertificate> {
  const { tbs } = planCertificate({
    profile: goodProfile,
    grant: goodGrant,
    publicKeyInfo,
    issuer,
    publicUrls: urls,
    serialNumber: "40".repeat(20),
    now: NOON,
  });
  const { signatureAlgorithm } = issuer;
  const parsed = parseCertificate(assembleSigned(tbs, signatureAlgorithm, Buffer.alloc(1)));
  return { ...parsed, signatureAlgorithm };
}

function faultsWith(
  changes: Partial<TbsCertificate>,
  context: Partial<Omit<LintSubject, "certificate">> = {},
): string[] {
  const all = { issuer, profile: goodProfile, publicUrls: urls, now: NOON, ...context };
  return lintFaults(encodeTbsCertificate({ ...good, ...changes }), all);
}

/** The good extensions with one put in the place of its like, or taken out. */
function withExtension(extension: Extension): readonly Extension[] {
  return [...without(extension.oid), extension];
}
function without(oid: string): readonly Extension[] {
  return good.extensions.filter((each) => each.oid !== oid);
}
function withNames(...names: GeneralName[]) {
  return { extensions: withExtension(subjectAltNameExtension(names)) };
}
function withKey(publicKeyInfo: Buffer) {
  const identifier = subjectKeyIdentifierExtension(keyIdentifierOf(publicKeyInfo));
  return { publicKeyInfo, extensions: withExtension(identifier) };
}
function rsaPublicKeyInfo(modulus: bigint, exponent: bigint): Buffer {
  const key = sequence(integer(modulus), integer(exponent));
  return sequence(sequence(objectIdentifier(OID.rsaEncryption), nullValue()), bitString(key));
}
function rsaModulus(): bigint {
  const { n = "" } = rsaKey.export({ format: "jwk" });
  return BigInt(`0x${Buffer.from(n, "base64url").toString("hex")}`);
}

const device: GeneralName = { type: "uri", value: "urn:isthmus:device:device-1" };
const longSubject = parseNameText(`CN=${"x".repeat(65)}`);

test("a planned certificate breaks no rule", () => {
  expect(faultsWith({})).toEqual([]);
});

test("what is linted is what any parser reads: a faulty certificate is refused by name", () => {
  const tbs = encodeTbsCertificate({ ...good, serialNumber: "01" });
  const context = { issuer, profile: goodProfile, publicUrls: urls, now: NOON };
  expect(() => lintTbs(tbs, context)).toThrow(
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
      return faultsWith(withNames(...names.map((value) => ({ type: "uri", value }) as const)));
    },
  ],
  ["serial-number", "15 octets", () => faultsWith({ serialNumber: "40".repeat(15) })],
  ["serial-number", "21 octets", () => faultsWith({ serialNumber: "40".repeat(21) })],
  ["signature-algorithm", "SHA-384 of a P-256 CA", () => faultsWithAlgorithm()],
  [
    "issuer-name",
    "equal text in other bytes",
    () => faultsWith({ issuer: parseNameText("CN=test issuing ca") }),
  ],
  [
    "validity-order",
    "ends before it begins",
    () => faultsWith({ notBefore: NOON, notAfter: NOON - DAY_MS }),
  ],
  ["validity-now", "begins tomorrow", () => faultsWith({ notBefore: NOON + DAY_MS })],
  ["validity-now", "backdated by a day", () => faultsWith({ notBefore: NOON - DAY_MS })],
  [
    "validity-profile",
    "a day longer than the profile",
    () => faultsWith({ notAfter: NOON + 366 * DAY_MS }),
  ],
  [
    "validity-issuer",
    "outlives its CA",
    () => faultsWith({ notAfter: issuer.certificate.notAfter + 1_000 }),
  ],
  [
    "expected-extensions",
    "an extension that nobody asked for",
    () =>
      faultsWith({
        extensions: [
          ...good.extensions,
          { oid: "1.2.3.4", critical: false, value: Buffer.from([5, 0]) },
        ],
      }),
  ],
  [
    "authority-key-identifier",
    "another CA's",
    () =>
      faultsWith({ extensions: withExtension(authorityKeyIdentifierExtension(Buffer.alloc(20))) }),
  ],
  [
    "revocation-address",
    "another list",
    () =>
      faultsWith({
        extensions: withExtension(crlDistributionPointsExtension(["http://evil.example/x.crl"])),
      }),
  ],
  [
    "revocation-address",
    "none where one is configured",
    () => faultsWith({ extensions: without(OID.crlDistributionPoints) }),
  ],
  [
    "key-floor",
    "a curve that the profile lacks",
    () =>
      faultsWith(
        {},
        { profile: { ...goodProfile, keyFloor: { rsaBits: 2048, curves: ["P-384"] } } },
      ),
  ],
  [
    "rsa-exponent",
    "an RSA exponent of 3",
    () => faultsWith(withKey(rsaPublicKeyInfo(rsaModulus(), 3n))),
  ],
  [
    "rsa-small-factor",
    "a modulus divisible by 751",
    () => faultsWith(withKey(rsaPublicKeyInfo(((rsaModulus() / 751n) | 1n) * 751n, 65_537n))),
  ],
  [
    "key-of-the-authority",
    "the CA's own key",
    () => faultsWith(withKey(publicKeyInfoOf(issuerKey))),
  ],
  [
    "subject-key-identifier",
    "of another key",
    () =>
      faultsWith({ extensions: withExtension(subjectKeyIdentifierExtension(Buffer.alloc(20))) }),
  ],
  [
    "end-entity",
    "CA:true",
    () => faultsWith({ extensions: withExtension(basicConstraintsExtension({ isCa: true })) }),
  ],
  [
    "end-entity",
    "no basic constraints",
    () => faultsWith({ extensions: without(OID.basicConstraints) }),
  ],
  [
    "key-usage",
    "keyCertSign",
    () =>
      faultsWith({
        extensions: withExtension(keyUsageExtension(["digitalSignature", "keyCertSign"])),
      }),
  ],
  ["key-usage", "none", () => faultsWith({ extensions: without(OID.keyUsage) })],
  [
    "key-usage",
    "not critical",
    () =>
      faultsWith({
        extensions: withExtension({ ...keyUsageExtension(["digitalSignature"]), critical: false }),
      }),
  ],
  [
    "key-usage-of-key-type",
    "keyEncipherment with an EC key",
    () =>
      faultsWith({
        extensions: withExtension(keyUsageExtension(["digitalSignature", "keyEncipherment"])),
      }),
  ],
  [
    "extended-key-usage",
    "serverAuth",
    () =>
      faultsWith({
        extensions: withExtension(extendedKeyUsageExtension([OID.clientAuth, OID.serverAuth])),
      }),
  ],
  [
    "forbidden-purpose",
    "OCSPSigning",
    () => faultsWith({ extensions: withExtension(extendedKeyUsageExtension([OID.ocspSigning])) }),
  ],
  [
    "some-name",
    "no subject and no critical alternative name",
    () => faultsWith({ subject: parseNameText("") }),
  ],
  ["subject-values", "a common name of 65 characters", () => faultsWith({ subject: longSubject })],
  [
    "subject-values",
    "an empty organization",
    () => faultsWith({ subject: parseNameText("CN=a,O=") }),
  ],
  [
    "subject-values",
    "a right-to-left override",
    () => faultsWith({ subject: parseNameText("CN=a\u202eb") }),
  ],
  [
    "one-common-name",
    "two common names",
    () => faultsWith({ subject: parseNameText("CN=a,CN=b") }),
  ],
  [
    "alternative-names",
    "a DNS name with a space",
    () => faultsWith(withNames(device, { type: "dns", value: "a b.example" })),
  ],
  [
    "alternative-names",
    "a mailbox without host",
    () => faultsWith(withNames(device, { type: "email", value: "ada" })),
  ],
  [
    "alternative-names",
    "a URI without scheme",
    () => faultsWith(withNames(device, { type: "uri", value: "device-1" })),
  ],
  [
    "alternative-names",
    "a UPN without host",
    () => faultsWith(withNames(device, { type: "upn", value: "ada" })),
  ],
  [
    "alternative-names",
    "an IP address",
    () => faultsWith(withNames(device, { type: "ip", value: "10.0.0.1" })),
  ],
  [
    "alternative-names",
    "51 names",
    () =>
      faultsWith(
        withNames(
          ...Array.from(
            { length: 51 },
            (_, n) => ({ type: "dns", value: `h${n}.example` }) as const,
          ),
        ),
      ),
  ],
  ["alternative-names-repeat", "the same name twice", () => faultsWith(withNames(device, device))],
  [
    "one-device",
    "two device ids",
    () => faultsWith(withNames(device, { type: "uri", value: "urn:isthmus:device:device-2" })),
  ],
];

/** The signature algorithm stands in the signed bytes, and has to be the one the CA then signs with. */
function faultsWithAlgorithm(): string[] {
  const other = { ...issuer, signatureAlgorithm: SIGNATURE.ecdsaWithSHA384 };
  const tbs = encodeTbsCertificate({ ...good, signatureAlgorithm: SIGNATURE.ecdsaWithSHA384 });
  const parsed = parseCertificate(assembleSigned(tbs, other.signatureAlgorithm, Buffer.alloc(1)));
  const subject = {
    certificate: parsed,
    issuer,
    profile: goodProfile,
    publicUrls: urls,
    now: NOON,
  };
  return LINT_RULES.flatMap((rule) => (rule.fault(subject) === undefined ? [] : [`${rule.name}:`]));
}

describe("one bad certificate for each rule", () => {
  test.each(bad)("%s: %s", (rule, _what, faults) => {
    expect(faults().map((fault) => fault.split(":")[0])).toContain(rule);
  });

  test("version-3: no extensions and no version", () => {
    const { certificate } = issuer;
    const subject = {
      certificate: { ...certificate, version: 1 as const },
      issuer,
      profile: goodProfile,
      publicUrls: urls,
      now: NOON,
    };
    const rule = LINT_RULES.find(({ name }) => name === "version-3");
    expect(rule?.fault(subject)).toBe("version 1, expected 3");
  });

  test("name-constraints: a name that the CA may not certify", async () => {
    const constraint = nameConstraintsExtension({
      permitted: [{ type: "dns", value: "contoso.example" }],
      excluded: [],
    });
    ({ issuer, key: issuerKey } = await goodIssuer([constraint]));
    good = await goodParts(goodPublicKeyInfo());
    expect(faultsWith({})).toEqual([]);
    const outside = withNames(device, { type: "dns", value: "host.fabrikam.example" });
    expect(faultsWith(outside)).toEqual([expect.stringContaining("name-constraints: a dns name")]);
    expect(faultsWith(withNames(device, { type: "dns", value: "host.contoso.example" }))).toEqual(
      [],
    );
  });

  test("every rule has one", () => {
    const tested = new Set([...bad.map(([rule]) => rule), "version-3", "name-constraints"]);
    expect(LINT_RULES.map(({ name }) => name).filter((name) => !tested.has(name))).toEqual([]);
  });
});

test("an empty subject passes with a critical alternative name", () => {
  const names = subjectAltNameExtension([device], true);
  expect(faultsWith({ subject: parseNameText(""), extensions: withExtension(names) })).toEqual([]);
});

test("an RSA certificate may encipher keys", () => {
  const changes = withKey(publicKeyInfoOf(rsaKey));
  const usage = keyUsageExtension(["digitalSignature", "keyEncipherment"]);
  const extensions = [...changes.extensions.filter(({ oid }) => oid !== OID.keyUsage), usage];
  expect(faultsWith({ ...changes, extensions })).toEqual([]);
});

test("the profile's other purposes and usages pass", () => {
  const profile: Profile = { ...goodProfile, extendedKeyUsage: ["clientAuth", "emailProtection"] };
  const purposes = extendedKeyUsageExtension([OID.emailProtection, OID.clientAuth]);
  expect(faultsWith({ extensions: withExtension(purposes) }, { profile })).toEqual([]);
});
