import { createHash } from "node:crypto";
import { createServer, type Socket } from "node:net";
import type { CommandHandler } from "@isthmus/shared/kernel/service-definition";
import { commandContext } from "@isthmus/shared/testing/command-context";
import { describe, expect, test } from "vitest";
import { FakeEngine } from "../testing/fake-engine.ts";
import {
  connectThrough,
  type DesiredInput,
  echo,
  type GatewayTestOptions,
  type GatewayUnderTest,
  listOf,
  openPort,
  startGateway,
  startTarget,
} from "../testing/gateway-under-test.ts";
import { deviceUri, issueTo, makeDeviceAuthority } from "../testing/test-certificates.ts";
import { openconnectInit } from "../testing/vpn-requests.ts";
import { askEngine, openTestTunnel } from "../testing/vpn-tunnel.ts";
import { deviceGroup } from "../testing/vpn-under-test.ts";

const authority = await makeDeviceAuthority();
const identity = await issueTo(authority, [deviceUri("d1")]);
const vpn: DesiredInput["vpn"] = { groups: [deviceGroup()] };

interface VpnGatewayUnderTest extends AsyncDisposable {
  readonly gateway: GatewayUnderTest;
  readonly engine: FakeEngine;
}

async function start(options: GatewayTestOptions = {}): Promise<VpnGatewayUnderTest> {
  const engine = new FakeEngine();
  const local = { vpn: { network: "10.98.0.0/24", ...(options.local?.["vpn"] as object) } };
  const gateway = await startGateway({ authority, ...options, local, engine });
  return {
    gateway,
    engine,
    [Symbol.asyncDispose]: () => gateway[Symbol.asyncDispose](),
  };
}

const tunnel = ({ engine }: VpnGatewayUnderTest) => openTestTunnel(engine, identity);

