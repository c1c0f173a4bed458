import { expect, test } from "vitest";
import { thrownCode } from "../testing/thrown-code.ts";
import { formatGuid, formatSecurityIdentifier, guidBytes } from "./binary-identifiers.ts";

test.each([
  ["01050000000000051500000001000000020000000300000050040000", "S-1-5-21-1-2-3-1104"],
  ["010100000000000512000000", "S-1-5-18"],
  [
    "0105000000000005150000001234567890abcdef11223344f4010000",
    "S-1-5-21-2018915346-4023233424-1144201745-500",
  ],
])("%s is %s", (hex, text) => {
  expect(formatSecurityIdentifier(Buffer.from(hex, "hex"))).toBe(text);
});

test.each([
  "",
  "01",
  "0100000000000005",
  "020100000000000512000000",
  "01010000000000051200000000",
  "0101000000000005120000",
  `0110000000000005${"00000000".repeat(16)}`,
])("%s is no security identifier", (hex) => {
  expect(thrownCode(() => formatSecurityIdentifier(Buffer.from(hex, "hex")))).toBe("directory-sid");
});

test("a security identifier has up to 15 parts", () => {
  const hex = `010f000000000005${"00000000".repeat(15)}`;
  expect(formatSecurityIdentifier(Buffer.from(hex, "hex"))).toBe(`S-1-5${"-0".repeat(15)}`);
});

test("a GUID is read and written, its first parts turned round", () => {
  const text = "00112233-4455-6677-8899-aabbccddeeff";
  const bytes = Buffer.from("33221100554477668899aabbccddeeff", "hex");
  expect(guidBytes(text)).toEqual(bytes);
  expect(guidBytes(text.toUpperCase())).toEqual(bytes);
  expect(formatGuid(bytes)).toBe(text);
});

test.each([
  "",
  "x",
  "00112233-4455-6677-8899-aabbccddeef",
  "{00112233-4455-6677-8899-aabbccddeeff}",
])("%j is no GUID", (text) => {
  expect(guidBytes(text)).toBeUndefined();
});
test("15 bytes are no GUID either", () => {
  expect(thrownCode(() => formatGuid(Buffer.alloc(15)))).toBe("directory-guid");
});
