import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, type TestContext, test } from "vitest";
import { LAB } from "../vpn-lab/namespaces.ts";
import type { OpenconnectClient } from "../vpn-lab/openconnect.ts";
import { payloadHash } from "../vpn-lab/payload.ts";
import { startDownload } from "../vpn-lab/running-transfer.ts";
import { ready, Scene, until } from "../vpn-lab/scene.ts";
import { download, pings } from "../vpn-lab/traffic.ts";

/** A stock openconnect whose connection, network or gateway goes away in mid-session: it comes back to what it had. */

const BYTES = 30_000_000;
const BYTES_PER_SECOND = 2_000_000;
const STARTED_BYTES = 500_000;
const REKEY_SECONDS = 10;
const ESTABLISHED = "Established DTLS connection";
const WAYS = [
  { way: "TLS alone", words: ["--force-dpd", "2", "--no-dtls"] },
  { way: "DTLS", words: ["--force-dpd", "2"] },
] as const;

let scene: Scene | undefined;

beforeAll(async () => {
  const group = (name: string, timeouts: object) => ({
    name,
    authentication: [["certificate"]],
    routesInclude: [LAB.internal.network, LAB.internal.ipv6Network],
    timeouts: { dpdSeconds: 5, ...timeouts },
  });
  const groups = [group("staff", {}), group("keys", { rekeySeconds: REKEY_SECONDS })];
  scene = await Scene.make("vpnrec", { groups });
});

afterAll(async () => {
  await scene?.[Symbol.asyncDispose]();
});

const times = (client: OpenconnectClient, text: string) => client.output().split(text).length - 1;

/** Waits for the client's DTLS where it has one. */
async function settled(client: OpenconnectClient, way: string): Promise<void> {
  if (way === "DTLS") await client.until(ESTABLISHED);
}

/** Breaks something under a running transfer, and expects the same session at the same address, and every byte. */
async function survives(
  place: Scene,
  client: OpenconnectClient,
  way: string,
  act: () => Promise<void>,
): Promise<void> {
  await settled(client, way);
  const [before] = await place.sessions();
  const established = times(client, ESTABLISHED);
  const reconnects = times(client, "script: reconnect");
  await using transfer = startDownload(place.lab, BYTES, BYTES_PER_SECOND);
  await until("the transfer runs", () => transfer.received() > STARTED_BYTES, client.output);
  await act();
  const isBack = () => times(client, "script: reconnect") > reconnects;
  await until("the client is back", isBack, client.output);
  transfer.hurry();
  expect(await transfer.hash).toBe(payloadHash(BYTES));
  const [after, ...others] = await place.sessions();
  const { sessionId, address, ipv6Address } = before ?? {};
  expect(after).toMatchObject({ sessionId, address, ipv6Address, state: "connected" });
  expect(others).toEqual([]);
  if (way !== "DTLS") return;
  await until("DTLS is up again", () => times(client, ESTABLISHED) > established, client.output);
}

/** Secrets of connections, as GnuTLS writes them down: of TLS 1.3, and of DTLS 1.2. */
interface Keys {
  readonly tls: readonly string[];
  readonly dtls: readonly string[];
}

function keysIn(file: string): Keys {
  const lines = readFileSync(file, "utf8").split("\n");
  const of = (label: string) =>
    lines.filter((line) => line.startsWith(`${label} `)).map((line) => line.split(" ")[2] ?? "");
  return { tls: of("CLIENT_TRAFFIC_SECRET_0"), dtls: of("CLIENT_RANDOM") };
}

function here(context: TestContext): Scene {
  return ready(scene, context, "nft", "ping");
}

