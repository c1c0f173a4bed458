import { createHash, type KeyObject, sign } from "node:crypto";
import {
  type TestIdentity,
  testCertificate,
  testRsaKey,
} from "@isthmus/shared/testing/certificate-authority";
import { rejectedCode, thrownCode } from "@isthmus/shared/testing/thrown-code";
import {
  element,
  explicit,
  implicit,
  integer,
  nullValue,
  objectIdentifier,
  octetString,
  printableString,
  sequence,
  setOf,
} from "@isthmus/shared/x509/der-writer";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { beforeAll, describe, expect, test } from "vitest";
import { encodeIssuerAndSerial } from "./issuer-and-serial.ts";
import {
  encodeCertificatesOnly,
  encodeSignedData,
  parseSignedData,
  type SignedContent,
} from "./signed-data.ts";
import { findSignerCertificate, verifySigner } from "./signer-verification.ts";

let signer: TestIdentity;
let other: TestIdentity;
beforeAll(async () => {
  signer = await testCertificate({ subject: "CN=signer", key: testRsaKey() });
  other = await testCertificate({ subject: "CN=other", key: testRsaKey() });
});

const content = Buffer.from("content");
const write = (changes: Partial<SignedContent> = {}) =>
  encodeSignedData({
    content,
    certificates: [other.certificate.der, signer.certificate.der],
    signer: { certificate: signer.certificate, privateKey: signer.key },
    digest: "sha256",
    attributes: [["1.2.3", printableString("x")]],
    ...changes,
  });

function verified(der: Buffer, options = {}): string {
  return thrownCode(() => {
    const data = parseSignedData(der);
    const [info] = data.signers;
    if (info === undefined) throw new Error("it has no signer");
    verifySigner(data, info, findSignerCertificate(data, info).publicKey(), options);
  });
}

describe("what is signed", () => {
  test("comes back, and the signer is found among the certificates by name", async () => {
    const data = parseSignedData(await write());
    const [info] = data.signers;
    if (info === undefined) throw new Error("it has no signer");
    expect(data.content).toEqual(content);
    expect(info.attributes.get("1.2.3")).toEqual(printableString("x"));
    expect(findSignerCertificate(data, info).der).toEqual(signer.certificate.der);
    expect(verified(await write())).toBe("nothing");
  });

  test.each(["sha256", "sha512"] as const)("verifies with %s", async (digest) => {
    expect(verified(await write({ digest }))).toBe("nothing");
  });

  test("verifies with SHA-1 behind the legacy switch only", async () => {
    const der = await write({ digest: "sha1" });
    expect(verified(der)).toBe("cms-digest-algorithm");
    expect(verified(der, { allowLegacy: true })).toBe("nothing");
  });

  test("says rsaEncryption, which is all that strongSwan takes", async () => {
    const [info] = parseSignedData(await write()).signers;
    expect(info?.signatureAlgorithm).toEqual(
      sequence(objectIdentifier(OID.rsaEncryption), nullValue()),
    );
  });

  test("is refused without the signer's certificate", async () => {
    expect(verified(await write({ certificates: [other.certificate.der] }))).toBe("cms-signer");
  });

  test("is refused when another key signed it", async () => {
    const forged = { certificate: signer.certificate, privateKey: other.key };
    expect(verified(await write({ signer: forged }))).toBe("cms-signature");
  });

  test("is refused when the content was changed", async () => {
    const der = await write();
    der[der.indexOf("content")] = 0x43;
    expect(verified(der)).toBe("cms-signature");
  });

  test("is refused when an attribute was changed", async () => {
    const der = await write({ attributes: [["1.2.3", printableString("attribute")]] });
    der[der.indexOf("attribute")] = 0x41;
    expect(verified(der)).toBe("cms-signature");
  });

  test("an attribute that comes twice is refused", async () => {
    const twice = [
      ["1.2.3", printableString("x")],
      ["1.2.3", printableString("y")],
    ] as const;
    expect(verified(await write({ attributes: twice }))).toBe("cms-signed-data");
  });

  test("a key that cannot sign RSA is refused", async () => {
    const ec = await testCertificate();
    const of = { certificate: ec.certificate, privateKey: ec.key };
    expect(await rejectedCode(() => write({ signer: of }))).toBe("x509-signature-algorithm");
  });
});

interface Shell {
  readonly digest?: string;
  readonly algorithm?: Buffer;
  readonly sid?: Buffer;
  readonly attributes?: readonly Buffer[];
  readonly key?: KeyObject;
  readonly signatureDigest?: string;
}

/** SignedData put together by hand, signed by `signer`. */
function shell(of: Shell = {}): Buffer {
  const digest = sequence(objectIdentifier(of.digest ?? OID.sha256), nullValue());
  const attributes = setOf(...(of.attributes ?? standardAttributes()));
  const signature = sign(of.signatureDigest ?? "sha256", attributes, of.key ?? signer.key);
  const info = sequence(
    integer(1),
    of.sid ?? encodeIssuerAndSerial(signer.certificate),
    digest,
    asImplicit(attributes),
    of.algorithm ?? sequence(objectIdentifier(OID.sha256WithRSAEncryption), nullValue()),
    octetString(signature),
  );
  return contentInfo(digest, [signer.certificate.der], [info]);
}

