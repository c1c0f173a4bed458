import { X509Certificate } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import {
  TEST_NOW,
  type TestIdentity,
  testAuthority,
  testCertificate,
  testKey,
} from "../testing/certificate-authority.ts";
import { rejectedCode, thrownCode } from "../testing/thrown-code.ts";
import {
  assembleSigned,
  encodeTbsCertificate,
  parseCertificate,
  type TbsCertificate,
} from "./certificate.ts";
import { bitString, explicit, integer, sequence } from "./der-writer.ts";
import {
  authorityInfoAccessExtension,
  crlDistributionPointsExtension,
  extendedKeyUsageExtension,
  sidExtension,
  subjectAltNameExtension,
} from "./extensions.ts";
import { publicKeyInfoOf, serialNumberFrom } from "./issue.ts";
import { formatName, parseNameText } from "./name-text.ts";
import { OID } from "./object-identifiers.ts";
import { keyIdentifierOf } from "./public-key.ts";
import { SIGNATURE, verify } from "./signature.ts";

let authority: TestIdentity;
let device: TestIdentity;
beforeAll(async () => {
  authority = await testAuthority();
  device = await testCertificate(
    {
      subject: "CN=device,O=Isthmus",
      serialNumber: "00c0ffee",
      extensions: [
        subjectAltNameExtension([{ type: "uri", value: "urn:isthmus:device:42" }]),
        extendedKeyUsageExtension([OID.clientAuth]),
        crlDistributionPointsExtension(["http://crl.example"]),
        authorityInfoAccessExtension({ ocsp: ["http://ocsp.example"], caIssuers: [] }),
        sidExtension("S-1-5-21-1"),
        { oid: "1.2.3.4", critical: true, value: Buffer.from([5, 0]) },
      ],
    },
    authority,
  );
});

describe("a certificate", () => {
  test("is read with all its parts", () => {
    const { certificate } = device;
    expect(certificate).toMatchObject({
      version: 3,
      serialNumber: "c0ffee",
      notBefore: TEST_NOW - 86_400_000,
      notAfter: TEST_NOW + 365 * 86_400_000,
      subjectAltNames: [{ type: "uri", value: "urn:isthmus:device:42" }],
      extendedKeyUsage: [OID.clientAuth],
      keyUsage: undefined,
      basicConstraints: undefined,
      nameConstraints: undefined,
      crlDistributionPoints: ["http://crl.example"],
      authorityInfoAccess: { ocsp: ["http://ocsp.example"], caIssuers: [] },
      sid: "S-1-5-21-1",
      unknownCritical: ["1.2.3.4"],
    });
    expect(formatName(certificate.subject)).toBe("CN=device,O=Isthmus");
    expect(formatName(certificate.issuer)).toBe("CN=CA");
    expect(certificate.subjectKeyIdentifier).toEqual(keyIdentifierOf(certificate.publicKeyInfo));
    expect(certificate.authorityKeyIdentifier).toEqual(authority.certificate.subjectKeyIdentifier);
  });

  test("Node reads the same in it", () => {
    const theirs = new X509Certificate(device.certificate.der);
    expect(theirs.serialNumber).toBe(device.certificate.serialNumber.toUpperCase());
    expect(theirs.fingerprint256.replaceAll(":", "").toLowerCase()).toBe(
      device.certificate.thumbprint,
    );
    expect(theirs.subjectAltName).toBe("URI:urn:isthmus:device:42");
    expect(theirs.verify(authority.certificate.publicKey())).toBe(true);
  });

  test("its key verifies what it signed", () => {
    const { tbs, signature, signatureAlgorithm } = device.certificate;
    expect(verify(signatureAlgorithm, tbs, signature, authority.certificate.publicKey())).toBe(
      true,
    );
    expect(verify(signatureAlgorithm, tbs, signature, device.certificate.publicKey())).toBe(false);
    expect(authority.certificate.publicKey()).toBe(authority.certificate.publicKey());
  });
});

