import type { HealthSnapshot } from "@isthmus/shared/link/messages";
import { describe, expect, test } from "vitest";
import {
  isThresholdInOrder,
  judgeMetric,
  TUNNEL_METRICS,
  type TunnelMetricName,
} from "./tunnel-metrics.ts";
import { TUNNEL_REMEDIES } from "./tunnel-remedies.ts";
import { type TunnelServerReport, tunnelServerHealth } from "./tunnel-server-health.ts";

const NOW = 1_800_000_000_000;
const minutesAgo = (minutes: number) => NOW - minutes * 60_000;

const snapshot: HealthSnapshot = {
  service: "tunnel-gateway",
  version: "1.4.2",
  startedAt: 0,
  checks: [{ name: "listener", status: "healthy", reason: "open" }],
  figures: {
    "connections-percent": 12,
    "cpu-percent": 20,
    "memory-percent": 40,
    "cpu-cores": 4,
    "disk-free-megabytes": 40_000,
    "latency-microseconds": 300,
    "tls-certificate-days": 60,
    "tls-certificate-revocation": 0,
    "internal-network-probe": 0,
  },
};
const good: TunnelServerReport = {
  now: NOW,
  connectedAt: minutesAgo(60),
  lastSeenAt: NOW,
  health: snapshot,
  healthAt: minutesAgo(1),
  version: "1.4.2",
  configuration: { desired: 3, desiredAt: minutesAgo(30), applied: 3, refusal: undefined },
  site: { network: "10.8.0.0/16", ipv6Network: "fd00:8::/48", listenPort: 443 },
  thresholds: new Map(),
};
const withFigure = (name: string, value: number): TunnelServerReport => ({
  ...good,
  health: { ...snapshot, figures: { ...snapshot.figures, [name]: value } },
});
const detail = (report: TunnelServerReport, name: string) =>
  tunnelServerHealth(report).details.find((one) => one.name === name);

describe("a tunnel server", () => {
  test("that is well in everything is healthy, with a value and a reason for each metric", () => {
    const { status, details } = tunnelServerHealth(good);
    expect(status).toBe("healthy");
    expect(details.map(({ name }) => name)).toEqual(Object.keys(TUNNEL_METRICS));
    expect(detail(good, "cpu-percent")).toEqual({
      name: "cpu-percent",
      status: "healthy",
      value: 20,
      reason: "processor, 5 min average: 20 %",
    });
  });

  test.each<[TunnelMetricName, number, string]>([
    ["connections-percent", 90, "healthy"],
    ["connections-percent", 91, "warning"],
    ["connections-percent", 100, "unhealthy"],
    ["cpu-percent", 95.4, "healthy"],
    ["cpu-percent", 96, "warning"],
    ["cpu-percent", 99, "warning"],
    ["cpu-percent", 100, "unhealthy"],
    ["memory-percent", 96, "warning"],
    ["memory-percent", 100, "unhealthy"],
    ["cpu-cores", 3, "warning"],
    ["cpu-cores", 1, "warning"],
    ["cpu-cores", 0, "unhealthy"],
    ["disk-free-megabytes", 5_000, "healthy"],
    ["disk-free-megabytes", 4_999, "warning"],
    ["disk-free-megabytes", 2_999, "unhealthy"],
    ["latency-microseconds", 9_999, "healthy"],
    ["latency-microseconds", 10_000, "warning"],
    ["latency-microseconds", 20_001, "unhealthy"],
    ["tls-certificate-days", 30, "healthy"],
    ["tls-certificate-days", 29, "warning"],
    ["tls-certificate-days", -1, "unhealthy"],
    ["tls-certificate-revocation", 1, "warning"],
    ["tls-certificate-revocation", 2, "unhealthy"],
    ["internal-network-probe", 1, "unhealthy"],
  ])("whose %s is %d is %s", (name, value, status) => {
    const report = withFigure(name, value);
    expect(detail(report, name)?.status).toBe(status);
    expect(tunnelServerHealth(report).status).toBe(status);
    const remedy = status === "healthy" ? undefined : TUNNEL_REMEDIES[name];
    expect(detail(report, name)?.remedy).toBe(remedy);
  });

  test("that does not report a figure is not judged by it", () => {
    const { "cpu-cores": _cores, ...figures } = snapshot.figures;
    const report = { ...good, health: { ...snapshot, figures } };
    expect(detail(report, "cpu-cores")).toBeUndefined();
    expect(tunnelServerHealth(report).status).toBe("healthy");
  });

  test("cannot report what the control plane sees better itself", () => {
    expect(detail(withFigure("versions-behind", 2), "versions-behind")?.value).toBe(0);
  });

  test.each([
    ["warning", "warning"],
    ["unknown", "warning"],
    ["unhealthy", "unhealthy"],
  ] as const)("that finds itself %s is %s, for its reason", (own, status) => {
    const checks = [{ name: "listener", status: own, reason: "it says so" }];
    const report = { ...good, health: { ...snapshot, checks } };
    expect(tunnelServerHealth(report).status).toBe(status);
    expect(detail(report, "listener")).toMatchObject({
      value: null,
      reason: "it says so",
      remedy: expect.stringContaining("tunnel-gateway check"),
    });
  });

  test("is judged by a threshold that was changed", () => {
    const thresholds = new Map([["cpu-percent", { healthy: 10, unhealthy: 15 }]] as const);
    expect(detail({ ...good, thresholds }, "cpu-percent")).toMatchObject({
      status: "unhealthy",
      reason: "processor, 5 min average: 20 %, healthy is at most 10 %",
    });
  });
});

