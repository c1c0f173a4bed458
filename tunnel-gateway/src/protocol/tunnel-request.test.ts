import { thrownCode } from "@isthmus/shared/testing/thrown-code";
import { describe, expect, test } from "vitest";
import { anyconnectTunnel, mobileTunnel, openconnectTunnel } from "../testing/vpn-requests.ts";
import { HttpFields, parseHttpHead } from "./http-head.ts";
import { parseTunnelHeaders } from "./tunnel-request.ts";

const read = (request: Buffer) => parseTunnelHeaders(parseHttpHead(request).fields);
const fields = (...entries: [string, string][]) => new HttpFields(entries);
const of = (...entries: [string, string][]) => parseTunnelHeaders(fields(...entries));

test("openconnect 9.01 asks for a tunnel with DTLS by PSK", () => {
  expect(read(openconnectTunnel())).toEqual({
    hostName: "laptop",
    baseMtu: 1_500,
    innerMtu: 1_390,
    wantsIpv4: true,
    wantsIpv6: true,
    formerAddresses: [],
    dtls: { kind: "psk" },
  });
});

test("AnyConnect 4.10 asks for DTLS 1.2 under a secret of its own", () => {
  expect(read(anyconnectTunnel())).toMatchObject({
    hostName: "PC",
    baseMtu: 1_500,
    dtls: {
      kind: "resumption",
      masterSecret: Buffer.alloc(48, 0xa5),
      cipher: "AES128-GCM-SHA256",
    },
  });
});

test.each(["apple-ios", "android"] as const)("a phone asks alike: %s", (platform) => {
  expect(read(mobileTunnel(platform))).toMatchObject({
    wantsIpv6: true,
    dtls: { kind: "resumption" },
  });
});

test("a client that comes again names both addresses that it had", () => {
  const again = ["X-CSTP-Address: 10.9.0.7", "X-CSTP-Address: fd00::7", "X-CSTP-Address: ::1"];
  expect(read(openconnectTunnel("abc", again)).formerAddresses).toEqual(["10.9.0.7", "fd00::7"]);
});

describe("families", () => {
  test.each([
    [undefined, undefined, true, false],
    ["IPv4", "true", true, false],
    ["IPv6,IPv4", "true", true, true],
    ["IPv6", "true", false, true],
    ["IPv6,IPv4", undefined, true, false],
    ["IPv6,IPv4", "false", true, false],
  ])("types %s with capability %s: IPv4 %s, IPv6 %s", (types, capability, wantsIpv4, wantsIpv6) => {
    const entries: [string, string][] = [];
    if (types !== undefined) entries.push(["X-CSTP-Address-Type", types]);
    if (capability !== undefined) entries.push(["X-CSTP-Full-IPv6-Capability", capability]);
    expect(of(...entries)).toMatchObject({ wantsIpv4, wantsIpv6 });
  });
});

describe("DTLS", () => {
  const secret: [string, string] = ["X-DTLS-Master-Secret", "ab".repeat(48)];

  test("by PSK is taken from either list", () => {
    expect(of(["X-DTLS12-CipherSuite", "PSK-NEGOTIATE"]).dtls).toEqual({ kind: "psk" });
  });

  test.each([
    ["AES256-GCM-SHA384:AES128-GCM-SHA256", "AES128-GCM-SHA256"],
    ["ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"],
    ["ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384"],
  ])("of %s has %s", (suites, cipher) => {
    expect(of(secret, ["X-DTLS12-CipherSuite", suites]).dtls).toMatchObject({ cipher });
  });

  test.each([
    ["of the time before DTLS 1.2", [secret, ["X-DTLS-CipherSuite", "AES256-SHA:DES-CBC3-SHA"]]],
    ["without a secret", [["X-DTLS12-CipherSuite", "AES128-GCM-SHA256"]]],
    ["with unknown suites", [secret, ["X-DTLS12-CipherSuite", "AES128-SHA:PSK"]]],
    ["without suites", [secret]],
  ] as [string, [string, string][]][])("%s is none", (_, entries) => {
    expect(of(...entries).dtls).toBeUndefined();
  });

  test.each(["ab".repeat(47), "ab".repeat(49), "zz".repeat(48), ""])(
    "under secret %j is refused",
    (value) => {
      const entries = fields(
        ["X-DTLS-Master-Secret", value],
        ["X-DTLS12-CipherSuite", "AES128-GCM-SHA256"],
      );
      expect(thrownCode(() => parseTunnelHeaders(entries))).toBe("tunnel-master-secret");
    },
  );
});

test("0 bytes are a size that the client does not know; what is no number is refused", () => {
  expect(of(["X-CSTP-Base-MTU", "0"]).baseMtu).toBeUndefined();
  for (const value of ["-1", "1e3", "01500", "1500 ", "9999999", ""]) {
    expect(thrownCode(() => of(["X-CSTP-Base-MTU", value]))).toBe("tunnel-mtu");
  }
});

test("another version of CSTP is refused", () => {
  expect(thrownCode(() => of(["X-CSTP-Version", "2"]))).toBe("tunnel-version");
});

test.each(["a b", "-a", "a".repeat(255), "Anna\u2019s iPhone", "a\tb"])(
  "%j is no host name",
  (value) => {
    expect(of(["X-CSTP-Hostname", value]).hostName).toBeUndefined();
  },
);
