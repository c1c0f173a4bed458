import { describe, expect, test } from "vitest";
import { thrownCode } from "../testing/thrown-code.ts";
import { DerReader } from "./der-reader.ts";
import { explicit, implicit, objectIdentifier, octetString, utf8String } from "./der-writer.ts";
import { encodeGeneralName, type GeneralName, readGeneralName } from "./general-name.ts";
import { formatIpAddress, parseIpAddress } from "./ip-octets.ts";
import { parseNameText } from "./name-text.ts";
import { OID } from "./object-identifiers.ts";

const read = (der: Buffer) => readGeneralName(new DerReader(der));

describe("forms", () => {
  test.each<GeneralName>([
    { type: "email", value: "a@b.example" },
    { type: "dns", value: "host.example" },
    { type: "uri", value: "urn:isthmus:device:42" },
    { type: "ip", value: "192.0.2.1" },
    { type: "ip", value: "2001:db8::1" },
    { type: "upn", value: "jörg@example" },
    { type: "directory", value: parseNameText("CN=a,O=b") },
    { type: "other", value: implicit(8, Buffer.from([42, 3])) },
  ])("$type comes back", (name) => {
    expect(read(encodeGeneralName(name))).toEqual(name);
  });

  test("an otherName of another type is kept whole", () => {
    const der = implicit(
      0,
      Buffer.concat([
        objectIdentifier(OID.ntdsObjectSid),
        explicit(0, octetString(Buffer.from("S"))),
      ]),
      true,
    );
    expect(read(der)).toEqual({ type: "other", value: der });
  });

  test.each([
    [
      "a NUL in a name, which once hid the rest of it",
      implicit(2, Buffer.from("a\0b")),
      "x509-general-name",
    ],
    ["an octet over ASCII", implicit(6, Buffer.from([0xe9])), "der-string"],
    ["an IP address of five octets", implicit(7, Buffer.alloc(5)), "x509-general-name"],
    [
      "an otherName without value",
      implicit(0, objectIdentifier(OID.userPrincipalName), true),
      "der-truncated",
    ],
    [
      "a UPN with something behind it",
      implicit(
        0,
        Buffer.concat([
          objectIdentifier(OID.userPrincipalName),
          explicit(0, Buffer.concat([utf8String("a"), utf8String("b")])),
        ]),
        true,
      ),
      "der-trailing",
    ],
  ])("%s is refused", (_, der, code) => {
    expect(thrownCode(() => read(der))).toBe(code);
  });

  test("text that is no address is not written as one", () => {
    expect(thrownCode(() => encodeGeneralName({ type: "ip", value: "1.2.3" }))).toBe(
      "x509-general-name",
    );
    expect(thrownCode(() => encodeGeneralName({ type: "dns", value: "ö" }))).toBe("der-string");
  });
});

describe("IP addresses", () => {
  test.each([
    ["::", "00".repeat(16)],
    ["::1", `${"00".repeat(15)}01`],
    ["2001:db8::", `20010db8${"00".repeat(12)}`],
    ["2001:db8:0:1:0:0:0:1".replace(":0:0:0:", "::"), "20010db8000000010000000000000001"],
    ["fe80::1:0:0:1", "fe800000000000000001000000000001"],
    ["1:2:3:4:5:6:7:8", "00010002000300040005000600070008"],
  ])("%s", (text, hex) => {
    expect(parseIpAddress(text)?.toString("hex")).toBe(hex);
    expect(formatIpAddress(Buffer.from(hex, "hex"))).toBe(text);
  });

  test("dotted quads inside IPv6 are read", () => {
    expect(parseIpAddress("::ffff:192.0.2.1")?.toString("hex")).toBe(
      `${"00".repeat(10)}ffffc0000201`,
    );
  });

  test.each(["", "1.2.3.4.5", "256.1.1.1", "::g", "fe80::1%eth0", "1::2::3"])(
    "%j is none",
    (text) => {
      expect(parseIpAddress(text)).toBeUndefined();
    },
  );
});
