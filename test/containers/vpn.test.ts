import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "@isthmus/shared/testing/until";
import { afterAll, expect, test } from "vitest";
import { missing, peer } from "../peers.ts";
import { isEngineRunning } from "../setup/container-engine.ts";
import {
  clientWords,
  fetchPage,
  startVpnContainers,
  type VpnContainers,
} from "./vpn-containers.ts";

const TIMEOUT_MS = 300_000;
const WITHIN_MS = 30_000;
const DEVICE = "isthmusvpntest";

let running: VpnContainers | undefined;
let client: ChildProcess | undefined;
afterAll(async () => {
  await disconnect();
  running?.[Symbol.dispose]();
}, TIMEOUT_MS);

test("openconnect goes through a gateway in a container that has no capability, no root and a read-only root folder", {
  timeout: TIMEOUT_MS,
}, async (context) => {
  const openconnect = peer("openconnect", context);
  if (!isEngineRunning()) missing("a container engine", context);
  if (process.getuid?.() !== 0 || !existsSync("/dev/net/tun")) missing("root with TUN", context);
  running = await startVpnContainers();
  const { siteAddress } = running;

  const status = running.inspect("cat", "/proc/1/status");
  expect(status).toMatch(/CapEff:\s+0{16}/);
  expect(status).toMatch(/Uid:\s+1000/);
  expect(running.command("vpn", "sessions")).toMatchObject({ total: 0 });
  expect(running.command("readiness")).toMatchObject({
    isReady: true,
    checks: expect.arrayContaining([
      expect.objectContaining({ name: "data-path", status: "healthy" }),
      expect.objectContaining({ name: "tunnel-isthmus0", reason: "a running gateway has it" }),
    ]),
  });

  const output = await connect(openconnect, running);
  await until(() => output().includes("Established DTLS"), "DTLS", WITHIN_MS);
  expect(fetchPage(siteAddress)).toContain("This page is inside the network.");
  expect(running.command("vpn", "sessions")).toMatchObject({
    sessions: [{ deviceId: "laptop-1", transport: "dtls", address: "10.97.0.2" }],
  });

  expect(running.command("kick", "laptop-1")).toEqual({ ended: 1 });
  const [exitCode] = client?.exitCode === null ? await once(client, "exit") : [client?.exitCode];
  expect(exitCode).not.toBe(0);
});

/** Starts the client on this machine; only the way to the site changes. */
async function connect(openconnect: string, containers: VpnContainers): Promise<() => string> {
  const script = join(containers.folder, "client-script.sh");
  const route = `ip route replace ${containers.siteAddress}/32 dev "$TUNDEV"`;
  const up = `ip link set "$TUNDEV" up mtu "$INTERNAL_IP4_MTU" && ip address add "$INTERNAL_IP4_ADDRESS/32" dev "$TUNDEV"`;
  writeFileSync(
    script,
    `#!/bin/sh\n[ "$reason" = connect ] || exit 0\n${up} && ${route} && echo up\n`,
  );
  chmodSync(script, 0o755);
  const words = ["--non-inter", "--interface", DEVICE, "--script", script];
  const child = spawn(openconnect, [...words, ...clientWords(containers)]);
  client = child;
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  }
  await until(
    () => {
      if (child.exitCode !== null) throw new Error(`openconnect ended:\n${output}`);
      return /^up$/m.test(output);
    },
    "the client's tunnel",
    WITHIN_MS,
  );
  return () => output;
}

async function disconnect(): Promise<void> {
  if (!client || client.exitCode !== null || client.signalCode !== null) return;
  client.kill("SIGINT");
  await once(client, "exit");
}
