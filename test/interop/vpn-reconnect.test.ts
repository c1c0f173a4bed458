import { afterAll, beforeAll, describe, expect, type TestContext, test } from "vitest";
import { LAB } from "../vpn-lab/namespaces.ts";
import type { OpenconnectClient } from "../vpn-lab/openconnect.ts";
import { payloadHash } from "../vpn-lab/payload.ts";
import { startDownload } from "../vpn-lab/running-transfer.ts";
import { ready, Scene, until } from "../vpn-lab/scene.ts";
import { pings } from "../vpn-lab/traffic.ts";

/** A stock openconnect whose connection, network or gateway goes away in mid-session: it comes back to what it had. */

const BYTES = 30_000_000;
const BYTES_PER_SECOND = 2_000_000;
const STARTED_BYTES = 500_000;
const ESTABLISHED = "Established DTLS connection";
const WAYS = [
  { way: "TLS alone", words: ["--force-dpd", "2", "--no-dtls"] },
  { way: "DTLS", words: ["--force-dpd", "2"] },
] as const;

let scene: Scene | undefined;

beforeAll(async () => {
  scene = await Scene.make("vpnrec", { group: { timeouts: { dpdSeconds: 5 } } });
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

  test("makes a new tunnel with new keys when it is time, without losing a byte", async (context) => {
    const place = here(context);
    await using client = await place.connect({ words });
    // What openconnect does at X-CSTP-Rekey-Time; the least that may be configured is ten minutes.
    await survives(place, client, way, async () => {
      client.process.kill("SIGUSR2");
    });
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