describe("a gateway with a VPN", () => {
  test("serves login and tunnel on the engine's connections", async () => {
    await using all = await start();
    await all.gateway.configure({ vpn, devices: listOf("d1") });
    await tunnel(all);
    expect([...all.engine.open.values()]).toMatchObject([{ slot: 2, tunnel: 0 }]);
    const { controls } = all.gateway.gateway;
    expect(await controls["vpn-sessions"]?.({})).toMatchObject({
      total: 1,
      sessions: [{ deviceId: "d1", group: "staff", state: "connected", address: "10.98.0.2" }],
    });
    expect(await controls["vpn-status"]?.({})).toMatchObject({ sessions: 1, connected: 1 });
    const metrics = await all.gateway.kernel.metrics.metrics();
    expect(metrics).toContain('tunnel_gateway_vpn_logins_total{outcome="accepted"} 1');
    expect(metrics).toContain("tunnel_gateway_vpn_sessions 1");
  });

  test("ends the session of a device that is not compliant any more", async () => {
    await using all = await start();
    const { gateway } = all;
    await gateway.configure({ vpn });
    gateway.kernel.setLink({ connected: true });
    const run = async (version: number, compliance: "compliant" | "noncompliant") => {
      const device = { deviceId: "d1", groups: ["staff"], compliance, removed: false };
      const handler = gateway.gateway.commands["devices.update"] as CommandHandler<unknown>;
      const update = handler.payload.parse({ version, isSnapshot: true, devices: [device] });
      await handler.judge?.(update);
      return handler.run(update, commandContext({ id: "c" }));
    };
    await run(1, "compliant");
    await tunnel(all);
    expect(await run(2, "noncompliant")).toMatchObject({ cut: 1 });
    expect(all.engine.open.size).toBe(0);
    expect(all.engine.closed[0]?.reason).toContain("not compliant");
  });

  test("counts sessions against the guardrails' window of cuts, and refuses what would cut more", async () => {
    await using all = await start({ limits: { "session-cuts": { max: 0, perMinutes: 60 } } });
    await all.gateway.configure({ vpn, devices: listOf("d1") });
    await tunnel(all);
    const nothing = all.gateway.configure({ vpn: { groups: [] }, devices: listOf("d1") });
    await expect(nothing).rejects.toThrow("session-cuts");
    expect(all.engine.open.size).toBe(1);
  });

  test("kicks sessions by device on the operator's word, and keeps that in the audit", async () => {
    await using all = await start();
    await all.gateway.configure({ vpn, devices: listOf("d1") });
    await tunnel(all);
    const { controls } = all.gateway.gateway;
    expect(await controls["vpn-kick"]?.({ deviceId: "d1" })).toEqual({ ended: 1 });
    const page = await all.gateway.kernel.store.run("auditPage", 0);
    expect(page.at(-1)?.event).toBe("vpn.session-ended");
    expect(page.map(({ event }) => event)).toContain("vpn.session-opened");
  });

  test("hands the relay's connections to the relay", async () => {
    await using all = await start();
    await using target = await startTarget(echo);
    const policies = openPort(target.port);
    await all.gateway.configure({ policies, devices: listOf("d1") });
    const accepted: Socket[] = [];
    const port = createServer((socket) => {
      accepted.push(socket);
      const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
      const addresses = { remoteAddress: "127.0.0.1", localAddress: "127.0.0.1" };
      all.engine.handler.handed({ fd, remotePort: socket.remotePort ?? 0, ...addresses });
    });
    // The test's own socket must not read what the gateway is to read.
    (port as unknown as { pauseOnConnect: boolean }).pauseOnConnect = true;
    await new Promise<void>((resolve) => port.listen(0, "127.0.0.1", resolve));
    const bound = port.address() as { readonly port: number };
    const at = { port: bound.port, server: all.gateway.server };
    const answer = await connectThrough(at, `127.0.0.1:${target.port}`, { identity });
    expect(answer.status).toBe(200);
    answer.socket.destroy();
    port.close();
    expect(accepted).toHaveLength(1);
  });

  test("refuses a configuration whole that it cannot serve, and says by key why", async () => {
    await using all = await start({ local: { vpn: { authenticators: {} } } });
    await all.gateway.configure({ vpn, devices: listOf("d1") });
    await tunnel(all);
    const bad = deviceGroup({
      authentication: [["ldap"]],
      routesInclude: ["10.1.2.3/8"],
      dnsServers: ["2001:db8::53"],
    });
    const refused = all.gateway.configure({
      vpn: { groups: [bad, deviceGroup()] },
      devices: listOf("d1"),
    });
    await expect(refused).rejects.toMatchObject({
      faults: [
        "vpn.groups.0.authentication.0: no authenticator is called ldap",
        expect.stringContaining("requireDevice needs certificate"),
        expect.stringContaining("vpn.groups.0.routesInclude.0"),
        expect.stringContaining("vpn.groups.0.dnsServers"),
        "vpn.groups.1: two groups are called staff",
      ],
    });
    expect(all.engine.open.size).toBe(1);
  });

  test("says in its health what holds for the relay alone", async () => {
    await using all = await start();
    const check = all.gateway.kernel.checks.find(({ name }) => name === "vpn-groups");
    expect(await check?.run()).toMatchObject({ status: "warning" });
    await all.gateway.configure({ vpn, policies: openPort(443), devices: listOf("d1") });
    expect(await check?.run()).toMatchObject({ reason: expect.stringContaining("test/open") });
    const mistyped = { groups: [deviceGroup({ policyGroups: ["ghost"] })] };
    await all.gateway.configure({ vpn: mistyped, policies: [], devices: listOf("d1") });
    expect(await check?.run()).toMatchObject({
      status: "warning",
      reason: expect.stringContaining("no policy is for ghost"),
    });
    const data = all.gateway.kernel.checks.find(({ name }) => name === "vpn-data-path");
    expect(await data?.run()).toMatchObject({ status: "healthy" });
    all.engine.handler.failed("tun: EIO");
    expect(await data?.run()).toMatchObject({ status: "unhealthy" });
  });

  test("announces the profile with its hash at the login, and serves it", async () => {
    const profile = "<AnyConnectProfile/>";
    await using all = await start({
      local: { vpn: { profileFile: "contoso.xml" } },
      files: { "contoso.xml": profile },
    });
    await all.gateway.configure({ vpn, devices: listOf("d1") });
    const login = await askEngine(all.engine, identity, openconnectInit());
    const announced = createHash("sha1").update(profile).digest("hex").toUpperCase();
    expect(login).toContain(`&fu:profiles%2Fcontoso.xml&fh:${announced};`);
    const request = Buffer.from("GET /profiles/contoso.xml HTTP/1.1\r\nHost: vpn.example\r\n\r\n");
    const served = await askEngine(all.engine, identity, request);
    expect(served).toMatch(/^HTTP\/1\.1 200 /);
    expect(served.endsWith(profile)).toBe(true);
  });
});
