import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { runCommandLine } from "@isthmus/shared/kernel/command";
import { serveControlSocket } from "@isthmus/shared/kernel/control-socket";
import { stateFolderAt } from "@isthmus/shared/kernel/state-folder";
import { describe, expect, test } from "vitest";
import { FakeEngine } from "../testing/fake-engine.ts";
import { type GatewayUnderTest, listOf, startGateway } from "../testing/gateway-under-test.ts";
import { deviceUri, issueTo, makeDeviceAuthority } from "../testing/test-certificates.ts";
import { openTestTunnel } from "../testing/vpn-tunnel.ts";
import { deviceGroup } from "../testing/vpn-under-test.ts";
import { gatewayCli } from "./cli.ts";

const authority = await makeDeviceAuthority();
const identity = await issueTo(authority, [deviceUri("d1")]);

interface Operator extends AsyncDisposable {
  readonly gateway: GatewayUnderTest;
  readonly engine: FakeEngine;
  /** Runs one command; what it printed on either stream. */
  run(...words: string[]): Promise<{ readonly exitCode: number; readonly printed: string }>;
}

async function start(local: Readonly<Record<string, unknown>> = {}): Promise<Operator> {
  const engine = new FakeEngine();
  const vpn = { network: "10.98.0.0/24", ipv6Network: "fd98::/112" };
  const gateway = await startGateway({ authority, engine, local: { vpn, ...local } });
  const state = stateFolderAt(join(gateway.folder, "state"));
  mkdirSync(join(gateway.folder, "state"), { recursive: true });
  const socket = await serveControlSocket(
    state.controlSocket,
    gateway.gateway.controls,
    gateway.kernel.log,
  );
  const line = { name: "tunnel-gateway", summary: "", version: "", commands: gatewayCli };
  return {
    gateway,
    engine,
    async run(...words) {
      const stdout = new PassThrough();
      const config = ["--config", join(gateway.folder, "gateway.json")];
      const exitCode = await runCommandLine(line, [...words, ...config], {
        stdout,
        stderr: stdout,
      });
      return { exitCode, printed: stdout.read()?.toString() ?? "" };
    },
    async [Symbol.asyncDispose]() {
      await socket[Symbol.asyncDispose]();
      await gateway[Symbol.asyncDispose]();
    },
  };
}

async function startWithSession(): Promise<Operator> {
  const operator = await start();
  const group = deviceGroup({ routesInclude: ["10.1.0.0/16"], dnsServers: ["10.1.0.53"] });
  await operator.gateway.configure({ vpn: { groups: [group] }, devices: listOf("d1") });
  await openTestTunnel(operator.engine, identity);
  return operator;
}

