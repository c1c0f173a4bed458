import { describe, expect, test } from "vitest";
import { thrownCode } from "../testing/thrown-code.ts";
import { DerReader } from "./der-reader.ts";
import { TAG } from "./der-tag.ts";
import { integer, octetString, sequence, utf8String } from "./der-writer.ts";

const bytes = (hex: string) => Buffer.from(hex.replaceAll(" ", ""), "hex");
const reader = (hex: string) => new DerReader(bytes(hex));
const ber = (hex: string) => new DerReader(bytes(hex), { allowBer: true });

describe("elements", () => {
  test("a sequence is entered and read to its end", () => {
    const outer = reader("3006 020105 0401aa");
    const body = outer.enter();
    outer.end();
    expect(body.readSmallInteger(10)).toBe(5);
    expect(body.readOctetString()).toEqual(bytes("aa"));
    expect(body.isAtEnd).toBe(true);
    expect(body.peekTag()).toBe(-1);
  });

  test("a raw element keeps its header", () => {
    expect(reader("3006 020105 0401aa").enter().readRaw()).toEqual(bytes("020105"));
  });

  test("an optional element is passed over when another one comes", () => {
    const body = reader("3003 020105").enter();
    expect(body.readOptional(TAG.octetString)).toBeUndefined();
    expect(body.enterOptional(0xa0)).toBeUndefined();
    expect(body.readSmallInteger(5)).toBe(5);
  });

  test("it reads a view of a larger buffer", () => {
    const within = new Uint8Array([9, 9, 2, 1, 7, 9]).subarray(2, 5);
    expect(new DerReader(within).readSmallInteger(7)).toBe(7);
  });

  test.each([
    ["no byte", "", "der-truncated"],
    ["no length", "30", "der-truncated"],
    ["a length past the end", "3003 0201", "der-truncated"],
    ["a long length that is cut off", "3082 01", "der-truncated"],
    ["a child longer than its parent", "3003 020200 ff", "der-truncated"],
    ["a length of two octets that needs one", "3081 03 020105", "der-length"],
    ["a length with a leading zero", "3082 0080", "der-length"],
    ["a length of five octets", "3085 0000000001", "der-length"],
    ["an indefinite length", "3080 020105 0000", "der-length"],
    ["a tag number over 30", "3f21 00", "der-tag"],
    ["the tag of an end of contents", "0000", "der-tag"],
    ["another tag", "3103 020105", "der-tag"],
  ])("%s is refused", (_, hex, code) => {
    expect(thrownCode(() => reader(hex).enter().skip())).toBe(code);
  });

  test("what follows the last element is refused", () => {
    const outer = reader("3000 00");
    outer.enter();
    expect(thrownCode(() => outer.end())).toBe("der-trailing");
  });
});

describe("values", () => {
  test.each([
    ["02", "INTEGER without content", "0200", "der-integer"],
    ["02", "padded with zeros", "02020001", "der-integer"],
    ["02", "padded with ones", "0202ffff", "der-integer"],
    ["02", "negative", "0201ff", "der-integer"],
    ["02", "over the maximum", "02020100", "der-integer"],
    ["02", "of seven octets", "020701000000000000", "der-integer"],
  ])("%s: an INTEGER %s is refused", (_tag, _, hex, code) => {
    expect(thrownCode(() => reader(hex).readSmallInteger(255))).toBe(code);
  });

  test.each([
    ["0100", "der-boolean"],
    ["010101", "der-boolean"],
    ["01020000", "der-boolean"],
  ])("BOOLEAN %s is refused", (hex, code) => {
    expect(thrownCode(() => reader(hex).readBoolean())).toBe(code);
  });

  test("BOOLEAN is 00 or FF", () => {
    expect([reader("010100").readBoolean(), reader("0101ff").readBoolean()]).toEqual([false, true]);
  });

  test.each([
    ["without content", "0300"],
    ["with eight unused bits", "030208ff"],
    ["with unused bits but no octet", "030101"],
    ["with an unused bit set", "03020101"],
  ])("a BIT STRING %s is refused", (_, hex) => {
    expect(thrownCode(() => reader(hex).readBitString())).toBe("der-bit-string");
  });

  test("a BIT STRING of whole octets has no unused bits", () => {
    expect(reader("03020080").readBitStringOctets()).toEqual(bytes("80"));
    expect(thrownCode(() => reader("03020180").readBitStringOctets())).toBe("der-bit-string");
  });

  test.each([
    ["2.5.4.3", "0603550403"],
    ["1.2.840.113549.1.1.11", "06092a864886f70d01010b"],
    ["0.9.2342.19200300.100.1.25", "060a0992268993f22c640119"],
    ["2.999.1", "0603883701"],
    ["2.16.840.1.101.3.4.2.99", "0609608648016503040263"],
  ])("identifier %s", (dotted, hex) => {
    expect(reader(hex).readObjectIdentifier()).toBe(dotted);
  });

  test.each([
    ["without content", "0600"],
    ["with a padded arc", "060355 8001"],
    ["that is cut off", "06025583"],
    ["of 65 octets", `0641${"01".repeat(65)}`],
  ])("an identifier %s is refused", (_, hex) => {
    expect(thrownCode(() => reader(hex).readObjectIdentifier())).toBe("der-oid");
  });

  test("NULL has no content", () => {
    expect(thrownCode(() => reader("0500").readNull())).toBe("nothing");
    expect(thrownCode(() => reader("050100").readNull())).toBe("der-null");
  });

  test.each([
    ["500101000000Z", Date.UTC(1950, 0, 1)],
    ["491231235959Z", Date.UTC(2049, 11, 31, 23, 59, 59)],
    ["20500101000000Z", Date.UTC(2050, 0, 1)],
    ["20240229120000Z", Date.UTC(2024, 1, 29, 12)],
  ])("time %s", (text, ms) => {
    const tag = text.length === 13 ? "17" : "18";
    const hex = `${tag}${text.length.toString(16).padStart(2, "0")}${Buffer.from(text).toString("hex")}`;
    expect(reader(hex).readTime()).toBe(ms);
  });

  test.each(["500101000000", "5001010000Z", "500101000000+0000", "500132000000Z", "500101240000Z"])(
    "UTCTime %s is refused",
    (text) => {
      const hex = `17${text.length.toString(16).padStart(2, "0")}${Buffer.from(text).toString("hex")}`;
      expect(thrownCode(() => reader(hex).readTime())).toBe("der-time");
    },
  );

  test.each(["20230229000000Z", "20240101000060Z", "20240101000000.5Z", "2024010100000Z"])(
    "GeneralizedTime %s is refused",
    (text) => {
      const hex = `18${text.length.toString(16).padStart(2, "0")}${Buffer.from(text).toString("hex")}`;
      expect(thrownCode(() => reader(hex).readTime())).toBe("der-time");
    },
  );
});

