import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { endChild, LAB } from "../vpn-lab/namespaces.ts";
import { payloadHash } from "../vpn-lab/payload.ts";
import { ready, Scene } from "../vpn-lab/scene.ts";
import { download } from "../vpn-lab/traffic.ts";

/** Somebody on the path who repeats and changes datagrams: DTLS comes up all the same, and nothing is taken twice. */

const PROGRAM = fileURLToPath(new URL("../vpn-lab/repeating-proxy-process.ts", import.meta.url));
/** Another address of the client's machine, where the one on the path listens. */
const PROXY = "10.99.1.3";
const PINGS = 100;
const BYTES = 5_000_000;

let scene: Scene | undefined;
const resources = new AsyncDisposableStack();

beforeAll(async () => {
  scene = await Scene.make("vpnrpl");
  if (!scene) return;
  resources.use(scene);
  const { lab } = scene;
  await lab.ip("client", `addr add ${PROXY}/24 dev outside`);
  const words = [process.execPath, PROGRAM, PROXY, LAB.gateway.ipv4, "443"];
  const child = lab.start("client", words);
  resources.defer(() => endChild(child));
  await once(child.stdout ?? child, "data");
});

afterAll(async () => {
  await resources.disposeAsync();
});

const WAYS = [
  { way: "PSK", words: [] },
  { way: "resumption", words: ["--dtls12-ciphers", "AES256-GCM-SHA384"] },
] as const;

test.for(WAYS)(
  "datagrams that come again, or changed, are dropped and counted ($way)",
  async (one, context) => {
    const place = ready(scene, context, "ping");
    const before = await dropped(place);
    await using client = await place.connect({ address: PROXY, words: one.words });
    await client.until("Established DTLS connection");
    const ping = ["ping", "-c", `${PINGS}`, "-i", "0.01", LAB.internal.ipv4];
    const printed = await place.lab.run("client", ping);
    expect(printed).toContain(`${PINGS} received`);
    expect(printed).not.toMatch(/DUP|duplicates/);
    expect(await download(place.lab, BYTES)).toBe(payloadHash(BYTES));
    const after = await dropped(place);
    // Every datagram came again twice; those of the last moments once.
    expect(after.replayed - before.replayed).toBeGreaterThan(PINGS);
    expect(after.forged - before.forged).toBeGreaterThan(PINGS);
    expect(client.output().split("Established DTLS connection").length - 1).toBe(1);
    expect(client.output()).not.toContain("reconnect");
    const session = (await place.sessions()).find(({ state }) => state === "connected");
    expect(session?.dtls).toBeDefined();
  },
);

async function dropped(place: Scene): Promise<{ replayed: number; forged: number }> {
  const metrics = [...(await place.metrics())];
  const of = (reason: string) =>
    metrics.find(([key]) => key.includes(`_dropped_total{reason="${reason}"`))?.[1] ?? 0;
  return { replayed: of("replayed"), forged: of("forged") };
}