/** The SET under the implicit tag that stands for it. */
function asImplicit(set: Buffer): Buffer {
  const copy = Buffer.from(set);
  copy[0] = 0xa0;
  return copy;
}

function contentInfo(digest: Buffer, certificates: Uint8Array[], infos: Buffer[]): Buffer {
  const body = sequence(
    integer(1),
    setOf(digest),
    sequence(objectIdentifier(OID.data), explicit(0, octetString(content))),
    element(0xa0, ...certificates),
    element(0x31, ...infos),
  );
  return sequence(objectIdentifier(OID.signedData), explicit(0, body));
}

const attribute = (type: string, value: Buffer) => sequence(objectIdentifier(type), setOf(value));
const contentType = (type: string = OID.data) => attribute(OID.contentType, objectIdentifier(type));
const messageDigest = (of: Buffer = content) =>
  attribute(OID.messageDigest, octetString(createHash("sha256").update(of).digest()));
const standardAttributes = () => [contentType(), messageDigest()];

describe("a signer", () => {
  test.each<[string, () => Buffer, string]>([
    ["with a whole algorithm", () => shell(), "nothing"],
    [
      "named by key identifier",
      () => shell({ sid: implicit(0, signer.certificate.subjectKeyIdentifier ?? Buffer.alloc(0)) }),
      "nothing",
    ],
    [
      "named by an unknown key identifier",
      () => shell({ sid: implicit(0, Buffer.alloc(20)) }),
      "cms-signer",
    ],
    ["without messageDigest", () => shell({ attributes: [contentType()] }), "cms-attribute"],
    ["without contentType", () => shell({ attributes: [messageDigest()] }), "cms-attribute"],
    [
      "of another content type",
      () => shell({ attributes: [contentType(OID.signedData), messageDigest()] }),
      "cms-signature",
    ],
    [
      "of another content",
      () => shell({ attributes: [contentType(), messageDigest(Buffer.from("x"))] }),
      "cms-signature",
    ],
    ["with MD5", () => shell({ digest: OID.md5 }), "cms-digest-algorithm"],
    [
      "whose two algorithms differ in digest",
      () =>
        shell({
          algorithm: sequence(objectIdentifier(OID.sha512WithRSAEncryption), nullValue()),
          signatureDigest: "sha512",
        }),
      "cms-signature",
    ],
    [
      "with an algorithm that is not allowed",
      () => shell({ algorithm: sequence(objectIdentifier("1.2.840.113549.1.1.4"), nullValue()) }),
      "x509-signature-algorithm",
    ],
  ])("%s", (_, der, code) => {
    expect(verified(der())).toBe(code);
  });
});

describe("limits", () => {
  const digest = sequence(objectIdentifier(OID.sha256), nullValue());
  const copies = <T>(count: number, of: T) => Array.from({ length: count }, () => of);
  const info = () =>
    sequence(
      integer(1),
      encodeIssuerAndSerial(signer.certificate),
      digest,
      element(0xa0),
      digest,
      octetString(Buffer.alloc(1)),
    );
  const attributed = (count: number) =>
    shell({
      attributes: [
        ...standardAttributes(),
        ...copies(count - 2, 0).map((_, at) => attribute(`1.2.${at}`, nullValue())),
      ],
    });

  test.each<[string, () => Buffer, string]>([
    [
      "16 certificates",
      () => contentInfo(digest, copies(16, signer.certificate.der), []),
      "nothing",
    ],
    [
      "17 certificates",
      () => contentInfo(digest, copies(17, signer.certificate.der), []),
      "cms-signed-data",
    ],
    ["4 signers", () => contentInfo(digest, [], copies(4, info())), "nothing"],
    ["5 signers", () => contentInfo(digest, [], copies(5, info())), "cms-signed-data"],
    ["33 attributes", () => attributed(33), "cms-signed-data"],
    [
      "another content",
      () => sequence(objectIdentifier(OID.data), explicit(0, sequence())),
      "cms-signed-data",
    ],
    [
      "something behind it",
      () => Buffer.concat([contentInfo(digest, [], []), Buffer.from([0])]),
      "der-trailing",
    ],
  ])("%s", (_, der, code) => {
    expect(thrownCode(() => parseSignedData(der()))).toBe(code);
  });
});

test("certs-only comes back in the order given", () => {
  const certificates = [other.certificate.der, signer.certificate.der];
  const lists = [sequence(integer(1))];
  const data = parseSignedData(encodeCertificatesOnly(certificates, lists));
  expect(data.certificates).toEqual(certificates);
  expect(data.certificateLists).toEqual(lists);
  expect([data.signers, data.content]).toEqual([[], Buffer.alloc(0)]);
});