describe.each(WAYS)("a client over $way", ({ way, words }) => {
  test("comes back to its session when its TCP connection is broken", async (context) => {
    const place = here(context);
    await using client = await place.connect({ words });
    await survives(place, client, way, async () => {
      await place.lab.run("gateway", ["ss", "-K", "state", "established", "sport", "=", ":443"]);
    });
  });

  test("comes back to its session from another address, as a phone that leaves the house", async (context) => {
    const place = here(context);
    await using client = await place.connect({ words });
    const change = async (from: string, to: string) => {
      await place.lab.ip("client", `addr del ${from}/24 dev outside`);
      await place.lab.ip("client", `addr add ${to}/24 dev outside`);
    };
    const other = "10.99.1.77";
    await survives(place, client, way, async () => {
      await change(LAB.client.ipv4, other);
    });
    expect((await place.sessions())[0]?.remoteAddress).toBe(other);
    await client.disconnect();
    await change(other, LAB.client.ipv4);
  });

  test("comes back by itself, with cookie and address, after the gateway was killed", async (context) => {
    const place = here(context);
    await using client = await place.connect({ words: [...words, "--reconnect-timeout", "60"] });
    await survives(place, client, way, () => place.killAndRestart());
  });

  test("comes back by itself, with cookie and address, after the gateway was restarted (SIGTERM)", async (context) => {
    const place = here(context);
    await using client = await place.connect({ words: [...words, "--reconnect-timeout", "60"] });
    await survives(place, client, way, () => place.restart());
  });

  test("makes a new tunnel with new keys by itself when it is time, without losing a byte", async (context) => {
    const place = here(context);
    const file = join(place.folder, `keys-${way}`);
    const environment = { SSLKEYLOGFILE: file };
    await using client = await place.connect({
      words: ["-v", ...words],
      path: "keys",
      environment,
    });
    expect(client.output()).toContain(`X-CSTP-Rekey-Time: ${REKEY_SECONDS}`);
    let before: Keys | undefined;
    await survives(place, client, way, async () => {
      before = keysIn(file);
    });
    const after = keysIn(file);
    expect(client.output()).toContain("CSTP rekey due");
    expect(after.tls.length).toBeGreaterThan(before?.tls.length ?? 0);
    expect(after.dtls.length - (before?.dtls.length ?? 0) > 0).toBe(way === "DTLS");
    for (const secrets of [after.tls, after.dtls])
      expect(new Set(secrets).size).toBe(secrets.length);
  });
});

describe("a client whose UDP dies in mid-session", () => {
  const GONE =
    "add table inet hotel; add chain inet hotel in { type filter hook prerouting priority -300; }";

  test("goes on over TLS, and uses DTLS again once UDP is back", async (context) => {
    const place = here(context);
    await using client = await place.connect();
    await client.until(ESTABLISHED);
    const [before] = await place.sessions();
    await using transfer = startDownload(place.lab, 110 * BYTES_PER_SECOND, BYTES_PER_SECOND);
    await until("the transfer runs", () => transfer.received() > STARTED_BYTES, client.output);
    const rule = (port: string) => `${GONE}; add rule inet hotel in udp ${port} 443 drop`;
    await place.lab.run("gateway", ["nft", rule("dport")]);
    await place.lab.run("client", ["nft", rule("sport")]);
    const received = transfer.received();
    const grows = () => transfer.received() > received + 2 * STARTED_BYTES;
    await until("packets come over TLS", grows, client.output);
    await client.until(/dead peer|DTLS handshake/i);
    expect(await pings(place.lab)).toBe(true);
    const established = times(client, ESTABLISHED);
    for (const machine of ["gateway", "client"] as const)
      await place.lab.run(machine, ["nft", "delete table inet hotel"]);
    await until("DTLS is back", () => times(client, ESTABLISHED) > established, client.output);
    expect(await pings(place.lab)).toBe(true);
    const isDtls = async () => (await place.sessions())[0]?.dtls !== undefined;
    await until("the gateway has DTLS", isDtls, place.gateway.output);
    const [after] = await place.sessions();
    expect(after?.sessionId).toBe(before?.sessionId);
  });
});

