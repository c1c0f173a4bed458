import { createServer } from "node:http";
import { until } from "@isthmus/shared/testing/until";
import { describe, expect, test } from "vitest";
import { LATENCY_BOUNDS } from "../core/vpn/packet-latency.ts";
import { FakeEngine } from "../testing/fake-engine.ts";
import {
  type GatewayTestOptions,
  type GatewayUnderTest,
  listOf,
  startGateway,
} from "../testing/gateway-under-test.ts";
import { deviceUri, issueTo, makeDeviceAuthority } from "../testing/test-certificates.ts";
import { openTestTunnel } from "../testing/vpn-tunnel.ts";
import { deviceGroup } from "../testing/vpn-under-test.ts";

const authority = await makeDeviceAuthority();
const ids = ["d1", "d2", "d3"];
const identities = await Promise.all(ids.map((id) => issueTo(authority, [deviceUri(id)])));

interface Started extends AsyncDisposable {
  readonly engine: FakeEngine;
  readonly gateway: GatewayUnderTest;
  check(name: string): Promise<{ readonly status: string; readonly reason: string }>;
}

async function start(options: GatewayTestOptions = {}): Promise<Started> {
  const engine = new FakeEngine();
  const local = { vpn: { network: "10.98.0.0/28", tunnels: { count: 1 } }, ...options.local };
  const gateway = await startGateway({ authority, engine, ...options, local });
  return {
    engine,
    gateway,
    async check(name) {
      const found = gateway.kernel.checks.find((check) => check.name === name);
      if (!found) throw new Error(`no check ${name}`);
      return found.run();
    },
    [Symbol.asyncDispose]: () => gateway[Symbol.asyncDispose](),
  };
}

