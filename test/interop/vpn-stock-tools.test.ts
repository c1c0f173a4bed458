import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, type TestContext, test } from "vitest";
import { missing, unfit } from "../peers.ts";
import { blockUdp } from "../vpn-lab/hotel.ts";
import { LAB } from "../vpn-lab/namespaces.ts";
import type { OpenconnectClient } from "../vpn-lab/openconnect.ts";
import { payloadHash } from "../vpn-lab/payload.ts";
import { ready, Scene, until } from "../vpn-lab/scene.ts";
import { download, pings, upload, writePayload } from "../vpn-lab/traffic.ts";

/** Debian's ocproxy and vpnc-script as they come, and payloads that are equal to the last byte over every way for packets. */

const VPNC_SCRIPT = "/usr/share/vpnc-scripts/vpnc-script";
/** Where vpnc-script would speak to a service of the machine in place of writing /etc/resolv.conf. */
const RESOLVERS = ["/usr/bin/resolvectl", "/sbin/resolvconf", "/sbin/netconfig"];
const SOCKS_PORT = 1_080;
const PAYLOAD_BYTES = 150_000_000;
const SMALL_BYTES = 5_000_000;
const CONFIGURED = "Configured as";
const BANNER = 'Welcome to the laboratory. Be "careful".';
const EXCEPT = {
  routesExclude: ["192.0.2.0/24", "2001:db8:5::/48"],
  splitDns: ["corp.example", "lab.example"],
};
const DNS = { server: LAB.internal.ipv4, domain: "lab.example" } as const;

let scene: Scene | undefined;

beforeAll(async () => {
  const group = (name: string, routesInclude: readonly string[]) => ({
    name,
    authentication: [["certificate"]],
    sessionsPerUser: 10,
    routesInclude,
    dnsServers: [DNS.server],
    defaultDomain: DNS.domain,
  });
  const inside = [LAB.internal.network, LAB.internal.ipv6Network];
  const except = { ...group("except", []), ...EXCEPT, banner: BANNER };
  const groups = [group("split", inside), group("full", []), except];
  scene = await Scene.make("vpntoo", { groups });
});

afterAll(async () => {
  await scene?.[Symbol.asyncDispose]();
});

describe("openconnect without a TUN device", () => {
  test("brings a SOCKS client to the internal network through ocproxy", async (context) => {
    const place = ready(scene, context, "ocproxy");
    const words = ["--script-tun"];
    const script = `ocproxy -D ${SOCKS_PORT}`;
    await using client = place.start({ words, script });
    await client.until(CONFIGURED);
    const isOpen = async () => (await place.lab.listeners("client", SOCKS_PORT)) > 0;
    await until("ocproxy listens", isOpen, client.output);
    const url = `http://${LAB.internal.ipv4}:8000/${SMALL_BYTES}`;
    const fetch = `curl -sS --fail --socks5 127.0.0.1:${SOCKS_PORT} ${url} | sha256sum`;
    const printed = await place.lab.run("client", ["bash", "-c", `set -o pipefail; ${fetch}`]);
    expect(printed.split(" ")[0]).toBe(payloadHash(SMALL_BYTES));
  });
});

describe("Debian's vpnc-script", () => {
  test("sets routes and name servers of a group with split routes, and takes them back", async (context) => {
    const place = ready(scene, context, "ping");
    needsVpncScript(context);
    using resolver = ownResolver(place);
    await using client = await withVpncScript(place, "split");
    const routes = await place.lab.ip("client", "route");
    expect(routes).toContain(`${LAB.internal.network} dev vpn0`);
    expect(routes).not.toContain("default");
    const routes6 = await place.lab.ip("client", "-6 route");
    expect(routes6).toContain(`${LAB.internal.ipv6Network} dev vpn0`);
    for (const family of [4, 6] as const)
      expect(await pings(place.lab, family), `IPv${family}`).toBe(true);
    expect(resolver.read()).toContain(`nameserver ${DNS.server}`);
    expect(resolver.read()).toContain(`search ${DNS.domain}`);
    await client.disconnect();
    expect(resolver.read()).toBe(resolver.before);
    expect(await place.lab.ip("client", "route")).not.toContain(LAB.internal.network);
  });

  test("sends everything through a tunnel without split routes, but the tunnel itself", async (context) => {
    const place = ready(scene, context, "ping");
    needsVpncScript(context);
    using _resolver = ownResolver(place);
    await using client = await withVpncScript(place, "full");
    const wayTo = (address: string) => place.lab.ip("client", `route get ${address}`);
    expect(await wayTo("192.0.2.77")).toContain("dev vpn0");
    expect(await wayTo("2001:db8::77")).toContain("dev vpn0");
    expect(await wayTo(LAB.gateway.ipv4)).toContain("dev outside");
    for (const family of [4, 6] as const)
      expect(await pings(place.lab, family), `IPv${family}`).toBe(true);
    await client.disconnect();
    expect(await place.lab.ip("client", "route")).not.toContain("default");
  });
});

