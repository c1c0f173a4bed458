import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { hashPassword } from "@isthmus/tunnel-gateway/directory/password-hash";
import { afterAll, beforeAll, describe, expect, type TestContext, test } from "vitest";
import { findTool } from "../tools.ts";
import { loggedBy } from "../vpn-lab/gateway.ts";
import { startHaproxy } from "../vpn-lab/haproxy.ts";
import { LAB } from "../vpn-lab/namespaces.ts";
import { type ConnectOptions, ready, Scene, until } from "../vpn-lab/scene.ts";
import { pings } from "../vpn-lab/traffic.ts";

/** Debian's haproxy before the gateway, which believes what two of its addresses say of who comes, and no others. */

const USER = "alice@example.com";
const PASSWORD = "correct horse";
const BAN_AT_FAILURES = 3;
const { ipv4, ipv6 } = LAB.gateway;
const WAYS = {
  v1: { name: "v1", address: "10.99.1.3", gateway: ipv4, header: "send-proxy" },
  v2: { name: "v2", address: "10.99.1.4", gateway: ipv4, header: "send-proxy-v2" },
  v1OfIpv6: { name: "v1-ipv6", address: "fd99:1::3", gateway: ipv6, header: "send-proxy" },
  v2OfIpv6: { name: "v2-ipv6", address: "fd99:1::4", gateway: ipv6, header: "send-proxy-v2" },
  silent: { name: "silent", address: "10.99.1.5", gateway: ipv4, header: undefined },
  foreignV1: { name: "foreign-v1", address: "10.99.1.6", gateway: ipv4, header: "send-proxy" },
  foreignV2: { name: "foreign-v2", address: "10.99.1.7", gateway: ipv4, header: "send-proxy-v2" },
} as const;
const TRUSTED = ["10.99.1.3", "10.99.1.4/31", "fd99:1::3", "fd99:1::4"];
/** Another client behind the same balancer. */
const NEIGHBOUR = "10.99.1.20";

let scene: Scene | undefined;
const resources = new AsyncDisposableStack();

beforeAll(async () => {
  scene = await Scene.make("vpnlb", {}, async (_lab, folder) => {
    const file = join(folder, "users.json");
    const passwordHash = await hashPassword(PASSWORD, Buffer.alloc(16, 5));
    const users = [{ userName: USER, passwordHash, groups: [] }];
    writeFileSync(file, JSON.stringify({ users }), { mode: 0o600 });
    const routesInclude = [LAB.internal.network, LAB.internal.ipv6Network];
    const groups = [
      { name: "devices", authentication: [["certificate"]], routesInclude },
      { name: "users", authentication: [["users"]], requireDevice: false, routesInclude },
    ];
    const bans = { failurePoints: 10, banAtPoints: BAN_AT_FAILURES * 10 - 1 };
    return {
      vpn: { proxyProtocolFrom: TRUSTED, authenticators: { users: { type: "users", file } } },
      desired: { vpn: { groups, bans } },
    };
  });
  if (!scene || !findTool("haproxy")) return;
  resources.use(scene);
  await scene.lab.ip("client", `addr add ${NEIGHBOUR}/24 dev outside`);
  const folder = join(scene.folder, "haproxy");
  resources.use(await startHaproxy(scene.lab, folder, Object.values(WAYS)));
});

afterAll(async () => {
  await resources.disposeAsync();
});

function here(context: TestContext): Scene {
  return ready(scene, context, "haproxy", "ping");
}

function through(way: keyof typeof WAYS, more: ConnectOptions = {}): ConnectOptions {
  const { words = [] } = more;
  return { path: "devices", ...more, address: WAYS[way].address, words: ["--no-dtls", ...words] };
}

const lines = (place: Scene, event: string) => loggedBy(place.gateway, event);

async function ended(place: Scene, options: ConnectOptions): Promise<string> {
  await using client = place.start(options);
  await until("openconnect gives up", () => client.process.exitCode !== null, client.output);
  expect(client.output()).not.toContain("is up");
  return client.output();
}