describe("the operator's commands", () => {
  test("show each session with user, device, addresses, transport and traffic", async () => {
    await using operator = await startWithSession();
    const [id = 0] = operator.engine.open.keys();
    const { printed } = await operator.run("vpn", "sessions");
    expect(printed).toMatch(
      /\td1\td1\tstaff\t10\.98\.0\.2,fd98::2\t.*\ttls TLSv1\.3 .*\n1 sessions/,
    );
    operator.engine.handler.sessionEvent({
      kind: "dtls-up",
      sessionId: id,
      cipher: "PSK-AES256-GCM-SHA384",
      remoteAddress: "192.0.2.9",
    });
    const other = await operator.run("vpn", "sessions", "--device", "d1");
    expect(other.printed).toContain("dtls PSK-AES256-GCM-SHA384");
    expect((await operator.run("vpn", "sessions", "--user", "nobody")).printed).toBe(
      "0 sessions\n",
    );
  });

  test("show all of one session by its id, and say which id there is not", async () => {
    await using operator = await startWithSession();
    const list = JSON.parse((await operator.run("vpn", "sessions", "--json")).printed);
    const [{ sessionId }] = list.sessions;
    const { printed } = await operator.run("vpn", "session", sessionId);
    expect(printed).toContain("address: 10.98.0.2\n");
    expect(printed).toContain("DTLS: offered, not used");
    const unknown = await operator.run("vpn", "session", "x");
    expect(unknown).toMatchObject({
      exitCode: 1,
      printed: expect.stringContaining("session x: see vpn sessions"),
    });
  });

  test("kick by session, user or device, and say how many it were", async () => {
    await using operator = await startWithSession();
    const typo = { exitCode: 1, printed: "no session of nobody: see vpn sessions\n" };
    expect(await operator.run("kick", "nobody")).toMatchObject(typo);
    const nodev = { exitCode: 1, printed: "no connection of nodev\n" };
    expect(await operator.run("cut", "nodev")).toMatchObject(nodev);
    const document = await operator.run("kick", "nobody", "--json");
    expect(document.exitCode).toBe(1);
    expect(JSON.parse(document.printed)).toEqual({ ended: 0 });
    expect((await operator.run("kick", "d1")).printed).toBe("1 sessions of d1 ended\n");
    expect(operator.engine.open.size).toBe(0);
  });

  test("count users, and the VPN's sessions beside the relay's connections", async () => {
    await using operator = await startWithSession();
    expect((await operator.run("vpn", "users")).printed).toContain("d1\t1 of 1 connected\td1");
    const both = await operator.run("sessions", "--json");
    expect(JSON.parse(both.printed)).toEqual({ total: 0, sessions: [], vpnSessions: 1 });
  });

  test("show groups, and what a group's clients are told", async () => {
    await using operator = await startWithSession();
    expect((await operator.run("vpn", "groups")).printed).toContain(
      "staff\tcertificate\tdevice required\t1 sessions",
    );
    const { printed } = await operator.run("vpn", "routes");
    expect(printed).toContain("through the tunnel: 10.1.0.0/16\n");
    expect(printed).toContain("name servers: 10.1.0.53\n");
    expect((await operator.run("vpn", "routes", "none")).printed).toContain(
      "no group none: see vpn groups",
    );
  });

  test("show where the VPN listens, its tunnels and what was dropped", async () => {
    await using operator = await startWithSession();
    const { printed } = await operator.run("vpn", "status");
    expect(printed).toContain("data path: carries packets\n");
    expect(printed).toContain("isthmus0: 10.98.0.1/25, fd98::1/113; 1 of 125\n");
    operator.engine.handler.failed("tun: EIO");
    expect((await operator.run("vpn", "status")).printed).toContain("stopped: tun: EIO");
  });

  test("show pools with their addresses, whom they stand for and how full they are", async () => {
    const pool = { name: "staff", networks: ["10.98.0.32/29"], sourceAddress: "10.1.0.9" };
    const vpn = { network: "10.98.0.0/24", ipv6Network: "fd98::/112", pools: [pool] };
    await using operator = await start({ vpn });
    const groups = [deviceGroup({ pool: "staff" })];
    await operator.gateway.configure({ vpn: { groups }, devices: listOf("d1") });
    await openTestTunnel(operator.engine, identity);
    const status = await operator.run("vpn", "status");
    expect(status.printed).toContain(
      "pool staff: 10.98.0.32/29, fd98::20/125 as 10.1.0.9; 1 of 8\n",
    );
    expect((await operator.run("vpn", "groups")).printed).toContain("1 sessions\tpool staff");
    const list = JSON.parse((await operator.run("vpn", "sessions", "--json")).printed);
    expect(list.sessions).toMatchObject([{ pool: "staff", address: "10.98.0.32" }]);
    const { printed } = await operator.run("vpn", "session", list.sessions[0].sessionId);
    expect(printed).toContain("pool: staff\n");
  });

  test("forgive one address, and everybody only when asked to", async () => {
    await using operator = await startWithSession();
    expect((await operator.run("bans", "list")).printed).toBe("0 banned, 0 on the way to it\n");
    const printed = "nothing to forgive 192.0.2.1: see bans list\n";
    expect(await operator.run("bans", "clear", "192.0.2.1")).toMatchObject({
      exitCode: 1,
      printed,
    });
    expect(await operator.run("bans", "clear", "--all")).toMatchObject({ exitCode: 0 });
    expect((await operator.run("bans", "clear")).exitCode).toBe(2);
    expect((await operator.run("bans", "clear", "--all")).exitCode).toBe(0);
  });

  test("say that a gateway without a VPN has none", async () => {
    await using operator = await start({ vpn: undefined });
    const { exitCode, printed } = await operator.run("vpn", "sessions");
    expect(exitCode).toBe(1);
    expect(printed).toContain("add `vpn` to its local configuration");
    expect(printed).toContain("[vpn-not-served]");
  });
});