describe("Debian's vpnc-script, told of all that a group may say,", () => {
  test("shows the banner, leaves out what is excluded, and hears of the names of split DNS", async (context) => {
    const place = ready(scene, context, "ping");
    needsVpncScript(context);
    using _resolver = ownResolver(place);
    await using _ways = await defaultRoutes(place);
    const told = join(place.folder, "told");
    await using client = await withVpncScript(place, "except", telling(place, told));
    expect(client.output()).toContain(`| ${BANNER}`);
    const variables = readFileSync(told, "utf8").split("\n");
    const given = (name: string) =>
      variables.find((line) => line.startsWith(`${name}=`))?.slice(name.length + 1);
    expect(given("CISCO_BANNER")).toBe(BANNER);
    // In which order is openconnect's affair.
    expect(given("CISCO_SPLIT_DNS")?.split(",").sort()).toEqual(EXCEPT.splitDns);
    expect([given("CISCO_SPLIT_INC"), given("CISCO_IPV6_SPLIT_INC")]).toEqual([
      undefined,
      undefined,
    ]);
    expect([given("CISCO_SPLIT_EXC"), given("CISCO_IPV6_SPLIT_EXC")]).toEqual(["1", "1"]);
    const excluded = [given("CISCO_SPLIT_EXC_0_ADDR"), given("CISCO_SPLIT_EXC_0_MASKLEN")];
    const excluded6 = [
      given("CISCO_IPV6_SPLIT_EXC_0_ADDR"),
      given("CISCO_IPV6_SPLIT_EXC_0_MASKLEN"),
    ];
    expect([excluded.join("/"), excluded6.join("/")]).toEqual(EXCEPT.routesExclude);
    const wayTo = (address: string) => place.lab.ip("client", `route get ${address}`);
    expect(await wayTo("192.0.2.77")).toContain("dev outside");
    expect(await wayTo("2001:db8:5::77")).toContain("dev outside");
    expect(await wayTo("192.0.3.77")).toContain("dev vpn0");
    expect(await wayTo("2001:db8:6::77")).toContain("dev vpn0");
    for (const family of [4, 6] as const)
      expect(await pings(place.lab, family), `IPv${family}`).toBe(true);
    await client.disconnect();
  });
});

describe("150 MB", () => {
  const ways = [
    { way: "TLS", words: ["--no-dtls"], mark: CONFIGURED },
    { way: "TLS where UDP is blocked", words: [], mark: "DTLS handshake failed" },
    { way: "DTLS by PSK", words: [], mark: "(DTLS1.2)-(PSK)" },
    {
      way: "DTLS by resumption",
      words: ["--dtls12-ciphers", "AES256-GCM-SHA384"],
      mark: "Established DTLS connection",
    },
  ] as const;

  test.for(ways)("are the same to the last byte, down and up, over $way", async (one, context) => {
    const place = ready(scene, context, "nft");
    const isBlocked = one.way === "TLS where UDP is blocked";
    await using _hotel = isBlocked ? await blockUdp(place.lab) : undefined;
    await using client = await place.connect({ words: one.words });
    await client.until(one.mark);
    if (one.way === "DTLS by resumption") expect(client.output()).not.toContain("(PSK)");
    const hash = payloadHash(PAYLOAD_BYTES);
    expect(await download(place.lab, PAYLOAD_BYTES)).toBe(hash);
    const file = writePayload(join(place.folder, "payload"), PAYLOAD_BYTES);
    expect(await upload(place.lab, file, 6)).toBe(hash);
    const [session] = (await place.sessions()).filter(({ state }) => state === "connected");
    expect(session?.dtls === undefined).toBe(one.way.startsWith("TLS"));
    expect(client.output()).not.toContain("script: reconnect");
  });
});

