import { expect, test } from "vitest";
import { encodeProxyStatus } from "./proxy-status.ts";

test("names the error and the rule", () => {
  expect(encodeProxyStatus({ error: "http_request_denied", details: "rule staff/closed" })).toBe(
    'isthmus; error=http_request_denied; details="rule staff/closed"',
  );
});

test("quotes and backslashes are escaped, all else that is not printable ASCII is replaced", () => {
  const details = 'a"b\\c\r\nSet-Cookie: x\u00e9';
  expect(encodeProxyStatus({ error: "dns_error", details })).toBe(
    'isthmus; error=dns_error; details="a\\"b\\\\c??Set-Cookie: x?"',
  );
});

test("details end at 512 characters", () => {
  const at = (length: number) =>
    encodeProxyStatus({ error: "dns_error", details: "a".repeat(length) }).length;
  expect(at(512)).toBe(at(511) + 1);
  expect(at(513)).toBe(at(512));
});
