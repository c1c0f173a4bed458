import { thrownCode } from "@isthmus/shared/testing/thrown-code";
import { expect, test } from "vitest";
import {
  expiredCookie,
  hintsCookies,
  loginCookie,
  parseCookies,
  sessionCookie,
} from "./cookies.ts";

test("cookies of several fields are read, the first of a name", () => {
  const cookies = parseCookies(["webvpncontext=a; webvpn=b==", " webvpn=c ;x=; =y;z"]);
  expect([...cookies]).toEqual([
    ["webvpncontext", "a"],
    ["webvpn", "b=="],
    ["x", ""],
  ]);
});

test("what is no cookie is left out", () => {
  expect([...parseCookies(['a="b"', "c=d e", "f,g=h", `i=${"j".repeat(4_097)}`])]).toEqual([]);
});

test("no more than 64 cookies are looked at", () => {
  const many = Array.from({ length: 70 }, (_, index) => `a${index}=b`).join(";");
  expect(parseCookies([many]).size).toBe(64);
  expect(parseCookies([many, many]).size).toBe(64);
});

test("tokens are set secure and out of scripts' reach", () => {
  expect(sessionCookie("t0k+/=")).toBe("webvpn=t0k+/=; path=/; Secure; HttpOnly");
  expect(loginCookie("o", 300)).toBe("webvpncontext=o; Max-Age=300; path=/; Secure; HttpOnly");
  expect(expiredCookie("webvpncontext")).toMatch(/^webvpncontext=; expires=Thu, 01 Jan 1970/);
});

test.each(["a;b", "a\r\nb", 'a"', "a b", "a,b", "é"])("%j is no token", (token) => {
  expect(thrownCode(() => sessionCookie(token))).toBe("cookie-value");
});

test("AnyConnect is told of the certificate and of the profile", () => {
  const certificateHash = "aa01";
  const [first, bare] = hintsCookies({ certificateHash, profile: undefined });
  expect(first).toMatch(/^webvpnc=; expires/);
  expect(bare).toBe("webvpnc=bu:/&p:t&iu:1/&sh:AA01; path=/; Secure; HttpOnly");
  const [, full] = hintsCookies({
    certificateHash,
    profile: { file: "corp vpn.xml", hash: "bb02" },
  });
  expect(full).toContain("&sh:AA01&fu:profiles%2Fcorp%20vpn.xml&fh:BB02;");
});
