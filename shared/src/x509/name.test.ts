import { describe, expect, test } from "vitest";
import { thrownCode } from "../testing/thrown-code.ts";
import { TAG } from "./der-tag.ts";
import { element, objectIdentifier, sequence, setOf, utf8String } from "./der-writer.ts";
import { encodeName, firstValue, isSameName, parseName } from "./name.ts";
import { formatName, parseNameText } from "./name-text.ts";
import { OID } from "./object-identifiers.ts";

const commonName = (value: Buffer) =>
  sequence(setOf(sequence(objectIdentifier(OID.commonName), value)));

describe("DER", () => {
  test("attributes come back in order, root first", () => {
    const attributes = [
      [{ type: OID.countryName, value: "DE" }],
      [
        { type: OID.organizationalUnitName, value: "x" },
        { type: OID.organizationName, value: "Größe & Co" },
      ],
      [{ type: OID.commonName, value: "a" }],
    ];
    const name = encodeName([...attributes].map((set) => set.toReversed()));
    expect(name.attributes).toEqual(attributes);
    expect(parseName(name.der).attributes).toEqual(attributes);
  });

  test.each([
    ["PrintableString", TAG.printableString, Buffer.from("abc"), "abc"],
    ["UTF8String", TAG.utf8String, Buffer.from("é"), "é"],
    ["TeletexString as Latin-1", TAG.teletexString, Buffer.from([0xe9]), "é"],
    ["BMPString", TAG.bmpString, Buffer.from([0, 0x41, 0x20, 0xac]), "A€"],
    ["another type as #hex", TAG.octetString, Buffer.from([1]), "#040101"],
  ])("a value in %s is read", (_, tag, content, expected) => {
    expect(parseName(commonName(element(tag, content))).attributes[0]?.[0]?.value).toBe(expected);
  });

  test("the standard types of string are kept to", () => {
    const name = encodeName([
      [{ type: OID.countryName, value: "DE" }],
      [{ type: OID.domainComponent, value: "x" }],
    ]);
    expect(name.der.toString("hex")).toContain("13024445");
    expect(name.der.toString("hex")).toContain("160178");
  });

  test.each([
    [
      "octets that are not UTF-8",
      commonName(element(TAG.utf8String, Buffer.from([0xff]))),
      "der-string",
    ],
    [
      "a PrintableString over ASCII",
      commonName(element(TAG.printableString, Buffer.from([0xe9]))),
      "der-string",
    ],
    [
      "half a BMPString character",
      commonName(element(TAG.bmpString, Buffer.from([0]))),
      "der-string",
    ],
    ["an empty set", sequence(setOf()), "der-truncated"],
    [
      "an attribute without value",
      sequence(setOf(sequence(objectIdentifier(OID.commonName)))),
      "der-truncated",
    ],
    [
      "an attribute with two values",
      sequence(setOf(sequence(objectIdentifier(OID.commonName), utf8String("a"), utf8String("b")))),
      "der-trailing",
    ],
    ["something behind it", Buffer.concat([sequence(), Buffer.from([0])]), "der-trailing"],
    ["a value of 4097 characters", commonName(utf8String("x".repeat(4_097))), "x509-name"],
  ])("%s is refused", (_, der, code) => {
    expect(thrownCode(() => parseName(der))).toBe(code);
  });

  test("64 relative names pass, 65 do not, nor is 4096 characters too long", () => {
    const names = (count: number) =>
      encodeName(Array.from({ length: count }, () => [{ type: OID.domainComponent, value: "x" }]))
        .der;
    expect(thrownCode(() => parseName(names(64)))).toBe("nothing");
    expect(thrownCode(() => parseName(names(65)))).toBe("x509-name");
    expect(thrownCode(() => parseName(commonName(utf8String("x".repeat(4_096)))))).toBe("nothing");
  });
});

describe("comparison", () => {
  const name = parseName(commonName(utf8String("Big  Corp")));

  test.each([
    ["another type of string", element(TAG.printableString, Buffer.from("Big  Corp")), true],
    ["other case and fewer spaces", utf8String(" big CORP "), true],
    ["another text", utf8String("Big Corps"), false],
  ])("with %s", (_, value, expected) => {
    expect(isSameName(name, parseName(commonName(value)))).toBe(expected);
  });

  test("the order of relative names counts", () => {
    expect(isSameName(parseNameText("CN=a,O=b"), parseNameText("O=b,CN=a"))).toBe(false);
  });

  test("an attribute does not pass for another one with the same value", () => {
    expect(isSameName(parseNameText("CN=a"), parseNameText("O=a"))).toBe(false);
  });
});

test("the most specific value of a type is found first", () => {
  const name = parseNameText("CN=leaf,OU=x,CN=root");
  expect(firstValue(name, OID.commonName)).toBe("leaf");
  expect(firstValue(name, OID.organizationName)).toBeUndefined();
});

describe("RFC 4514 text", () => {
  // The examples of its section 4, and what escaping must survive.
  test.each([
    "UID=jsmith,DC=example,DC=net",
    "OU=Sales+CN=J.  Smith,DC=example,DC=net",
    'CN=James \\"Jim\\" Smith\\, III,DC=example,DC=net',
    "CN=Before\\0dAfter,DC=example,DC=net",
    "1.3.6.1.4.1.1466.0=#04024869",
    "CN=Lučić",
    "CN=\\#not hex",
    "CN=\\ both ends\\ ",
    "CN=a\\\\",
    "CN=a\\\\\\ ",
    "CN=a\\=b\\+c\\;d\\<e\\>",
    "CN=\\ ",
    "",
  ])("%s comes back", (text) => {
    expect(formatName(parseNameText(text))).toBe(text);
  });

  test("text is written from the most specific name down", () => {
    const name = parseNameText("CN=a, O=b ,C=DE");
    expect(name.attributes.map(([attribute]) => attribute?.value)).toEqual(["DE", "b", "a"]);
  });

  test("types are read in any case and by aliases", () => {
    expect(formatName(parseNameText("cn=a,E=b@c,oid.2.5.4.10=d"))).toBe(
      "CN=a,emailAddress=b@c,O=d",
    );
  });

  test("escaped octets are UTF-8", () => {
    expect(firstValue(parseNameText("CN=Lu\\C4\\8Di\\C4\\87"), OID.commonName)).toBe("Lučić");
  });

  test.each([
    ["no =", "CN"],
    ["an unknown type", "XY=a"],
    ["an unescaped quote", 'CN="a"'],
    ["an unescaped semicolon", "CN=a;O=b"],
    ["a \\ at the end", "CN=a\\"],
    ["a \\ before a letter", "CN=\\z"],
    ["odd hex digits", "CN=#040"],
    ["octets that are not UTF-8", "CN=\\ff"],
    ["nothing between commas", "CN=a,,O=b"],
    ["8193 characters", `CN=${"x".repeat(8_190)}`],
  ])("%s is refused", (_, text) => {
    expect(thrownCode(() => parseNameText(text))).toBe("x509-name-text");
  });

  test("a value that its type cannot hold is refused", () => {
    expect(thrownCode(() => parseNameText("C=Ö"))).toBe("der-string");
  });
});
