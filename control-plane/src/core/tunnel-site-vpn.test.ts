import { describe, expect, test } from "vitest";
import { advancedSettingFaults, type TunnelSiteValues, withSiteVpn } from "./tunnel-site-vpn.ts";

const silent: TunnelSiteValues = {
  dnsServers: [],
  defaultDomainSuffix: null,
  routeIncludes: [],
  routeExcludes: [],
  splitDNS: [],
  advancedSettings: [],
  disableUdpConnections: false,
  internalNetworkProbeUrl: null,
};
const told: TunnelSiteValues = {
  dnsServers: ["10.0.0.53"],
  defaultDomainSuffix: "corp.example",
  routeIncludes: ["10.0.0.0/8"],
  routeExcludes: ["10.9.0.0/16"],
  splitDNS: ["corp.example"],
  advancedSettings: [
    { name: "dpd", value: "60" },
    { name: "keepalive", value: "30" },
    { name: "mtu", value: "1300" },
    { name: "banner", value: "Welcome" },
  ],
  disableUdpConnections: true,
  internalNetworkProbeUrl: "http://intranet.example/",
};
const staff = { name: "staff", authentication: [["certificate"]] };
const documentOf = (...groups: object[]) => ({ policies: [], vpn: { groups } });

describe("what a site says", () => {
  test("goes to every group that does not say it itself", () => {
    expect(withSiteVpn(documentOf(staff, { ...staff, name: "others" }), told)).toEqual({
      policies: [],
      vpn: {
        internalNetworkProbeUrl: "http://intranet.example/",
        groups: ["staff", "others"].map((name) => ({
          name,
          authentication: [["certificate"]],
          routesInclude: ["10.0.0.0/8"],
          routesExclude: ["10.9.0.0/16"],
          dnsServers: ["10.0.0.53"],
          splitDns: ["corp.example"],
          defaultDomain: "corp.example",
          udp: false,
          banner: "Welcome",
          mtu: 1_300,
          timeouts: { dpdSeconds: 60, keepaliveSeconds: 30 },
        })),
      },
    });
  });

  test("gives way to a group, key by key, and an empty list is an answer too", () => {
    const own = {
      ...staff,
      routesInclude: [],
      dnsServers: ["10.1.1.1"],
      udp: true,
      timeouts: { dpdSeconds: 300 },
    };
    expect(withSiteVpn(documentOf(own), told)).toMatchObject({
      vpn: {
        groups: [
          {
            routesInclude: [],
            routesExclude: ["10.9.0.0/16"],
            dnsServers: ["10.1.1.1"],
            udp: true,
            timeouts: { dpdSeconds: 300, keepaliveSeconds: 30 },
          },
        ],
      },
    });
  });

  test("gives way to the document's own probe", () => {
    const own = { vpn: { internalNetworkProbeUrl: "http://other.example/" } };
    expect(withSiteVpn(own, told)).toEqual(own);
  });

  test("that is nothing leaves the document as it is, to the byte", () => {
    const own = documentOf({ ...staff, timeouts: { dpdSeconds: 9 } });
    expect(JSON.stringify(withSiteVpn(own, silent))).toBe(JSON.stringify(own));
    expect(withSiteVpn({ policies: [] }, silent)).toEqual({ policies: [] });
  });

  test.each([
    ["no object", 7],
    ["a vpn that is none", { vpn: [] }],
    ["null as vpn", { vpn: null }],
  ])("leaves a document that the gateway refuses as it is: %s", (_what, own) => {
    expect(withSiteVpn(own, told)).toEqual(own);
  });

  test("leaves groups and timeouts that the gateway refuses as they are", () => {
    const groups = ["staff", null, { name: "odd", timeouts: "soon" }, { timeouts: null }];
    const { vpn } = withSiteVpn({ vpn: { groups } }, told) as { vpn: { groups: unknown[] } };
    expect(vpn.groups.slice(0, 2)).toEqual(["staff", null]);
    expect(vpn.groups[2]).toMatchObject({ name: "odd", timeouts: "soon" });
    expect(vpn.groups[3]).toMatchObject({ timeouts: null });
    expect(withSiteVpn({ vpn: { groups: "all" } }, told)).toMatchObject({ vpn: { groups: "all" } });
  });
});

describe("advanced settings", () => {
  const faults = (name: string, value: string) => advancedSettingFaults([{ name, value }]);

  test.each([
    ["dpd", 5, 3_600],
    ["mobile-dpd", 5, 86_400],
    ["idle-timeout", 0, 2_592_000],
    ["session-timeout", 0, 31_536_000],
    ["cookie-timeout", 10, 604_800],
    ["keepalive", 0, 86_400],
    ["rekey-time", 600, 604_800],
    ["mtu", 576, 1_500],
    ["max-same-clients", 1, 10_000],
  ])("%s is taken from %d to %d and no further", (name, least, most) => {
    expect(faults(name, String(least))).toEqual([]);
    expect(faults(name, String(most))).toEqual([]);
    expect(faults(name, String(least - 1))).toHaveLength(1);
    expect(faults(name, String(most + 1))).toHaveLength(1);
  });

  test.each(["", "soon", "6e1", "-0", " 60", "60s", "0x3c"])("%j is no number", (value) => {
    expect(faults("dpd", value)).toEqual([
      { index: 0, message: "dpd: expected a whole number from 5 to 3600" },
    ]);
  });

  test("a banner has an end", () => {
    expect(faults("banner", "x".repeat(1_000))).toEqual([]);
    expect(faults("banner", "x".repeat(1_001))).toHaveLength(1);
  });

  test.each(["tun-mtu", "constructor", "__proto__"])("%s is unknown, and told so", (name) => {
    expect(faults(name, "1")[0]?.message).toMatch(/is no known setting; known are dpd, /);
  });

  test("one that stands there twice is refused where it stands again", () => {
    const again = [
      { name: "dpd", value: "60" },
      { name: "mtu", value: "1300" },
      { name: "dpd", value: "90" },
    ];
    expect(advancedSettingFaults(again)).toEqual([{ index: 2, message: "dpd stands there twice" }]);
  });
});
