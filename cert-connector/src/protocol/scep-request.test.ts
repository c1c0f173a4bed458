import { thrownCode } from "@isthmus/shared/testing/thrown-code";
import { describe, expect, test } from "vitest";
import {
  CAPABILITIES,
  formatCapabilities,
  parseCapabilities,
  parseScepQuery,
} from "./scep-request.ts";

// Base64 with all that a query may mangle: + / =
const message = Buffer.from("fbefbeff", "hex");
const base64 = message.toString("base64");

describe("a query", () => {
  test.each([
    ["operation=GetCACaps", { operation: "GetCACaps" }],
    ["operation=GetCACert&message=ca", { operation: "GetCACert" }],
    ["operation=GetCACert&message=0", { operation: "GetCACert" }],
    ["message=&operation=GetNextCACert", { operation: "GetNextCACert" }],
    ["operation=getcacaps", { operation: "GetCACaps" }],
    ["operation=PKIOperation", { operation: "PKIOperation", message: undefined }],
  ])("%s", (query, expected) => {
    expect(parseScepQuery(query)).toEqual(expected);
  });

  test.each([
    ["escaped as it should be", encodeURIComponent(base64)],
    ["not escaped at all, as macOS does", base64],
    ["with + turned into a space on the way", base64.replaceAll("+", "%20")],
    ["with line breaks", `${base64.slice(0, 4)}%0D%0A${base64.slice(4)}`],
    ["without padding", base64.replaceAll("=", "")],
  ])("a message %s is read", (_, text) => {
    expect(base64).toMatch(/[+].*[/]/);
    expect(parseScepQuery(`operation=PKIOperation&message=${text}`)).toEqual({
      operation: "PKIOperation",
      message,
    });
  });

  test.each([
    ["no operation", "message=x"],
    ["nothing", ""],
    ["an unknown operation", "operation=GetCRL"],
    ["an operation that comes twice", "operation=GetCACaps&operation=PKIOperation"],
    ["a broken escape", "operation=GetCACert&message=%zz"],
    ["a message that is not base64", "operation=PKIOperation&message=a*b"],
    ["65537 characters", `operation=GetCACaps&message=${"x".repeat(65_537 - 28)}`],
  ])("%s is refused", (_, query) => {
    expect(thrownCode(() => parseScepQuery(query))).toBe("scep-query");
  });

  test("65536 characters are not too many", () => {
    const query = `operation=GetCACaps&message=${"x".repeat(65_536 - 28)}`;
    expect(parseScepQuery(query)).toEqual({ operation: "GetCACaps" });
  });
});

describe("capabilities", () => {
  test("have an empty line, without which strongSwan gives up", () => {
    expect(formatCapabilities(["SHA-256", "AES", "POSTPKIOperation"])).toBe(
      "SHA-256\n\nAES\nPOSTPKIOperation\n",
    );
  });

  test("come back, unknown ones passed over", () => {
    expect([...parseCapabilities(formatCapabilities(CAPABILITIES))]).toEqual(CAPABILITIES);
    expect([...parseCapabilities("aes\r\nTeleport\r\n RENEWAL ")]).toEqual(["AES", "Renewal"]);
  });
});
