import { afterAll, beforeAll, expect, type TestContext, test } from "vitest";
import { dropped, EVERYTHING, passed, watchTunnels } from "../vpn-lab/fate.ts";
import { LAB } from "../vpn-lab/namespaces.ts";
import type { OpenconnectClient } from "../vpn-lab/openconnect.ts";
import { ready, Scene, until } from "../vpn-lab/scene.ts";
import { pings } from "../vpn-lab/traffic.ts";

/** The machine of a stock client sends into its tunnel what it should not, and openconnect brings it over DTLS. */

const CONTROL_NETWORK = "10.99.2.64/26";
const PORT = 9_999;

let scene: Scene | undefined;

beforeAll(async () => {
  scene = await Scene.make("vpnspf", {
    desired: EVERYTHING,
    local: { controlNetwork: [CONTROL_NETWORK] },
  });
  if (scene) await watchTunnels(scene);
});

afterAll(async () => {
  await scene?.[Symbol.asyncDispose]();
});

function here(context: TestContext): Scene {
  return ready(scene, context, "nft", "ping");
}

async function overDtls(place: Scene): Promise<OpenconnectClient> {
  const client = await place.connect();
  const hasDtls = async () =>
    (await place.sessions()).some(({ transport }) => transport === "dtls");
  await until("DTLS is up", hasDtls, client.output);
  // A client's kernel has things of its own to say on a new device.
  await place.lab.run("client", ["sysctl", "-qw", "net.ipv6.conf.vpn0.router_solicitations=0"]);
  expect(await pings(place.lab)).toBe(true);
  return client;
}

/** One datagram from the client's machine; bash opens it. */
async function send({ lab }: Scene, destination: string): Promise<void> {
  await lab.run("client", ["bash", "-c", `echo hello > /dev/udp/${destination}/${PORT}`]);
}

/** What became of packets: how many came out, and how many were dropped for a reason, once all were judged. */
async function fateOf(place: Scene, reason: string, count: number, act: () => Promise<void>) {
  const before = { passed: await passed(place), dropped: (await dropped(place))[reason] ?? 0 };
  await act();
  const judged = async () => (await dropped(place))[reason] === before.dropped + count;
  await until(`${count} are ${reason}`, judged, () => place.gateway.output());
  return (await passed(place)) - before.passed;
}

test("a source that is not the client's goes nowhere over DTLS", async (context) => {
  const place = here(context);
  await using client = await overDtls(place);
  const [, address = "", ipv6Address = ""] = /is up: (\S+) (\S+)/.exec(client.output()) ?? [];
  const next = address.replace(/\d+$/, (last) => `${Number(last) + 1}`);
  const ownNetwork = "10.98.0.1";
  const sources = [next, ownNetwork, LAB.internal.ipv4, LAB.gateway.ipv4, "127.0.0.1", "0.0.0.0"];
  const sources6 = [`${ipv6Address.replace(/\/.*/, "")}1`, "fd98::1", LAB.internal.ipv6, "::1"];
  const all = [
    ...sources.map((source) => ["ip", source, LAB.internal.ipv4] as const),
    ...sources6.map((source) => ["ip6", source, LAB.internal.ipv6] as const),
  ];
  const came = await fateOf(place, "spoofed", all.length, async () => {
    for (const [family, source, destination] of all) {
      await rewriteSource(place, `${family} saddr set ${source}`);
      await send(place, destination);
    }
  });
  expect(came).toBe(0);
  await place.lab.run("client", ["nft", "delete table inet spoof"]);
  expect(await pings(place.lab)).toBe(true);
  expect(client.output()).not.toContain("script: reconnect");
  const [session] = await place.sessions();
  expect(session?.transport).toBe("dtls");
  await client.disconnect();
});

test("nothing goes over DTLS to where no client may, whatever the policy allows", async (context) => {
  const place = here(context);
  await using client = await overDtls(place);
  const forbidden = [
    "169.254.169.254",
    "100.100.100.200",
    "10.99.2.65",
    LAB.gateway.insideIpv4,
    "10.98.0.1",
    "fd00:ec2::254",
    LAB.gateway.insideIpv6,
    "64:ff9b::a9fe:a9fe",
  ];
  for (const address of forbidden)
    await place.lab.ip("client", `route replace ${address} dev vpn0`);
  const came = await fateOf(place, "denied", forbidden.length, async () => {
    for (const address of forbidden) await send(place, address);
  });
  expect(came).toBe(0);
  expect(await pings(place.lab)).toBe(true);
  await client.disconnect();
});

/** What leaves through the tunnel has another source from now on; the ports tell them from the pings. */
async function rewriteSource({ lab }: Scene, statement: string): Promise<void> {
  const script = [
    "add table inet spoof; delete table inet spoof; add table inet spoof",
    "add chain inet spoof out { type filter hook postrouting priority 300; }",
    `add rule inet spoof out oifname "vpn0" udp dport ${PORT} ${statement}`,
  ];
  await lab.run("client", ["nft", script.join("; ")]);
}
