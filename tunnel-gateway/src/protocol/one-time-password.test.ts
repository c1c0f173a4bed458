import { expect, test } from "vitest";
import {
  encodeOneTimeSecret,
  matchOneTimePassword,
  oneTimePassword,
  oneTimeUrl,
  parseOneTimeSecret,
} from "./one-time-password.ts";

/** RFC 4226 appendix D and RFC 6238 appendix B. */
const SECRET = Buffer.from("12345678901234567890");

test("passwords are those of RFC 4226", () => {
  const passwords = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((step) => oneTimePassword(SECRET, step));
  const known = "755224 287082 359152 969429 338314 254676 287922 162583 399871 520489";
  expect(passwords.join(" ")).toBe(known);
});

test("a password is good in its own step and in the ones beside it", () => {
  const now = 59_000;
  expect(matchOneTimePassword(SECRET, "287082", now)).toBe(1);
  expect(matchOneTimePassword(SECRET, "287 082", now)).toBe(1);
  expect(matchOneTimePassword(SECRET, "287082", now + 30_000)).toBe(1);
  expect(matchOneTimePassword(SECRET, "287082", now + 60_000)).toBeUndefined();
  expect(matchOneTimePassword(SECRET, "359152", now)).toBe(2);
});

test.each([
  "",
  "28708",
  "2870822",
  "28708x",
  "2870820000000000000",
  "28708\u00e9",
  "\uff12\uff18\uff17\uff10\uff18\uff12",
])("%s is no password", (password) => {
  expect(matchOneTimePassword(SECRET, password, 59_000)).toBeUndefined();
});

test("secrets are base32 in either case, with spaces and padding as apps show them", () => {
  const text = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
  expect(parseOneTimeSecret(text)).toEqual(SECRET);
  expect(parseOneTimeSecret("gezd gnbv gy3t qojq gezd gnbv gy3t qojq====")).toEqual(SECRET);
});

test.each(["", "A1", "AAAA", "A".repeat(300)])("%s is no secret", (text) => {
  expect(() => parseOneTimeSecret(text)).toThrow("base32");
});

test("a secret is written as it is read, of any length", () => {
  expect(encodeOneTimeSecret(SECRET)).toBe("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
  for (let length = 10; length <= 128; length += 1) {
    const secret = Buffer.alloc(length, length);
    expect(parseOneTimeSecret(encodeOneTimeSecret(secret))).toEqual(secret);
  }
});

test("an app's address names issuer and user, whatever characters they have", () => {
  const url = new URL(oneTimeUrl(SECRET, "Contoso VPN", "a:b@contoso.example"));
  expect(`${url.protocol}//${url.host}`).toBe("otpauth://totp");
  expect(decodeURIComponent(url.pathname)).toBe("/Contoso VPN:a:b@contoso.example");
  expect(url.pathname).toContain("a%3Ab%40");
  expect(url.searchParams.get("secret")).toBe("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
  expect(url.searchParams.get("issuer")).toBe("Contoso VPN");
});
