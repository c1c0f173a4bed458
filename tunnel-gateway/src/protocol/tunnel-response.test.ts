import { thrownCode } from "@isthmus/shared/testing/thrown-code";
import { describe, expect, test } from "vitest";
import { encodeTunnelResponse, type TunnelResponse } from "./tunnel-response.ts";

const tunnel: TunnelResponse = {
  client: { kind: "openconnect", isIos: false },
  hostName: "laptop",
  ipv4: { address: "10.9.0.7", netmask: "255.255.255.0" },
  ipv6: { address: "fd00:9::7", prefixLength: 64 },
  baseMtu: 1_500,
  mtu: 1_434,
  dnsServers: ["10.0.0.53", "fd00::53"],
  defaultDomain: "corp.example",
  splitDns: ["corp.example", "lab.example"],
  tunnelAllDns: false,
  routesInclude: ["10.0.0.0/8", "fd00::/8"],
  routesExclude: ["10.9.9.0/24"],
  bypassesMissingFamily: false,
  banner: undefined,
  dpdSeconds: 90,
  keepaliveSeconds: 300,
  idleSeconds: 0,
  sessionSeconds: 86_400,
  sessionSecondsLeft: 86_000,
  disconnectedSeconds: 3_600,
  rekeySeconds: 172_800,
  dtls: undefined,
};
const linesOf = (change: Partial<TunnelResponse> = {}) =>
  encodeTunnelResponse({ ...tunnel, ...change })
    .toString("utf8")
    .split("\r\n");
const named = (name: string, change?: Partial<TunnelResponse>) =>
  linesOf(change).filter((line) => line.startsWith(`${name}: `));
const anyconnect = { kind: "anyconnect", isIos: false } as const;

test("a tunnel over TLS", () => {
  expect(linesOf()).toEqual([
    "HTTP/1.1 200 CONNECTED",
    "X-CSTP-Version: 1",
    "X-CSTP-Hostname: laptop",
    "X-CSTP-DPD: 90",
    "X-CSTP-Default-Domain: corp.example",
    "X-CSTP-Address: 10.9.0.7",
    "X-CSTP-Netmask: 255.255.255.0",
    "X-CSTP-Address-IP6: fd00:9::7/64",
    "X-CSTP-DNS: 10.0.0.53",
    "X-CSTP-DNS: fd00::53",
    "X-CSTP-Split-DNS: corp.example",
    "X-CSTP-Split-DNS: lab.example",
    "X-CSTP-Split-Include: 10.0.0.0/255.0.0.0",
    "X-CSTP-Split-Include-IP6: fd00::/8",
    "X-CSTP-Tunnel-All-DNS: false",
    "X-CSTP-Split-Exclude: 10.9.9.0/255.255.255.0",
    "X-CSTP-Client-Bypass-Protocol: false",
    "X-CSTP-Keepalive: 300",
    "X-CSTP-Idle-Timeout: none",
    "X-CSTP-Smartcard-Removal-Disconnect: true",
    "X-CSTP-Rekey-Time: 172800",
    "X-CSTP-Rekey-Method: new-tunnel",
    "X-CSTP-Lease-Duration: 86400",
    "X-CSTP-Session-Timeout: 86400",
    "X-CSTP-Session-Timeout-Remaining: 86000",
    "X-CSTP-Disconnected-Timeout: 3600",
    "X-CSTP-Keep: true",
    "X-CSTP-TCP-Keepalive: true",
    "X-CSTP-License: accept",
    "X-CSTP-Base-MTU: 1500",
    "X-CSTP-MTU: 1434",
    "",
    "",
  ]);
});