/** A site on loopback that counts who asks. */
async function startSite() {
  let asked = 0;
  const server = createServer((_, response) => {
    asked += 1;
    response.writeHead(503).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const at = server.address();
  return {
    port: typeof at === "object" && at ? at.port : 0,
    asked: () => asked,
    [Symbol.dispose]: () => void server.close(),
  };
}

describe("the gateway's health", () => {
  test("reports the figures and facts by which the control plane judges a tunnel server", async () => {
    await using all = await start();
    const { figures, facts } = all.gateway.kernel;
    const read = (name: string) => figures.get(name)?.() ?? Number.NaN;
    expect(read("connections-percent")).toBe(0);
    for (const name of ["cpu-percent", "memory-percent"]) {
      expect(read(name), name).toBeGreaterThanOrEqual(0);
      expect(read(name), name).toBeLessThanOrEqual(100);
    }
    expect(read("cpu-cores")).toBeGreaterThanOrEqual(1);
    expect(read("disk-free-megabytes")).toBeGreaterThan(0);
    expect(read("tls-certificate-days")).toBeGreaterThan(0);
    expect(read("internal-network-probe")).toBeNaN();
    expect(facts.get("vpn-network")?.()).toBe("10.98.0.0/28");
    expect(facts.get("vpn-ipv6-network")?.()).toBeUndefined();
    expect(facts.get("listen-port")?.()).toBe("8443");
  });

  test("counts addresses in use as capacity in use, and says when few are left", async () => {
    await using all = await start();
    await all.gateway.configure({ vpn: { groups: [deviceGroup()] }, devices: listOf(...ids) });
    for (const identity of identities) await openTestTunnel(all.engine, identity);
    const percent = all.gateway.kernel.figures.get("connections-percent")?.() ?? 0;
    expect(percent).toBe(Math.ceil((100 * 3) / 13));
    expect(await all.check("vpn-addresses")).toMatchObject({ status: "healthy" });
  });

  test("warns of a pool that is full, while there are other addresses", async () => {
    const pools = [{ name: "staff", networks: ["10.98.0.8/31"] }];
    const vpn = { network: "10.98.0.0/28", tunnels: { count: 1 }, pools };
    await using all = await start({ local: { vpn } });
    const groups = [deviceGroup({ pool: "staff" })];
    await all.gateway.configure({ vpn: { groups }, devices: listOf(...ids) });
    for (const identity of identities.slice(0, 2)) await openTestTunnel(all.engine, identity);
    expect(all.gateway.kernel.figures.get("connections-percent")?.()).toBe(100);
    expect(await all.check("vpn-addresses")).toMatchObject({
      status: "warning",
      reason: "2 of 13 addresses are in use; of pool staff 2 of 2",
    });
  });

  test("asks the internal network's probe when it is configured, and takes any answer for one", async () => {
    await using all = await start();
    using site = await startSite();
    const internalNetworkProbeUrl = `http://target.test:${site.port}/`;
    await all.gateway.configure({ vpn: { internalNetworkProbeUrl }, devices: listOf() });
    const figure = all.gateway.kernel.figures.get("internal-network-probe");
    await until(() => figure?.() === 0);
    expect(site.asked()).toBe(1);
    expect(await all.check("internal-network-probe")).toMatchObject({ status: "healthy" });
  });

  test.each([
    ["the default-deny list", "http://metadata.test/latest", {}],
    ["the guardrails' bound", "http://target.test:1/", { destinations: [] }],
  ])("does not let the cloud's probe beyond %s", async (_, internalNetworkProbeUrl, guardrails) => {
    await using all = await start({ guardrails });
    await all.gateway.configure({ vpn: { internalNetworkProbeUrl }, devices: listOf() });
    const figure = all.gateway.kernel.figures.get("internal-network-probe");
    await until(() => figure?.() === 1);
    const { status, reason } = await all.check("internal-network-probe");
    expect(status).toBe("warning");
    expect(reason).toContain("the gateway may not connect");
  });

  test("says that UDP is blocked once several clients have had the time for DTLS in vain", async () => {
    await using all = await start();
    await all.gateway.configure({ vpn: { groups: [deviceGroup()] }, devices: listOf(...ids) });
    for (const identity of identities) await openTestTunnel(all.engine, identity);
    expect(await all.check("vpn-udp")).toMatchObject({ status: "healthy" });
    all.gateway.kernel.clock.advance(61_000);
    expect(await all.check("vpn-udp")).toMatchObject({
      status: "warning",
      reason: expect.stringContaining("no datagram has ever come"),
    });
    const [sessionId = 0] = all.engine.open.keys();
    const up = { cipher: "PSK-AES256-GCM-SHA384", remoteAddress: "192.0.2.1" };
    all.engine.handler.sessionEvent({ kind: "dtls-up", sessionId, ...up });
    expect(await all.check("vpn-udp")).toMatchObject({ reason: "1 of 3 clients use DTLS" });
  });

  test.each([
    [9_999, "healthy", undefined],
    [10_000, "warning", expect.stringContaining("vpn.tunnels.count")],
  ])("judges packets that are inside for %d µs on average %s", async (each, status, remedy) => {
    await using all = await start();
    const figure = all.gateway.kernel.figures.get("latency-microseconds");
    expect(figure?.()).toBeNaN();
    expect(await all.check("latency-microseconds")).toEqual({
      status: "healthy",
      reason: "too few packets in five minutes to judge",
    });
    const packets = [...LATENCY_BOUNDS.map((bound) => (bound === 16_384 ? 200 : 0)), 0];
    const measured = { tunnel: 0, direction: "up", packets, microseconds: 200 * each } as const;
    all.engine.measured = [measured];
    expect(figure?.()).toBe(each);
    const reason = `packets of isthmus0 are inside for ${each} µs on average over five minutes, 99 % under 16384 µs`;
    const told = { status, reason };
    expect(await all.check("latency-microseconds")).toEqual(
      remedy === undefined ? told : { ...told, remedy },
    );
  });

  test("says which tunnel is gone", async () => {
    await using all = await start({
      local: { vpn: { network: "10.98.0.0/28", tunnels: { name: "nosuch", count: 1 } } },
    });
    expect(await all.check("vpn-tunnels")).toMatchObject({
      status: "unhealthy",
      reason: "nosuch0 is gone",
      remedy: expect.stringContaining("host-setup"),
    });
  });
});
