import { describe, expect, test } from "vitest";
import { thrownCode } from "../testing/thrown-code.ts";
import { DerReader } from "./der-reader.ts";
import {
  boolean,
  enumerated,
  explicit,
  implicit,
  integer,
  objectIdentifier,
  octetString,
  sequence,
} from "./der-writer.ts";
import {
  authorityInfoAccessExtension,
  authorityKeyIdentifierExtension,
  basicConstraintsExtension,
  crlDistributionPointsExtension,
  crlNumberExtension,
  type Extension,
  encodeExtensions,
  extendedKeyUsageExtension,
  KEY_USAGES,
  keyUsageExtension,
  parseAuthorityInfoAccess,
  parseAuthorityKeyIdentifier,
  parseBasicConstraints,
  parseCrlDistributionPoints,
  parseCrlNumber,
  parseExtendedKeyUsage,
  parseKeyUsage,
  parseReasonCode,
  parseSid,
  parseSubjectAltName,
  parseSubjectKeyIdentifier,
  REVOCATION_REASONS,
  type RevocationReason,
  readExtensions,
  reasonCodeExtension,
  sidExtension,
  subjectAltNameExtension,
  subjectKeyIdentifierExtension,
} from "./extensions.ts";
import { OID } from "./object-identifiers.ts";

const read = (der: Buffer) => readExtensions(new DerReader(der));
const extension = (number: number): Extension => ({
  oid: `1.2.3.${number}`,
  critical: false,
  value: Buffer.from([5, 0]),
});

describe("a list of extensions", () => {
  test("comes back", () => {
    const list = [keyUsageExtension(["keyCertSign"]), extension(1)];
    expect(read(encodeExtensions(list))).toEqual(list);
  });

  test("an explicit FALSE, which DER would leave out, is read", () => {
    const der = sequence(
      sequence(objectIdentifier("1.2.3"), boolean(false), octetString(Buffer.alloc(0))),
    );
    expect(read(der)[0]?.critical).toBe(false);
  });

  test("an extension that comes twice is refused", () => {
    expect(thrownCode(() => read(encodeExtensions([extension(1), extension(1)])))).toBe(
      "x509-extension",
    );
  });

  test.each([
    [63, "nothing"],
    [64, "nothing"],
    [65, "x509-extension"],
  ])("%i extensions: %s", (count, code) => {
    const list = Array.from({ length: count }, (_, number) => extension(number));
    expect(thrownCode(() => read(encodeExtensions(list)))).toBe(code);
  });
});

describe("basic constraints", () => {
  test.each([{ isCa: true, pathLength: 0 }, { isCa: true }, { isCa: false }])(
    "%o",
    (constraints) => {
      const { critical, value } = basicConstraintsExtension(constraints);
      expect(critical).toBe(true);
      expect(parseBasicConstraints(value)).toEqual(constraints);
    },
  );

  test("a path length without CA is not written", () => {
    expect(basicConstraintsExtension({ isCa: false, pathLength: 1 }).value).toEqual(sequence());
  });

  test.each([
    ["a negative path length", sequence(boolean(true), integer(-1)), "der-integer"],
    ["a path length of 256", sequence(boolean(true), integer(256)), "der-integer"],
    ["something behind it", sequence(boolean(true), integer(1), integer(1)), "der-trailing"],
  ])("%s is refused", (_, value, code) => {
    expect(thrownCode(() => parseBasicConstraints(value))).toBe(code);
  });
});

describe("key usage", () => {
  test("every usage comes back alone and all together", () => {
    for (const usage of KEY_USAGES) {
      expect(parseKeyUsage(keyUsageExtension([usage]).value)).toEqual([usage]);
    }
    expect(parseKeyUsage(keyUsageExtension(KEY_USAGES).value)).toEqual(KEY_USAGES);
  });

  test("the bits are those of RFC 5280", () => {
    const { value } = keyUsageExtension(["digitalSignature", "keyEncipherment"]);
    expect(value.toString("hex")).toBe("030205a0");
  });
});