describe("DTLS", () => {
  const of = (dtls: TunnelResponse["dtls"]) =>
    linesOf({ dtls }).filter((line) => line.startsWith("X-DTLS"));

  test("by PSK names an application id", () => {
    expect(of({ kind: "psk", port: 443, appId: Buffer.alloc(32, 0xab) })).toEqual([
      "X-DTLS-DPD: 90",
      "X-DTLS-Port: 443",
      "X-DTLS-Rekey-Method: none",
      "X-DTLS-Keepalive: 300",
      `X-DTLS-App-ID: ${"ab".repeat(32)}`,
      "X-DTLS-CipherSuite: PSK-NEGOTIATE",
    ]);
  });

  test("by resumption names a session, its suite and its MTU", () => {
    const sessionId = Buffer.alloc(32, 0xcd);
    const cipher = "AES128-GCM-SHA256";
    expect(of({ kind: "resumption", port: 4_433, sessionId, cipher }).slice(1)).toEqual([
      "X-DTLS-Port: 4433",
      "X-DTLS-Rekey-Method: none",
      "X-DTLS-Keepalive: 300",
      `X-DTLS-Session-ID: ${"cd".repeat(32)}`,
      "X-DTLS12-CipherSuite: AES128-GCM-SHA256",
      "X-DTLS-MTU: 1434",
    ]);
  });

  test("that is not offered leaves no field behind, or AnyConnect would try it for a minute", () => {
    expect(of(undefined)).toEqual([]);
  });
});

describe("IPv6", () => {
  test("name servers have a field of their own for AnyConnect", () => {
    expect(named("X-CSTP-DNS-IP6", { client: anyconnect })).toEqual(["X-CSTP-DNS-IP6: fd00::53"]);
    expect(named("X-CSTP-DNS-IP6")).toEqual([]);
  });

  test("routes make iOS want the whole of it besides", () => {
    const ios = { kind: "anyconnect", isIos: true } as const;
    const include = "X-CSTP-Split-Include-IP6";
    expect(named(include, { client: ios })).toEqual([
      `${include}: 2000::/3`,
      `${include}: fd00::/8`,
    ]);
    expect(named(include, { client: ios, routesInclude: [] })).toEqual([]);
    expect(named(include, { client: ios, ipv6: undefined })).toEqual([]);
  });

  test("is not spoken of where the client gets no address of it", () => {
    const lines = linesOf({ ipv6: undefined, routesExclude: ["fd00:1::/32"] }).join("\n");
    expect(lines).not.toMatch(/IP6|fd00/);
  });

  test("alone leaves IPv4 out", () => {
    const lines = linesOf({ ipv4: undefined }).join("\n");
    expect(lines).not.toMatch(/10\.[09]\./);
    expect(lines).not.toContain("X-CSTP-Netmask");
  });

  test("routes can be excluded", () => {
    expect(named("X-CSTP-Split-Exclude-IP6", { routesExclude: ["fd00:1::/32"] })).toHaveLength(1);
  });
});

test("what is off or without end is called none, or left out", () => {
  const off = { dpdSeconds: 0, rekeySeconds: 0, sessionSeconds: 0, disconnectedSeconds: 0 };
  const lines = linesOf(off);
  expect(lines).toContain("X-CSTP-Rekey-Method: none");
  expect(lines).toContain("X-CSTP-Session-Timeout: none");
  expect(lines).toContain("X-CSTP-Disconnected-Timeout: none");
  expect(lines.join("\n")).not.toMatch(/DPD|Rekey-Time|Remaining/);
});

test("a session that is over has no seconds left, not less", () => {
  expect(named("X-CSTP-Session-Timeout-Remaining", { sessionSecondsLeft: -5 })).toEqual([
    "X-CSTP-Session-Timeout-Remaining: 0",
  ]);
});

test("a banner of several lines is one line", () => {
  const banner = "Grüße\r\nX-CSTP-DNS: 192.0.2.1\n";
  expect(named("X-CSTP-Banner", { banner })).toEqual([
    "X-CSTP-Banner: Grüße X-CSTP-DNS: 192.0.2.1",
  ]);
  expect(named("X-CSTP-Banner", { banner: "\n" })).toEqual([]);
});

test.each([
  { hostName: "a\r\nb" },
  { defaultDomain: "a\nb" },
  { splitDns: [""] },
  { dnsServers: ["10.0.0.1\0"] },
  { ipv4: { address: "10.9.0.7\r", netmask: "255.255.255.0" } },
])("a value that would end its line is refused: %j", (change) => {
  expect(thrownCode(() => linesOf(change))).toBe("tunnel-field");
});
