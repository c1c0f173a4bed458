import { beforeAll, describe, expect, test } from "vitest";
import { testKey } from "../testing/certificate-authority.ts";
import { thrownCode } from "../testing/thrown-code.ts";
import { assembleSigned } from "./certificate.ts";
import { encodeCertificationRequest, parseCertificationRequest } from "./certification-request.ts";
import {
  implicit,
  integer,
  objectIdentifier,
  octetString,
  sequence,
  setOf,
  utf8String,
} from "./der-writer.ts";
import { encodeExtensions, keyUsageExtension, subjectAltNameExtension } from "./extensions.ts";
import { publicKeyInfoOf } from "./issue.ts";
import { formatName, parseNameText } from "./name-text.ts";
import { OID } from "./object-identifiers.ts";
import { SIGNATURE } from "./signature.ts";

const key = testKey();
const subject = parseNameText("CN=device,O=Isthmus");
let der: Buffer;
beforeAll(async () => {
  const extensionRequest = [
    subjectAltNameExtension([{ type: "upn", value: "a@b" }]),
    keyUsageExtension(["digitalSignature"]),
  ];
  der = await encodeCertificationRequest(
    { subject, challengePassword: "ä secret", extensionRequest },
    key,
  );
});

test("a request comes back with all its parts, and its signature is right", () => {
  const request = parseCertificationRequest(der);
  expect(formatName(request.subject)).toBe("CN=device,O=Isthmus");
  expect(request.challengePassword).toBe("ä secret");
  expect(request.requested.subjectAltNames).toEqual([{ type: "upn", value: "a@b" }]);
  expect(request.requested.keyUsage).toEqual(["digitalSignature"]);
  expect(request.publicKeyInfo).toEqual(publicKeyInfoOf(key));
  expect(request.verifySignature()).toBe(true);
});

test("a request without attributes is read", async () => {
  const request = parseCertificationRequest(await encodeCertificationRequest({ subject }, key));
  expect(request.challengePassword).toBeUndefined();
  expect(request.extensionRequest).toEqual([]);
});

test("extensions in the attribute of older Windows are read", () => {
  const extensions = encodeExtensions([keyUsageExtension(["keyAgreement"])]);
  const attribute = sequence(objectIdentifier("1.3.6.1.4.1.311.2.1.14"), setOf(extensions));
  const info = sequence(
    integer(0),
    subject.der,
    publicKeyInfoOf(key),
    implicit(0, attribute, true),
  );
  const request = assembleSigned(info, SIGNATURE.ecdsaWithSHA256, Buffer.alloc(70));
  expect(parseCertificationRequest(request).requested.keyUsage).toEqual(["keyAgreement"]);
});

test("a request with two sets of extensions, of which each reader may take another, is refused", () => {
  const wish = (type: string, upn: string) =>
    sequence(
      objectIdentifier(type),
      setOf(encodeExtensions([subjectAltNameExtension([{ type: "upn", value: upn }])])),
    );
  const both = [
    wish(OID.extensionRequest, "ada@example.com"),
    wish(OID.microsoftExtensionRequest, "administrator@example.com"),
  ];
  for (const attributes of [both, both.toReversed()]) {
    const info = sequence(
      integer(0),
      subject.der,
      publicKeyInfoOf(key),
      implicit(0, Buffer.concat(attributes), true),
    );
    const request = assembleSigned(info, SIGNATURE.ecdsaWithSHA256, Buffer.alloc(70));
    expect(thrownCode(() => parseCertificationRequest(request))).toBe("x509-certification-request");
  }
});

test("a signature by another key is wrong", () => {
  const request = parseCertificationRequest(der);
  const other = parseCertificationRequest(der);
  expect(request.verifySignature({ knownKey: request.publicKey() })).toBe(true);
  expect(other.verifySignature({ knownKey: testKey() })).toBe(false);
});

test("a changed byte makes the signature wrong", () => {
  const changed = Buffer.from(der);
  changed[changed.indexOf("device")] = 0x44;
  expect(parseCertificationRequest(changed).verifySignature()).toBe(false);
});

describe("refused", () => {
  const attribute = (oid: string, ...values: Buffer[]) =>
    sequence(objectIdentifier(oid), setOf(...values));
  const challenge = attribute(OID.challengePassword, utf8String("x"));
  const request = (attributes: Buffer[], version = 0) =>
    assembleSigned(
      sequence(
        integer(version),
        subject.der,
        publicKeyInfoOf(key),
        implicit(0, Buffer.concat(attributes), true),
      ),
      SIGNATURE.ecdsaWithSHA256,
      Buffer.alloc(70),
    );
  const many = (count: number) =>
    Array.from({ length: count }, (_, at) => attribute(`1.2.3.${at}`, integer(1)));

  test.each([
    ["nothing wrong", request([challenge]), "nothing"],
    ["version 1", request([challenge], 1), "der-integer"],
    ["two challenge passwords", request([challenge, challenge]), "x509-certification-request"],
    [
      "a challenge password of two values",
      request([attribute(OID.challengePassword, utf8String("a"), utf8String("b"))]),
      "der-trailing",
    ],
    [
      "a challenge password that is no string",
      request([attribute(OID.challengePassword, octetString(Buffer.from("a")))]),
      "x509-certification-request",
    ],
    [
      "a challenge password of 16385 characters",
      request([attribute(OID.challengePassword, utf8String("x".repeat(16_385)))]),
      "x509-certification-request",
    ],
    [
      "a challenge password of 16384 characters",
      request([attribute(OID.challengePassword, utf8String("x".repeat(16_384)))]),
      "nothing",
    ],
    ["32 attributes", request(many(32)), "nothing"],
    ["33 attributes", request(many(33)), "x509-certification-request"],
    ["65537 bytes", Buffer.alloc(65_537), "x509-certification-request"],
  ])("%s", (_, bytes, code) => {
    expect(thrownCode(() => parseCertificationRequest(bytes))).toBe(code);
  });
});