describe("the latency of packets", () => {
  const FIGURE = ["isthmus_figure", 'figure="latency-microseconds"'] as const;
  const STATUS = ["isthmus_check_status", 'check="latency-microseconds"'] as const;

  test("is known once openconnect carries some, and judged by its figure", async (context) => {
    const place = ready(scene, context);
    await place.restart();
    const first = await place.metrics();
    expect(latencyOf(first, "up")).toEqual({ timed: 0, carried: 0, seconds: 0 });
    expect(shown(first, ...STATUS)).toBe(1);
    expect(shown(first, ...FIGURE)).toBeUndefined();
    await using client = await place.connect();
    await client.until(CONFIGURED);
    expect(await download(place.lab, SMALL_BYTES)).toBe(payloadHash(SMALL_BYTES));
    let metrics = first;
    const isJudged = async () => {
      metrics = await place.metrics();
      const { timed, carried } = latencyOf(metrics, "up");
      const figure = shown(metrics, ...FIGURE) ?? Number.NaN;
      return timed === carried && shown(metrics, ...STATUS) === (figure < 10_000 ? 1 : 0.5);
    };
    await until("what came up is timed and judged", isJudged, client.output);
    expect(shown(metrics, ...FIGURE)).toBeGreaterThan(0);
    for (const direction of ["up", "down"] as const) {
      const { timed, carried, seconds } = latencyOf(metrics, direction);
      expect(timed, direction).toBeGreaterThan(100);
      expect(timed, direction).toBeLessThanOrEqual(carried);
      expect(seconds, direction).toBeGreaterThan(0);
    }
  });
});

/** A metric by its name and one of its labels. */
function shown(metrics: ReadonlyMap<string, number>, name: string, label: string) {
  return [...metrics].find(([key]) => key.startsWith(`${name}{`) && key.includes(label))?.[1];
}

/** Packets whose latency was measured, all that were carried, and the sum of what was measured. */
function latencyOf(metrics: ReadonlyMap<string, number>, direction: "up" | "down") {
  const read = (name: string) =>
    shown(metrics, `tunnel_gateway_vpn_${name}`, `direction="${direction}"`) ?? Number.NaN;
  return {
    timed: read("packet_latency_seconds_count"),
    carried: read("packets_total"),
    seconds: read("packet_latency_seconds_sum"),
  };
}

function needsVpncScript(context: TestContext): void {
  if (!existsSync(VPNC_SCRIPT)) missing("vpnc-script (Debian package vpnc-scripts)", context);
  const resolver = RESOLVERS.find((file) => existsSync(file));
  if (resolver !== undefined) unfit(`vpnc-script would change the machine's ${resolver}`, context);
}

async function withVpncScript(
  place: Scene,
  group: string,
  script = VPNC_SCRIPT,
): Promise<OpenconnectClient> {
  const client = place.start({ script, path: group });
  try {
    await client.until(CONFIGURED);
    // The name servers are the last that the script sets.
    const file = `/etc/netns/${place.lab.namespace("client")}/resolv.conf`;
    const isDone = () => readFileSync(file, "utf8").includes(DNS.server);
    await until("the script is done", isDone, client.output);
    return client;
  } catch (error) {
    await client[Symbol.asyncDispose]();
    throw error;
  }
}

/** Debian's script, which first writes to a file what it is told. */
function telling({ folder }: Scene, told: string): string {
  const file = join(folder, "telling.sh");
  const text = `#!/bin/sh\n[ "$reason" = connect ] && env > ${told}\nexec ${VPNC_SCRIPT}\n`;
  writeFileSync(file, text, { mode: 0o755 });
  return file;
}

/** Ways to everywhere past the tunnel, such as clients have at home. */
async function defaultRoutes({ lab }: Scene): Promise<AsyncDisposable> {
  const { ipv4, ipv6 } = LAB.gateway;
  await lab.ip("client", `route add default via ${ipv4}`);
  await lab.ip("client", `-6 route add default via ${ipv6}`);
  return {
    async [Symbol.asyncDispose]() {
      await lab.ip("client", `route del default via ${ipv4}`);
      await lab.ip("client", `-6 route del default via ${ipv6}`);
    },
  };
}

/** A resolv.conf for the client's namespace alone: `ip netns exec` puts it over the machine's own. */
function ownResolver(place: Scene): Disposable & { readonly before: string; read(): string } {
  const folder = `/etc/netns/${place.lab.namespace("client")}`;
  const file = join(folder, "resolv.conf");
  const before = "nameserver 192.0.2.53\n";
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, before);
  return {
    before,
    read: () => readFileSync(file, "utf8"),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}