describe("what is wrong with one thing changed", () => {
  const good = (): TbsCertificate => ({
    serialNumber: "4001",
    issuer: parseNameText("CN=a"),
    subject: parseNameText("CN=b"),
    notBefore: TEST_NOW,
    notAfter: TEST_NOW + 1_000,
    publicKeyInfo: publicKeyInfoOf(device.key),
    extensions: [],
    signatureAlgorithm: SIGNATURE.ecdsaWithSHA256,
  });
  const read = (changes: Partial<TbsCertificate>) => {
    const tbs = encodeTbsCertificate({ ...good(), ...changes });
    return parseCertificate(assembleSigned(tbs, SIGNATURE.ecdsaWithSHA256, Buffer.alloc(70)));
  };
  const algorithm = SIGNATURE.ecdsaWithSHA256.der;

  test("nothing", () => {
    expect(thrownCode(() => read({}))).toBe("nothing");
  });

  test.each([
    ["00", "00"],
    ["7f", "7f"],
    ["0080", "80"],
    ["ff".repeat(20), "ff".repeat(20)],
    ["ff".repeat(64), "ff".repeat(64)],
  ])("serial number %s is read as %s", (written, expected) => {
    expect(read({ serialNumber: written }).serialNumber).toBe(expected);
  });

  test.each(["", "f", "FF", "0x10", "zz", "01".repeat(65)])(
    "serial number %j is not written",
    (serialNumber) => {
      expect(thrownCode(() => read({ serialNumber }))).toBe("x509-serial-number");
    },
  );

  test.each([
    ["a negative serial number", integer(-5), "x509-serial-number"],
    ["a serial number of 66 octets", integer(2n ** 520n), "x509-serial-number"],
  ])("%s", (_, serial, code) => {
    const validity = encodeTbsCertificate(good());
    const body = Buffer.from(validity);
    const at = body.indexOf(Buffer.from("02024001", "hex"));
    const head = explicit(0, integer(2));
    const rest = body.subarray(at + 4);
    const tbs = sequence(head, serial, rest);
    expect(
      thrownCode(() => parseCertificate(sequence(tbs, algorithm, bitString(Buffer.alloc(8))))),
    ).toBe(code);
  });

  test("two different signature algorithms", () => {
    const tbs = encodeTbsCertificate({ ...good(), signatureAlgorithm: SIGNATURE.ed25519 });
    const der = assembleSigned(tbs, SIGNATURE.ecdsaWithSHA256, Buffer.alloc(70));
    expect(thrownCode(() => parseCertificate(der))).toBe("x509-certificate");
  });

  test("version 4", () => {
    const tbs = Buffer.from(encodeTbsCertificate(good()));
    tbs[tbs.indexOf(Buffer.from("a003020102", "hex")) + 4] = 3;
    const der = assembleSigned(tbs, SIGNATURE.ecdsaWithSHA256, Buffer.alloc(70));
    expect(thrownCode(() => parseCertificate(der))).toBe("der-integer");
  });

  test("a known extension that is broken", () => {
    const broken = { oid: OID.keyUsage, critical: true, value: Buffer.from([4, 0]) };
    expect(thrownCode(() => read({ extensions: [broken] }))).toBe("der-tag");
  });

  test("a byte behind it", () => {
    const der = Buffer.concat([device.certificate.der, Buffer.from([0])]);
    expect(thrownCode(() => parseCertificate(der))).toBe("der-trailing");
  });

  test.each([
    [65_536, "nothing"],
    [65_537, "x509-certificate"],
  ])("%i bytes: %s", (size, code) => {
    const filler = (bytes: number) => ({
      oid: "1.2.3",
      critical: false,
      value: Buffer.alloc(bytes),
    });
    const overhead = read({ extensions: [filler(60_000)] }).der.length - 60_000;
    expect(thrownCode(() => read({ extensions: [filler(size - overhead)] }))).toBe(code);
  });
});

describe("issuing", () => {
  test("a key that cannot sign here is refused", async () => {
    const { generateKeyPairSync } = await import("node:crypto");
    const key = generateKeyPairSync("x25519").privateKey;
    expect(await rejectedCode(() => testCertificate({}, { ...authority, key }))).toBe(
      "x509-signature-algorithm",
    );
  });

  test("key identifiers that are given are kept", async () => {
    const given = { oid: OID.subjectKeyIdentifier, critical: false, value: Buffer.from([4, 1, 7]) };
    const { certificate } = await testCertificate({ extensions: [given], key: testKey() });
    expect(certificate.subjectKeyIdentifier).toEqual(Buffer.from([7]));
  });

  test("serial numbers keep 16 octets and are positive whatever is drawn", () => {
    expect(serialNumberFrom(Buffer.alloc(16))).toBe(`40${"00".repeat(15)}`);
    expect(serialNumberFrom(Buffer.alloc(16, 0xff))).toBe(`7f${"ff".repeat(15)}`);
  });
});
