import { thrownCode } from "@isthmus/shared/testing/thrown-code";
import { describe, expect, test } from "vitest";
import { MAX_AUTHORITY_CHARACTERS, parseAuthority } from "./authority.ts";

const code = (text: string) => thrownCode(() => parseAuthority(text));
const label = (length: number) => "a".repeat(length);

describe("a target is read", () => {
  test.each([
    ["intranet.example:443", "name", "intranet.example", 443],
    ["INTRANET.Example.:1", "name", "intranet.example", 1],
    ["site_1:65535", "name", "site_1", 65_535],
    ["10.1.2.3:80", "ipv4", "10.1.2.3", 80],
    ["[2001:DB8::1]:80", "ipv6", "2001:db8::1", 80],
    ["[::ffff:10.1.2.3]:80", "ipv6", "::ffff:10.1.2.3", 80],
  ] as const)("%s", (text, kind, host, port) => {
    expect(parseAuthority(text)).toEqual({ kind, host, port });
  });
});

describe("user information is refused", () => {
  test.each(["user@host:80", "user:secret@host:80", "@host:80", "host:80@evil:443"])(
    "%s",
    (text) => {
      expect(code(text)).toBe("authority-userinfo");
    },
  );
});

describe("a port that is not plain decimal from 1 to 65535 is refused", () => {
  test.each([
    "h:0",
    "h:65536",
    "h:080",
    "h:+80",
    "h:-1",
    "h: 80",
    "h:80 ",
    "h:",
    "h:0x50",
    "h:8e1",
  ])("%s", (text) => {
    expect(code(text)).toBe("authority-port");
  });
});

describe("what a resolver or a filter could read differently is refused", () => {
  test.each([
    ["a target without a port", "host", "authority-malformed"],
    ["an IPv6 address without brackets", "::1:80", "authority-host"],
    ["brackets around a name", "[host]:80", "authority-host"],
    ["brackets around IPv4", "[127.0.0.1]:80", "authority-host"],
    ["an open bracket", "[::1:80", "authority-malformed"],
    ["text behind the bracket", "[::1]x:80", "authority-malformed"],
    ["a zone", "[fe80::1%eth0]:80", "authority-host"],
    ["an encoded zone", "[fe80::1%25eth0]:80", "authority-host"],
    ["IPv4 in octal", "0177.0.0.1:80", "authority-host"],
    ["IPv4 in hexadecimal", "0x7f.0.0.1:80", "authority-host"],
    ["IPv4 as one number", "2130706433:80", "authority-host"],
    ["IPv4 in short form", "127.1:80", "authority-host"],
    ["octal inside IPv6", "[::ffff:0177.0.0.1]:80", "authority-host"],
    ["a hexadecimal last label", "host.0x7f:80", "authority-host"],
    ["IPv4 with a final dot", "127.0.0.1.:80", "authority-host"],
    ["two final dots", "host..:80", "authority-host"],
    ["an empty label", "a..b:80", "authority-host"],
    ["an empty host", ":80", "authority-host"],
    ["a path", "host/x:80", "authority-host"],
    ["a scheme", "http://host:80", "authority-host"],
    ["a backslash", "host\\x:80", "authority-host"],
    ["an encoded character", "ho%73t:80", "authority-host"],
    ["a line break", "host\r\nx:80", "authority-host"],
    ["a NUL", "host\0:80", "authority-host"],
    ["a letter beyond ASCII", "höst:80", "authority-host"],
    ["a full-width digit", "１27.0.0.1:80", "authority-host"],
    ["a label that begins with a hyphen", "-a.b:80", "authority-host"],
  ])("%s", (_, text, expected) => {
    expect(code(text)).toBe(expected);
  });
});

describe("lengths", () => {
  test("a label has at most 63 characters", () => {
    expect(code(`${label(62)}.b:80`)).toBe("nothing");
    expect(code(`${label(63)}.b:80`)).toBe("nothing");
    expect(code(`${label(64)}.b:80`)).toBe("authority-host");
  });

  test("a name has at most 253 characters", () => {
    const name = (length: number) => `${`${label(49)}.`.repeat(5)}${label(length - 250)}:80`;
    expect(code(name(252))).toBe("nothing");
    expect(code(name(253))).toBe("nothing");
    expect(code(name(254))).toBe("authority-host");
  });

  test("a target has at most 260 characters", () => {
    const target = (length: number) => `${label(length - 3)}:80`;
    expect(MAX_AUTHORITY_CHARACTERS).toBe(260);
    expect(code(target(260))).toBe("authority-host");
    expect(code(target(261))).toBe("authority-too-long");
  });
});