describe("limits", () => {
  const nested = (depth: number) => {
    let der = sequence();
    for (let level = 1; level < depth; level += 1) der = sequence(der);
    return der;
  };
  const descend = (der: Buffer, maxDepth: number) => {
    let at = new DerReader(der, { maxDepth }).enter();
    while (!at.isAtEnd) at = at.enter();
  };

  test.each([
    [4, "nothing"],
    [5, "nothing"],
    [6, "der-depth"],
  ])("%i levels under a limit of 5: %s", (depth, code) => {
    expect(thrownCode(() => descend(nested(depth), 5))).toBe(code);
  });

  test.each([
    [4, "nothing"],
    [5, "nothing"],
    [6, "der-elements"],
  ])("%i elements under a limit of 5, counted at all depths: %s", (count, code) => {
    const der = sequence(...Array.from({ length: count - 1 }, () => integer(1)));
    const read = () => {
      const body = new DerReader(der, { maxElements: 5 }).enter();
      while (!body.isAtEnd) body.skip();
    };
    expect(thrownCode(read)).toBe(code);
  });
});

describe("BER, where it is allowed", () => {
  test("indefinite lengths nest", () => {
    const outer = ber("3080 3080 020105 0000 0401aa 0000");
    const body = outer.enter();
    outer.end();
    expect(body.enter().readSmallInteger(5)).toBe(5);
    expect(body.readOctetString()).toEqual(bytes("aa"));
    expect(body.isAtEnd).toBe(true);
  });

  test("a raw element of indefinite length keeps its end", () => {
    expect(ber("3080 0500 0000").readRaw()).toEqual(bytes("308005000000"));
  });

  test("an octet string is put together from its parts", () => {
    expect(ber("2480 0401aa 2404 0402bbcc 0000").readOctetString()).toEqual(bytes("aabbcc"));
    expect(ber("a004 0402bbcc").readOctetString(0x80)).toEqual(bytes("bbcc"));
  });

  test("a long-winded length is read", () => {
    expect(ber("3083000003 020105").enter().readSmallInteger(5)).toBe(5);
  });

  test.each([
    ["an indefinite length that does not end", "3080 020105", "der-truncated"],
    ["an indefinite length of a primitive", "0480 0000", "der-length"],
    ["a part that is no octet string", "2403 020105", "der-tag"],
  ])("%s is refused", (_, hex, code) => {
    const read = () => {
      const at = ber(hex);
      return at.peekTag() === 0x30 ? at.enter() : at.readOctetString();
    };
    expect(thrownCode(read)).toBe(code);
  });

  test("nested indefinite lengths cost no more than the limits allow", () => {
    const levels = 64;
    const hostile = Buffer.concat([
      Buffer.from("3080".repeat(levels), "hex"),
      Buffer.alloc(levels * 2),
    ]);
    expect(thrownCode(() => new DerReader(hostile, { allowBer: true }).enter())).toBe("der-depth");
  });
});

test("what the writer writes the reader reads", () => {
  const long = "x".repeat(70_000);
  const body = new DerReader(sequence(utf8String(long), octetString(Buffer.alloc(200)))).enter();
  expect(body.read(TAG.utf8String).toString()).toBe(long);
  expect(body.readOctetString()).toHaveLength(200);
});