test("extended key usages come back", () => {
  const purposes = [OID.clientAuth, "1.2.3.4"];
  expect(parseExtendedKeyUsage(extendedKeyUsageExtension(purposes).value)).toEqual(purposes);
});

test("alternative names come back, critical on demand", () => {
  const names = [{ type: "dns", value: "a.example" } as const];
  const written = subjectAltNameExtension(names, true);
  expect(written.critical).toBe(true);
  expect(parseSubjectAltName(written.value)).toEqual(names);
});

test("key identifiers come back", () => {
  const keyIdentifier = Buffer.alloc(20, 9);
  expect(parseSubjectKeyIdentifier(subjectKeyIdentifierExtension(keyIdentifier).value)).toEqual(
    keyIdentifier,
  );
  expect(parseAuthorityKeyIdentifier(authorityKeyIdentifierExtension(keyIdentifier).value)).toEqual(
    keyIdentifier,
  );
});

test("an authority named by name alone has no key identifier", () => {
  expect(parseAuthorityKeyIdentifier(sequence(implicit(2, Buffer.from([1]))))).toBeUndefined();
});

describe("where to look", () => {
  test("distribution points come back", () => {
    const urls = ["http://a.example/1.crl", "ldap:///x"];
    expect(parseCrlDistributionPoints(crlDistributionPointsExtension(urls).value)).toEqual(urls);
  });

  test("a point without a full name is passed over", () => {
    const byReasons = sequence(implicit(1, Buffer.from([7, 0x80])));
    const relative = sequence(explicit(0, implicit(1, Buffer.alloc(0), true)));
    expect(parseCrlDistributionPoints(sequence(byReasons, relative))).toEqual([]);
  });

  test("access to issuer and OCSP comes back, other methods are passed over", () => {
    const access = { ocsp: ["http://o.example"], caIssuers: ["http://c.example/ca.cer"] };
    const { value } = authorityInfoAccessExtension(access);
    expect(parseAuthorityInfoAccess(value)).toEqual(access);
    const other = sequence(sequence(objectIdentifier("1.2.3"), implicit(6, Buffer.from("x"))));
    expect(parseAuthorityInfoAccess(other)).toEqual({ ocsp: [], caIssuers: [] });
  });
});

describe("of revocation lists", () => {
  test.each([0n, 127n, 128n, 2n ** 100n])("number %d comes back", (number) => {
    expect(parseCrlNumber(crlNumberExtension(number).value)).toBe(number);
  });

  test("a number of over 20 octets is refused", () => {
    expect(thrownCode(() => parseCrlNumber(integer(2n ** 158n)))).toBe("nothing");
    expect(thrownCode(() => parseCrlNumber(integer(2n ** 160n)))).toBe("x509-extension");
  });

  test("every reason comes back", () => {
    for (const reason of Object.keys(REVOCATION_REASONS) as RevocationReason[]) {
      expect(parseReasonCode(reasonCodeExtension(reason).value)).toBe(reason);
    }
  });

  test("reason 7, which does not exist, is refused", () => {
    expect(thrownCode(() => parseReasonCode(enumerated(7)))).toBe("x509-extension");
  });
});

describe("security identifier", () => {
  // As [MS-WCCE] prints it: SEQ { [0] { 1.3.6.1.4.1.311.25.2.1, [0] { OCTET STRING } } }
  test("it is written as Microsoft's CA does", () => {
    const { oid, critical, value } = sidExtension("S-1-5-21-1");
    expect([oid, critical]).toEqual(["1.3.6.1.4.1.311.25.2", false]);
    expect(value.toString("hex")).toBe(
      `301ca01a060a2b060104018237190201a00c040a${Buffer.from("S-1-5-21-1").toString("hex")}`,
    );
  });

  test("it comes back", () => {
    expect(parseSid(sidExtension("S-1-5-21-1-2-3-500").value)).toBe("S-1-5-21-1-2-3-500");
  });

  test("an extension that holds other names only has none", () => {
    const body = Buffer.concat([
      objectIdentifier("1.2.3"),
      explicit(0, octetString(Buffer.from("S-1"))),
    ]);
    expect(parseSid(sequence(implicit(0, body, true)))).toBeUndefined();
  });
});
