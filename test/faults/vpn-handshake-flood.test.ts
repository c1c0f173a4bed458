import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { LAB } from "../vpn-lab/namespaces.ts";
import { ready, Scene } from "../vpn-lab/scene.ts";

/** Strangers who begin handshakes by the hundred and go no further: whoever is connected does not notice. */

const PROGRAM = fileURLToPath(new URL("../vpn-lab/handshake-flood-process.ts", import.meta.url));
const PER_SECOND = 500;
const SECONDS = 10;
/** The product's bound: what a ping of an established session takes under the flood. */
const P99_MS = 20;
/** On a machine that takes longer than this without any flood, before or after, the bound may be missed for other reasons. */
const BLAMED_BELOW_MS = 5;
const PINGS_BEFORE = 300;
const PINGS = 900;
/** What else runs on a machine only adds to a time, so the best of so many floods is judged. */
const ROUNDS = 3;

let scene: Scene | undefined;

beforeAll(async () => {
  scene = await Scene.make("vpnfld");
});

afterAll(async () => {
  await scene?.[Symbol.asyncDispose]();
});

interface Pings {
  readonly lost: number;
  readonly p99Ms: number;
}

/** Pings the internal host every 10 ms. */
async function measure(place: Scene, count: number): Promise<Pings> {
  const words = ["ping", "-i", "0.01", "-c", `${count}`, LAB.internal.ipv4];
  const printed = await place.lab.run("client", words);
  const times = [...printed.matchAll(/time=([\d.]+) ms/g)].map(([, ms]) => Number(ms));
  times.sort((one, other) => one - other);
  return {
    lost: count - times.length,
    p99Ms: times[Math.floor(times.length * 0.99)] ?? Number.POSITIVE_INFINITY,
  };
}

const WAYS = [
  { way: "TLS", words: ["--no-dtls"] },
  { way: "DTLS", words: [] },
] as const;

test.for(WAYS)(
  "half-open handshakes of TLS and hellos of DTLS disturb no session over $way",
  async (one, context) => {
    const place = ready(scene, context, "ping");
    await using client = await place.connect({ words: one.words });
    if (one.way === "DTLS") await client.until("Established DTLS connection");
    const rounds: Round[] = [];
    while (rounds.length < ROUNDS && !rounds.some(({ during }) => during.p99Ms < P99_MS)) {
      rounds.push(await flooded(place));
    }
    expect(client.output()).not.toContain("reconnect");
    const page = ["curl", "-sSk", "--http1.1", "--fail", `https://${LAB.gateway.ipv4}/`];
    await expect(place.lab.run("client", page)).resolves.toContain("<");
    const figures = JSON.stringify(rounds);
    const isBusy = rounds.every(({ idle }) => idle.some(({ p99Ms }) => p99Ms >= BLAMED_BELOW_MS));
    const best = Math.min(...rounds.map(({ during }) => during.p99Ms));
    if (isBusy && best >= P99_MS) context.skip(`this machine is too busy: ${figures}`);
    expect(best, figures).toBeLessThan(P99_MS);
  },
);

interface Round {
  readonly idle: readonly [Pings, Pings];
  readonly during: Pings;
}

/** One flood, and pings before it, under it and after it. */
async function flooded(place: Scene): Promise<Round> {
  const before = await measure(place, PINGS_BEFORE);
  const metricsBefore = await place.metrics();
  const words = [LAB.gateway.ipv4, "443", `${PER_SECOND}`, `${SECONDS}`];
  const flood = place.lab.run("client", [process.execPath, PROGRAM, ...words]);
  const during = await measure(place, PINGS);
  const { sent } = JSON.parse(await flood) as { sent: number };
  const after = await measure(place, PINGS_BEFORE);
  expect(sent).toBeGreaterThanOrEqual(PER_SECOND * SECONDS - 1);
  expect(during.lost).toBe(0);
  const metrics = await place.metrics();
  const more = (name: string) =>
    sum(metrics, `tunnel_gateway_vpn_${name}`) - sum(metricsBefore, `tunnel_gateway_vpn_${name}`);
  // They came, and were turned away: nobody holds more places than one address may.
  expect(more('dtls_total{event="datagram"')).toBeGreaterThan(sent / 2);
  expect(more('front_connections_total{stage="turned-away"')).toBeGreaterThan(sent / 2);
  return { idle: [before, after], during };
}

function sum(metrics: ReadonlyMap<string, number>, start: string): number {
  return [...metrics].reduce((all, [key, value]) => (key.startsWith(start) ? all + value : all), 0);
}