describe("a client whose DTLS comes from another address than its TLS", () => {
  /** Where its datagrams seem to come from, as behind the address translation of many providers. */
  async function comeFrom(place: Scene, address: string): Promise<void> {
    const chain = (name: string, hook: string) =>
      `add chain ip provider ${name} { type filter hook ${hook} priority 300; }`;
    const rules = [
      "add table ip provider; delete table ip provider; add table ip provider",
      chain("out", "postrouting"),
      chain("in", "prerouting"),
      `add rule ip provider out udp dport 443 ip saddr set ${address}`,
      `add rule ip provider in udp sport 443 ip daddr set ${LAB.client.ipv4}`,
    ];
    await place.lab.run("client", ["nft", rules.join("; ")]);
  }

  /** Whom the gateway has DTLS with. */
  async function peers(place: Scene): Promise<string> {
    return await place.lab.run("gateway", ["ss", "-Hun", "state", "established", "sport = :443"]);
  }

  test("has its packets over DTLS, and keeps its session where that address changes too", async (context) => {
    const place = here(context);
    const [first, second] = ["10.99.1.78", "10.99.1.79"] as const;
    for (const address of [first, second])
      await place.lab.ip("client", `addr add ${address}/24 dev outside`);
    await comeFrom(place, first);
    await using client = await place.connect({ words: ["--force-dpd", "2"] });
    await client.until(ESTABLISHED);
    const dtls = async () => (await place.sessions())[0]?.dtls;
    await until("the gateway has DTLS", async () => (await dtls()) !== undefined);
    const [before] = await place.sessions();
    expect(before?.remoteAddress).toBe(LAB.client.ipv4);
    expect(await peers(place)).toContain(first);
    expect(await download(place.lab, BYTES)).toBe(payloadHash(BYTES));

    const established = times(client, ESTABLISHED);
    await comeFrom(place, second);
    await until("DTLS is up again", () => times(client, ESTABLISHED) > established, client.output);
    await until("from there", async () => (await peers(place)).includes(second), client.output);
    expect(await pings(place.lab)).toBe(true);
    const [after] = await place.sessions();
    expect(after?.dtls).toBeDefined();
    expect(after?.sessionId).toBe(before?.sessionId);
    expect(client.output()).not.toContain("script: reconnect");
    await client.disconnect();
    await place.lab.run("client", ["nft", "delete table ip provider"]);
    for (const address of [first, second])
      await place.lab.ip("client", `addr del ${address}/24 dev outside`);
  });
});

describe("a client that leaves", () => {
  test("ends its session where its user said so", async (context) => {
    const place = here(context);
    await using client = await place.connect();
    const [before] = await place.sessions();
    expect(before?.state).toBe("connected");
    await client.disconnect();
    await until("it waits", async () => (await place.sessions())[0]?.state !== "connected");
    const isOver = async () => (await place.sessions()).length === 0;
    await until("the session is over", isOver, place.gateway.output);
    expect(place.gateway.output()).toContain('"end":"user"');
  });

  test("keeps its session where it leaves for a while (SIGHUP)", async (context) => {
    const place = here(context);
    const [cookie, fingerprint] = await authenticate(place);
    await using client = await withCookie(place, cookie, fingerprint);
    const [before] = await place.sessions();
    client.process.kill("SIGHUP");
    const isWaiting = async () => (await place.sessions())[0]?.state === "waiting";
    await until("the session waits", isWaiting, place.gateway.output);
    await using again = await withCookie(place, cookie, fingerprint);
    const [after] = await place.sessions();
    expect(after).toMatchObject({ sessionId: before?.sessionId, address: before?.address });
    expect(await pings(place.lab)).toBe(true);
    await again.disconnect();
  });

  test("may come back with its cookie right after its user's disconnect", async (context) => {
    const place = here(context);
    const [cookie, fingerprint] = await authenticate(place);
    await using first = await withCookie(place, cookie, fingerprint);
    const known = (await place.sessions()).find(({ state }) => state === "connected");
    await first.disconnect();
    await using second = await withCookie(place, cookie, fingerprint);
    const again = (await place.sessions()).find(({ state }) => state === "connected");
    expect(again).toMatchObject({ sessionId: known?.sessionId, address: known?.address });
    expect(await pings(place.lab)).toBe(true);
    await second.disconnect();
  });
});

/** Logs in without a tunnel: the cookie, and the fingerprint of the gateway's certificate. */
async function authenticate(place: Scene): Promise<readonly [string, string]> {
  const [device] = place.papers.devices;
  const printed = await place.lab.run("client", [
    "openconnect",
    "--authenticate",
    "--non-inter",
    ...["--cafile", place.papers.serverCaFile],
    ...["-c", device?.certificateFile ?? "", "-k", device?.keyFile ?? ""],
    ...place.urlWords(),
    "https://localhost/",
  ]);
  const value = (name: string) => new RegExp(`^${name}='(.*)'$`, "m").exec(printed)?.[1] ?? "";
  return [value("COOKIE"), value("FINGERPRINT")];
}

function withCookie(place: Scene, cookie: string, fingerprint: string) {
  const words = ["--cookie-on-stdin", "--servercert", fingerprint];
  return place.connect({ words, input: `${cookie}\n` });
}