describe("a client through a balancer that is trusted", () => {
  test.for([
    ["v1", LAB.client.ipv4],
    ["v2", LAB.client.ipv4],
    ["v1OfIpv6", LAB.client.ipv6],
    ["v2OfIpv6", LAB.client.ipv6],
  ] as const)(
    "has its own address in the list of sessions and in the log (%s)",
    async ([way, remoteAddress], context) => {
      const place = here(context);
      const before = lines(place, "vpn.connected").length;
      await using client = await place.connect(through(way));
      expect(await pings(place.lab)).toBe(true);
      const open = (await place.sessions()).filter(({ state }) => state === "connected");
      expect(open).toMatchObject([{ remoteAddress }]);
      const { sessionId } = { ...open[0] };
      expect(lines(place, "vpn.connected").slice(before)).toMatchObject([
        { sessionId, remoteAddress },
      ]);
      await client.disconnect();
    },
  );

  test("is banned for what it guesses, and neither its balancer nor its neighbour is", async (context) => {
    const place = here(context);
    const words = ["--user", "nobody@example.com", "--passwd-on-stdin"];
    const guess = { path: "users", words, input: "guessed\n", device: "none" } as const;
    for (let count = 0; count < BAN_AT_FAILURES; count += 1)
      await ended(place, through("v2", guess));
    const { bans } = (await place.gateway.command("bans", "list")) as { bans: { kind: string }[] };
    const addresses = bans.filter(({ kind }) => kind === "address");
    expect(addresses).toMatchObject([{ key: LAB.client.ipv4 }]);
    expect(lines(place, "vpn.login-refused").at(-1)).toMatchObject({
      remoteAddress: LAB.client.ipv4,
    });
    // Whom nobody asks a password of is banned.
    expect(await asksFor(place, "v2", LAB.client.ipv4)).toBe(false);
    expect(await asksFor(place, "v1", LAB.client.ipv4)).toBe(false);
    expect(await asksFor(place, "v2", NEIGHBOUR)).toBe(true);
    await place.gateway.command("bans", "clear", LAB.client.ipv4);
    expect(await asksFor(place, "v2", LAB.client.ipv4)).toBe(true);
  });
});

describe("without trust, or without a header", () => {
  test.for(["foreignV1", "foreignV2"] as const)(
    "a header of nobody trusted is refused before any TLS (%s)",
    async (way, context) => {
      await expectRefused(here(context), way, "client-hello");
    },
  );

  test("a balancer that is trusted and says nothing is refused", async (context) => {
    await expectRefused(here(context), "silent", "proxy-header");
  });

  test("a client that comes itself needs no header", async (context) => {
    const place = here(context);
    await using client = await place.connect({ path: "devices" });
    const open = (await place.sessions()).filter(({ state }) => state === "connected");
    expect(open).toMatchObject([{ remoteAddress: LAB.client.ipv4 }]);
    await client.disconnect();
  });

  async function expectRefused(place: Scene, way: keyof typeof WAYS, reason: string) {
    const before = lines(place, "handshake.failed").length;
    await ended(place, through(way));
    const { address } = WAYS[way];
    const told = () => lines(place, "handshake.failed").slice(before);
    await until("the log has it", () => told().length > 0, place.gateway.output);
    for (const line of told()) expect(line).toMatchObject({ reason, address });
    expect((await place.sessions()).filter(({ state }) => state === "connected")).toEqual([]);
  }
});

/** Whether who comes from an address is asked for a password. */
async function asksFor(place: Scene, way: keyof typeof WAYS, from: string): Promise<boolean> {
  const to = `localhost:443:${WAYS[way].address}`;
  const body = `<config-auth client="vpn" type="init"><version who="vpn">v9.01</version><group-access>https://localhost/users</group-access></config-auth>`;
  const words = ["curl", "-sS", "--http1.1", "-m", "20", "--cacert", place.papers.serverCaFile];
  const where = ["--interface", from, "--resolve", to, "https://localhost/users"];
  const headers = ["-H", "X-Aggregate-Auth: 1", "-H", "X-Transcend-Version: 1"];
  const said = await place.lab.run("client", [...words, ...headers, ...where, "-d", body]);
  expect(said).toContain("config-auth");
  return said.includes('type="password"');
}