describe("a check-in", () => {
  const away: TunnelServerReport = { ...good, connectedAt: undefined, lastSeenAt: minutesAgo(5) };

  test("of five minutes ago still counts, an older one is offline", () => {
    expect(tunnelServerHealth(away).status).toBe("healthy");
    const { status } = tunnelServerHealth({ ...away, lastSeenAt: minutesAgo(5.1) });
    expect(status).toBe("offline");
  });

  test("never seen is unknown, and so is a server without a word about its health", () => {
    const never = { ...away, lastSeenAt: undefined };
    expect(tunnelServerHealth(never)).toEqual({ status: "unknown", details: [] });
    const silent = { ...good, health: undefined, healthAt: undefined };
    expect(tunnelServerHealth(silent).status).toBe("unknown");
  });

  test("is missed by a server that is connected and has stopped telling its health", () => {
    expect(tunnelServerHealth({ ...good, healthAt: minutesAgo(6) }).status).toBe("unhealthy");
  });

  test("is not missed by one that has just come back", () => {
    const back = { ...good, connectedAt: minutesAgo(0.1), healthAt: minutesAgo(60) };
    expect(tunnelServerHealth(back).status).toBe("healthy");
  });
});

describe("the version", () => {
  test.each([
    ["1.4.2", 0],
    ["1.4.1", 1],
    ["1.4.0", 2],
    ["1.3.9", 1],
    ["1.2.9", 2],
    ["0.9.9", 2],
    ["1.5.0", 0],
    ["2.0.0", 0],
  ])("%s is %d behind 1.4.2", (version, value) => {
    const report = { ...good, health: { ...snapshot, version } };
    expect(detail(report, "versions-behind")?.value).toBe(value);
  });

  test("that is none is not judged", () => {
    const report = { ...good, health: { ...snapshot, version: "unknown" } };
    expect(detail(report, "versions-behind")).toBeUndefined();
  });
});

describe("the configuration", () => {
  const state = (configuration: Partial<TunnelServerReport["configuration"]>) =>
    detail(
      { ...good, configuration: { ...good.configuration, ...configuration } },
      "configuration-applied",
    );
  const facts = (told: Record<string, string>) =>
    detail({ ...good, health: { ...snapshot, facts: told } }, "configuration-applied");

  test("is in force, on its way, late, or refused with the reason", () => {
    expect(state({})).toMatchObject({ value: 0, reason: "version 3 is in force" });
    const waiting = { applied: 2, desiredAt: minutesAgo(5) };
    expect(state(waiting)).toMatchObject({ value: 0, reason: "version 3 is on its way" });
    expect(state({ applied: 2 })).toMatchObject({ value: 1, status: "warning" });
    const refusal = { version: 3, message: "vpn.groups: too many" };
    expect(state({ applied: 2, refusal })).toMatchObject({
      value: 2,
      status: "unhealthy",
      reason: "version 3 was refused: vpn.groups: too many",
    });
  });

  test("that was refused before counts no more once a newer one is in force", () => {
    expect(state({ refusal: { version: 2, message: "no" } })?.value).toBe(0);
  });

  test("that there is none of is not judged", () => {
    expect(state({ desired: 0 })).toBeUndefined();
  });

  test("of the server's own file is compared, and only shown", () => {
    expect(facts({ "vpn-network": "10.8.0.0/16", "listen-port": "443" })?.value).toBe(0);
    expect(facts({ "vpn-ipv6-network": "FD00:0008:0::/48" })?.value).toBe(0);
    expect(
      facts({
        "vpn-network": "10.9.0.0/16",
        "vpn-ipv6-network": "fd00:9::/48",
        "listen-port": "8443",
      }),
    ).toMatchObject({
      value: 1,
      status: "warning",
      reason:
        "the site's configuration and the server's own file differ: network 10.8.0.0/16, server 10.9.0.0/16; " +
        "ipv6Network fd00:8::/48, server fd00:9::/48; listenPort 443, server 8443",
    });
  });

  test("is not compared where the site or the server says nothing", () => {
    const site = { network: null, ipv6Network: null, listenPort: 443 };
    const health = { ...snapshot, facts: { "vpn-network": "anything" } };
    expect(detail({ ...good, site, health }, "configuration-applied")?.value).toBe(0);
    const alone = { ...good, site: undefined, health };
    expect(detail(alone, "configuration-applied")?.value).toBe(0);
    expect(facts({ "vpn-network": "no network/at all" })?.value).toBe(1);
  });
});

test.each(Object.entries(TUNNEL_METRICS))("the defaults of %s are in order", (_name, metric) => {
  expect(isThresholdInOrder(metric, metric)).toBe(true);
  expect(judgeMetric(metric, metric, metric.healthy)).toBe("healthy");
  const worse = metric.isGood === "low" ? metric.unhealthy + 1 : metric.unhealthy - 1;
  expect(judgeMetric(metric, metric, worse)).toBe("unhealthy");
});
