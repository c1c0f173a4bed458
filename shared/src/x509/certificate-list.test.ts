import { beforeAll, describe, expect, test } from "vitest";
import { TEST_NOW, type TestIdentity, testAuthority } from "../testing/certificate-authority.ts";
import { thrownCode } from "../testing/thrown-code.ts";
import { assembleSigned } from "./certificate.ts";
import {
  encodeTbsCertificateList,
  parseCertificateList,
  type TbsCertificateList,
} from "./certificate-list.ts";
import { explicit, integer, sequence, time } from "./der-writer.ts";
import { type Extension, encodeExtensions } from "./extensions.ts";
import { OID } from "./object-identifiers.ts";
import { SIGNATURE, sign, verify } from "./signature.ts";

let authority: TestIdentity;
beforeAll(async () => {
  authority = await testAuthority();
});

const algorithm = SIGNATURE.ecdsaWithSHA256;
const content = (): TbsCertificateList => ({
  issuer: authority.certificate.subject,
  authorityKeyIdentifier: authority.certificate.subjectKeyIdentifier ?? Buffer.alloc(0),
  thisUpdate: TEST_NOW,
  nextUpdate: TEST_NOW + 3_600_000,
  crlNumber: 7,
  revoked: [
    { serialNumber: "4001", revokedAt: TEST_NOW - 1_000, reason: "keyCompromise" },
    { serialNumber: "ff", revokedAt: TEST_NOW - 2_000, reason: "unspecified" },
  ],
  signatureAlgorithm: algorithm,
});
const list = (changes: Partial<TbsCertificateList> = {}) =>
  assembleSigned(
    encodeTbsCertificateList({ ...content(), ...changes }),
    algorithm,
    Buffer.alloc(70),
  );

test("a list comes back with all its parts", () => {
  const read = parseCertificateList(list());
  expect(read).toMatchObject({
    thisUpdate: TEST_NOW,
    nextUpdate: TEST_NOW + 3_600_000,
    crlNumber: 7n,
  });
  expect(read.issuer.der).toEqual(authority.certificate.subject.der);
  expect(read.authorityKeyIdentifier).toEqual(authority.certificate.subjectKeyIdentifier);
  expect([...read.revoked]).toEqual([
    ["4001", { revokedAt: TEST_NOW - 1_000, reason: "keyCompromise" }],
    ["ff", { revokedAt: TEST_NOW - 2_000, reason: "unspecified" }],
  ]);
});

test("its signature is over the bytes that are returned as tbs", async () => {
  const tbs = encodeTbsCertificateList(content());
  const der = assembleSigned(tbs, algorithm, await sign(algorithm, tbs, authority.key));
  const read = parseCertificateList(der);
  const { publicKey } = authority.certificate;
  expect(verify(read.signatureAlgorithm, read.tbs, read.signature, publicKey())).toBe(true);
});

test("an empty list has no entries at all", () => {
  const read = parseCertificateList(list({ revoked: [] }));
  expect(read.revoked.size).toBe(0);
});

test("a list of version 1 has neither number nor next update", () => {
  const tbs = sequence(algorithm.der, content().issuer.der, time(TEST_NOW));
  const read = parseCertificateList(assembleSigned(tbs, algorithm, Buffer.alloc(70)));
  expect([read.nextUpdate, read.crlNumber]).toEqual([undefined, undefined]);
});

test("100,000 entries are read", () => {
  const revoked = Array.from({ length: 100_000 }, (_, at) => ({
    serialNumber: (at + 0x400000).toString(16).padStart(8, "0"),
    revokedAt: TEST_NOW,
    reason: "superseded" as const,
  }));
  expect(parseCertificateList(list({ revoked })).revoked.size).toBe(100_000);
});

describe("refused", () => {
  const withExtension = (extension: Extension, entryExtensions: readonly Extension[] = []) => {
    const entry = sequence(integer(1), time(TEST_NOW), encodeExtensions(entryExtensions));
    const tbs = sequence(
      integer(1),
      algorithm.der,
      content().issuer.der,
      time(TEST_NOW),
      sequence(entry),
      explicit(0, encodeExtensions([extension])),
    );
    return assembleSigned(tbs, algorithm, Buffer.alloc(70));
  };
  const extension = (oid: string, critical: boolean): Extension => ({
    oid,
    critical,
    value: Buffer.from([5, 0]),
  });
  const harmless = extension("1.2.3", false);

  test.each<[string, () => Buffer, string]>([
    ["nothing wrong", () => withExtension(harmless), "nothing"],
    [
      "a part of a list, by its issuing distribution point",
      () => withExtension(extension(OID.issuingDistributionPoint, true)),
      "x509-certificate-list",
    ],
    ["a delta list", () => withExtension(extension("2.5.29.27", true)), "x509-certificate-list"],
    [
      "an entry of an indirect list",
      () => withExtension(harmless, [extension("2.5.29.29", true)]),
      "x509-certificate-list",
    ],
    ["something behind it", () => Buffer.concat([list(), Buffer.from([0])]), "der-trailing"],
    [
      "two different algorithms",
      () =>
        assembleSigned(encodeTbsCertificateList(content()), SIGNATURE.ed25519, Buffer.alloc(64)),
      "x509-certificate-list",
    ],
    ["over 64 MiB", () => Buffer.alloc(67_108_865), "x509-certificate-list"],
  ])("%s", (_, bytes, code) => {
    expect(thrownCode(() => parseCertificateList(bytes()))).toBe(code);
  });
});
