import { afterAll, beforeAll, describe, expect, type TestContext, test } from "vitest";
import { getsDatagram, mtuToClients, startDatagramServer } from "../vpn-lab/datagrams.ts";
import { type NarrowPath, narrowPath, type PathWidth, WIDE } from "../vpn-lab/narrow-path.ts";
import type { OpenconnectClient } from "../vpn-lab/openconnect.ts";
import { payloadHash } from "../vpn-lab/payload.ts";
import { startDownload } from "../vpn-lab/running-transfer.ts";
import { type ConnectOptions, ready, Scene, until } from "../vpn-lab/scene.ts";

/**
 * A path that drops what is too large without a word. Stock openconnect finds out by DPD requests of many sizes, and the gateway by
 * hearing them.
 */

const NEGOTIATED = 1_434;
const NARROW = 1_280;
/** Less IP, UDP, record and type: docs/tunnel-gateway, the table in protocol/mtu.ts. */
const OVERHEAD = 66;
const FOUND = NARROW - OVERHEAD;
/** IP and TCP. */
const HEADERS = 40;
const NARROW_FOR_IPV6 = 1_400;
const BYTES = 3_000_000;
const BYTES_PER_SECOND = 1_000_000;
const STARTED_BYTES = 500_000;
const ESTABLISHED = "Established DTLS connection";

const BOTH_WAYS: PathWidth = { up: NARROW, down: NARROW };
/** Also where the client's own ICMP works: its system cuts requests up then, and they come. */
const DOWN_ALONE: PathWidth = { up: WIDE.up, down: NARROW };

let scene: Scene | undefined;
let path: NarrowPath | undefined;
const resources = new AsyncDisposableStack();

beforeAll(async () => {
  scene = await Scene.make("vpnmtu");
  if (!scene) return;
  resources.use(scene);
  resources.use(await startDatagramServer(scene.lab));
  path = resources.use(await narrowPath(scene.lab, WIDE));
});

afterAll(async () => {
  await resources.disposeAsync();
});

/** Such a path, with nothing known of earlier ones, and a client that has searched it. */
async function connect(
  context: TestContext,
  width: PathWidth,
  options: ConnectOptions = {},
): Promise<{ readonly place: Scene; readonly client: OpenconnectClient }> {
  const place = ready(scene, context, "nft");
  await path?.widen(width);
  await forget(place);
  const client = await place.connect(options);
  await client.until(ESTABLISHED);
  return { place, client };
}

/** The internal host would remember for ten minutes what it was told of an address. */
async function forget({ lab }: Scene): Promise<void> {
  await lab.ip("internal", "route flush cache");
  await lab.ip("internal", "-6 route flush cache");
}

/** What the client found: on a machine with other work less than there is, as it waits 50 ms for each answer. */
function foundBy(client: OpenconnectClient): number {
  const [, found, before] = /Detected MTU of (\d+) bytes \(was (\d+)\)/.exec(client.output()) ?? [];
  expect(Number(before)).toBe(NEGOTIATED);
  return Number(found);
}

/** What the gateway told senders inside: no less than its client found, no more than goes through. */
async function expectTold({ lab }: Scene, found: number, most: number, family: 4 | 6 = 4) {
  const told = await mtuToClients(lab, family);
  expect(told).toBeGreaterThanOrEqual(found);
  expect(told).toBeLessThanOrEqual(most);
}

/** Of the one connection of the internal host's page, as its system sends it. */
async function segmentSize({ lab }: Scene): Promise<number> {
  const words = ["ss", "-Htin", "state", "established", "sport = :8000"];
  return Number(/ mss:(\d+)/.exec(await lab.run("internal", words))?.[1]);
}

describe.each([
  { way: "both ways", width: BOTH_WAYS },
  { way: "on the way to the client alone", width: DOWN_ALONE },
])("a client whose path is narrow $way, and tells nobody", ({ width }) => {
  const words = ["--disable-ipv6"];

  test("gets datagrams of every size from inside, whose sender is told the MTU that the client found", async (context) => {
    const { place, client } = await connect(context, width, { words });
    await using _ = client;
    expect(await path?.silenced()).toBeGreaterThan(0);
    for (const bytes of [1_200, FOUND, FOUND + 1, 1_300, 1_400, NEGOTIATED])
      expect({ bytes, came: await getsDatagram(place.lab, bytes) }).toEqual({ bytes, came: true });
    await expectTold(place, foundBy(client), FOUND);
  });

  test("downloads by TCP in segments that fit, though its system believes in the MTU that was negotiated", async (context) => {
    const { place, client } = await connect(context, width, { words });
    await using _ = client;
    await place.lab.ip("client", `link set dev ${client.device} mtu ${NEGOTIATED}`);
    await using transfer = startDownload(place.lab, BYTES, BYTES_PER_SECOND);
    await until("it runs", () => transfer.received() > STARTED_BYTES, client.output);
    expect(await segmentSize(place)).toBeLessThanOrEqual(FOUND - HEADERS);
    transfer.hurry();
    expect(await transfer.hash).toBe(payloadHash(BYTES));
  });
});

test("IPv6 inside knows of a narrow path too", async (context) => {
  const width = { up: NARROW_FOR_IPV6, down: NARROW_FOR_IPV6 };
  const { place, client } = await connect(context, width);
  await using _ = client;
  const most = NARROW_FOR_IPV6 - OVERHEAD;
  for (const family of [4, 6] as const) {
    for (const bytes of [1_280, most, most + 1, NEGOTIATED]) {
      const came = await getsDatagram(place.lab, bytes, family);
      expect({ family, bytes, came }).toEqual({ family, bytes, came: true });
    }
    await expectTold(place, foundBy(client), most, family);
  }
});

test("a client that comes back by a path which takes all has the MTU that was negotiated", async (context) => {
  const { place, client } = await connect(context, BOTH_WAYS, { words: ["--disable-ipv6"] });
  await using _ = client;
  expect(await getsDatagram(place.lab, NEGOTIATED)).toBe(true);
  await expectTold(place, foundBy(client), FOUND);

  await path?.widen(WIDE);
  await forget(place);
  const times = () => client.output().split(ESTABLISHED).length;
  const before = times();
  client.process.kill("SIGUSR2");
  await until("DTLS is up again", () => times() > before, client.output);
  expect(await getsDatagram(place.lab, NEGOTIATED)).toBe(true);
  expect(await mtuToClients(place.lab)).toBeUndefined();
});
