import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { LATENCY_BOUNDS } from "../core/vpn/packet-latency.ts";
import type { PacketLatency } from "../core/vpn-engine.ts";
import { FakeEngine } from "../testing/fake-engine.ts";
import { startGateway } from "../testing/gateway-under-test.ts";
import { SHOWN_COUNTERS } from "./engine-metrics.ts";
import { handshakeReason } from "./vpn-metrics.ts";

const ROOT = join(import.meta.dirname, "../../..");
const read = (file: string) => readFileSync(join(ROOT, file), "utf8");

/** Registered by the kernel, not by the gateway: see shared/src/kernel/health.ts. */
const OF_THE_KERNEL = ["isthmus_check_status", "isthmus_figure"];

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly datasource?: { readonly uid: string };
  readonly targets?: readonly { readonly expr: string }[];
}

interface Dashboard {
  readonly schemaVersion: number;
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly type: string }[];
  };
  readonly panels: readonly Panel[];
}

const dashboard = JSON.parse(read("deploy/grafana/tunnel-gateway.json")) as Dashboard;

async function metricsOf(
  counts: Readonly<Record<string, number>> = {},
  measured: readonly PacketLatency[] = [],
) {
  const engine = new FakeEngine();
  engine.counts = counts;
  engine.measured = measured;
  await using gateway = await startGateway({ engine, local: { vpn: { network: "10.98.0.0/24" } } });
  const { metrics } = gateway.kernel;
  return {
    names: (await metrics.getMetricsAsJSON()).map(({ name }) => name),
    text: await metrics.metrics(),
  };
}

test("the dashboard asks for metrics that the gateway registers, and for all of the VPN's", async () => {
  const { names } = await metricsOf();
  const known = new Set([...names, ...OF_THE_KERNEL]);
  const expressions = dashboard.panels.flatMap(({ targets = [] }) =>
    targets.map(({ expr }) => expr),
  );
  const asked = expressions.flatMap(
    (expr) => expr.match(/\b(?:tunnel_gateway|isthmus|process|nodejs)_[a-z0-9_]+/g) ?? [],
  );
  const bare = asked.map((name) => name.replace(/_(?:bucket|sum|count)$/, ""));
  expect(bare.filter((name) => !known.has(name))).toEqual([]);
  const shown = new Set(bare);
  const missing = names.filter((name) => name.startsWith("tunnel_gateway_") && !shown.has(name));
  expect(missing).toEqual([]);
});

// Schema 38 is that of Grafana 10.0.
test("the dashboard leaves the data source to who imports it, and numbers its panels", () => {
  expect(dashboard.schemaVersion).toBe(38);
  const source = dashboard.templating.list.find(({ type }) => type === "datasource");
  const sources = dashboard.panels.flatMap(({ datasource }) => datasource?.uid ?? []);
  expect(new Set(sources)).toEqual(new Set([`\${${source?.name}}`]));
  const ids = dashboard.panels.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
});

test("every counter of the data path is a metric", () => {
  const names = [...read("tunnel-gateway/native/src/addon-counters.c").matchAll(/\] = "(\w+)"/g)];
  const counters = names.map(([, name = ""]) => name);
  expect(counters.length).toBeGreaterThan(40);
  expect(counters.filter((name) => !SHOWN_COUNTERS.has(name))).toEqual([]);
  expect([...SHOWN_COUNTERS].filter((name) => !counters.includes(name))).toEqual([]);
});

test("operations.md of the gateway explains every metric", async () => {
  const { names } = await metricsOf();
  const text = read("docs/tunnel-gateway/operations.md");
  const own = names.filter((name) => name.startsWith("tunnel_gateway_"));
  expect(own.filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
});

test("counters of the data path appear as they are, by what they are about", async () => {
  const { text } = await metricsOf({ droppedDenied: 7, dtlsCompleted: 2, frontPending: 3 });
  expect(text).toContain('tunnel_gateway_vpn_packets_dropped_total{reason="denied"} 7');
  expect(text).toContain('tunnel_gateway_vpn_dtls_total{event="handshake-completed"} 2');
  expect(text).toContain("tunnel_gateway_vpn_front_pending 3");
  expect(text).toContain('tunnel_gateway_vpn_addresses{tunnel="isthmus0"} 125');
});

test("what the packet threads measured is one histogram of each direction, in seconds", async () => {
  const nothing = [...LATENCY_BOUNDS, Number.POSITIVE_INFINITY].map(() => 0);
  const up = { direction: "up", packets: nothing.with(2, 3), microseconds: 60 } as const;
  const late = nothing.with(2, 1).with(LATENCY_BOUNDS.length, 1);
  const { text } = await metricsOf({}, [
    { ...up, tunnel: 0 },
    { ...up, tunnel: 1 },
    { tunnel: 0, direction: "down", packets: late, microseconds: 100_020 },
  ]);
  const name = "tunnel_gateway_vpn_packet_latency_seconds";
  const lines = text.split("\n").filter((line) => line.includes(name));
  expect(lines).toContain(`# TYPE ${name} histogram`);
  expect(lines).toEqual(
    expect.arrayContaining([
      `${name}_bucket{le="0.000016",direction="up"} 0`,
      `${name}_bucket{le="0.000032",direction="up"} 6`,
      `${name}_bucket{le="+Inf",direction="up"} 6`,
      `${name}_sum{direction="up"} 0.00012`,
      `${name}_count{direction="up"} 6`,
      `${name}_bucket{le="0.065536",direction="down"} 1`,
      `${name}_bucket{le="+Inf",direction="down"} 2`,
      `${name}_sum{direction="down"} 0.10002`,
      `${name}_count{direction="down"} 2`,
    ]),
  );
});

test("the reason of a failed handshake is a label of a closed set, whatever OpenSSL adds", () => {
  expect(handshakeReason("handshake: no shared cipher")).toBe("handshake");
  expect(handshakeReason("dtls-timeout")).toBe("dtls-timeout");
  expect(handshakeReason("SSL_R_SOMETHING")).toBe("other");
});
