import { afterAll, beforeAll, describe, expect, type TestContext, test } from "vitest";
import { dropped, EVERYTHING, passed, watchTunnels } from "../vpn-lab/fate.ts";
import { LAB } from "../vpn-lab/namespaces.ts";
import { pingPacket, pongPacket, resetPacket, synPacket, udpPacket } from "../vpn-lab/packets.ts";
import { type ClientDoor, openClientDoor } from "../vpn-lab/doors.ts";
import { FRAME, frame, RawClient } from "../vpn-lab/raw-client.ts";
import { ready, Scene, until } from "../vpn-lab/scene.ts";
import { pings } from "../vpn-lab/traffic.ts";

/** A client made by hand that sends what no client should: nothing comes of it, it is counted, and others go on undisturbed. */

const CONTROL_NETWORK = "10.99.2.64/26";
const HEALTH_PORT = 9_100;
/** Of the native flow table. */
const FLOWS_PER_SESSION = 4_096;
const FLOWS = 10_000;
const DENIALS_TOLD_PER_SECOND = 5;

let scene: Scene | undefined;
let door: ClientDoor | undefined;

beforeAll(async () => {
  scene = await Scene.make("vpnsaf", {
    devices: 2,
    desired: EVERYTHING,
    local: { controlNetwork: [CONTROL_NETWORK] },
  });
  if (!scene) return;
  door = await openClientDoor(scene.lab, scene.folder, 443);
  await watchTunnels(scene);
});

afterAll(async () => {
  await door?.[Symbol.asyncDispose]();
  await scene?.[Symbol.asyncDispose]();
});

function here(context: TestContext): Scene {
  return ready(scene, context, "nft", "ping");
}

function attack(place: Scene): Promise<RawClient> {
  const [device] = place.papers.devices;
  if (!device || !door) throw new Error("no way in");
  return RawClient.open(door, device, place.papers.serverCaFile);
}

/** A well-behaved client of another device. */
function neighbour(place: Scene, words: readonly string[] = []) {
  const [, device] = place.papers.devices;
  return place.connect({ ...(device ? { device } : {}), words });
}

/** Of packets on their way down: what the internal host answers to clients that have gone. */
const OF_ANSWERS = ["no-session", "unsolicited"];

/** What became of packets that `act` sent: how many came out, and what was dropped. */
async function fateOf(place: Scene, client: RawClient, act: () => void) {
  const [passedBefore, droppedBefore] = [await passed(place), await dropped(place)];
  act();
  await client.settled();
  const now = await dropped(place);
  const changed = Object.entries(now).flatMap(([reason, count]) => {
    const more = count - (droppedBefore[reason] ?? 0);
    return more === 0 || OF_ANSWERS.includes(reason) ? [] : [[reason, more] as const];
  });
  return {
    passed: (await passed(place)) - passedBefore,
    dropped: Object.fromEntries(changed),
  };
}

describe("packets of a client", () => {
  test("pass where they are its own and may", async (context) => {
    const place = here(context);
    using client = await attack(place);
    const ends = { source: client.address, destination: LAB.internal.ipv4 };
    const ends6 = { source: client.ipv6Address, destination: LAB.internal.ipv6 };
    const fate = await fateOf(place, client, () => {
      for (const one of [ends, ends6]) {
        client.send(udpPacket(one, 8_000));
        client.send(synPacket(one, 8_000));
        client.send(pingPacket(one));
      }
    });
    expect(fate).toEqual({ passed: 6, dropped: {} });
  });

  test("go nowhere with a source that is not the client's", async (context) => {
    const place = here(context);
    using client = await attack(place);
    const next = client.address.replace(/\d+$/, (last) => `${Number(last) + 1}`);
    const sources = [
      next,
      "10.98.0.1",
      LAB.internal.ipv4,
      LAB.gateway.ipv4,
      "127.0.0.1",
      "0.0.0.0",
    ];
    const sources6 = [`${client.ipv6Address}1`, "fd98::1", LAB.internal.ipv6, "::1"];
    const fate = await fateOf(place, client, () => {
      for (const source of sources)
        client.send(udpPacket({ source, destination: LAB.internal.ipv4 }, 8_000));
      for (const source of sources6)
        client.send(pingPacket({ source, destination: LAB.internal.ipv6 }));
    });
    expect(fate).toEqual({ passed: 0, dropped: { spoofed: sources.length + sources6.length } });
  });

  test("leave under the gateway's address, or not at all where the kernel knows nothing to translate them by", async (context) => {
    const place = here(context);
    const rules = ["ip saddr 10.98.0.0/16", "ip6 saddr fd98::/112"];
    const nft = (...words: string[]) => place.lab.run("internal", ["nft", ...words]);
    const chain = "add chain inet untranslated came { type filter hook prerouting priority -300; }";
    const counters = rules.map((rule) => `add rule inet untranslated came ${rule} counter`);
    await nft(["add table inet untranslated", chain, ...counters].join("; "));
    using client = await attack(place);
    const ends = { source: client.address, destination: LAB.internal.ipv4 };
    const ends6 = { source: client.ipv6Address, destination: LAB.internal.ipv6 };
    const fate = await fateOf(place, client, () => {
      for (const one of [ends, ends6]) {
        client.send(resetPacket(one, 8_001));
        client.send(pongPacket(one, 99));
      }
    });
    expect(fate).toEqual({ passed: 4, dropped: {} });
    const counted = (await nft("list", "table", "inet", "untranslated")).matchAll(/packets (\d+)/g);
    expect([...counted].map(([, packets]) => packets)).toEqual(["0", "0"]);
  });

  const FORBIDDEN = [
    ["the metadata service", "169.254.169.254"],
    ["the metadata service of another cloud", "100.100.100.200"],
    ["link-local addresses", "169.254.1.1"],
    ["the gateway's loopback", "127.0.0.1"],
    ["the gateway's outer address", LAB.gateway.ipv4],
    ["the gateway's inner address", LAB.gateway.insideIpv4],
    ["the gateway's address in the tunnel", "10.98.0.1"],
    ["the control network", "10.99.2.65"],
    ["the broadcast address inside", "10.99.2.255"],
    ["everybody", "255.255.255.255"],
    ["a multicast group", "224.0.0.1"],
    ["the unspecified address", "0.0.0.0"],
    ["the gateway's loopback over IPv6", "::1"],
    ["the gateway's outer address over IPv6", LAB.gateway.ipv6],
    ["the gateway's inner address over IPv6", LAB.gateway.insideIpv6],
    ["the gateway's address in the tunnel over IPv6", "fd98::1"],
    ["link-local addresses over IPv6", "fe80::1"],
    ["a multicast group over IPv6", "ff02::1"],
    ["the metadata service over IPv6", "fd00:ec2::254"],
    ["the metadata service, mapped", "::ffff:a9fe:a9fe"],
    ["the metadata service, through NAT64", "64:ff9b::a9fe:a9fe"],
    ["the control network, through NAT64", "64:ff9b::a63:241"],
  ] as const;

  test.for(FORBIDDEN)(
    "never go to %s, whatever the policy allows",
    async ([, destination], context) => {
      const place = here(context);
      using client = await attack(place);
      const source = destination.includes(":") ? client.ipv6Address : client.address;
      const ends = { source, destination };
      const fate = await fateOf(place, client, () => {
        client.send(udpPacket(ends, 53));
        client.send(synPacket(ends, 443));
        client.send(synPacket(ends, HEALTH_PORT));
        client.send(pingPacket(ends));
      });
      expect(fate).toEqual({ passed: 0, dropped: { denied: 4 } });
    },
  );

  test("do not come to another client", async (context) => {
    const place = here(context);
    using client = await attack(place);
    await using other = await neighbour(place);
    const watch = "add chain inet watch in { type filter hook prerouting priority -300; }";
    const rules = [
      "meta l4proto { tcp, udp }",
      "icmp type echo-request",
      "icmpv6 type echo-request",
    ]
      .map((match) => `add rule inet watch in iifname "vpn0" ${match} counter`)
      .join("; ");
    await place.lab.run("client", ["nft", `add table inet watch; ${watch}; ${rules}`]);
    const sessions = await place.sessions();
    const { address = "", ipv6Address = "" } =
      sessions.find(({ deviceId }) => deviceId === place.papers.devices[1]?.deviceId) ?? {};
    const ends = { source: client.address, destination: address };
    const ends6 = { source: client.ipv6Address, destination: ipv6Address };
    for (const one of [ends, ends6])
      for (const packet of [udpPacket(one, 53), synPacket(one, 22), pingPacket(one)])
        client.send(packet);
    await client.settled();
    // What would come to it came before the answer to this.
    expect(await pings(place.lab)).toBe(true);
    const printed = await place.lab.run("client", ["nft", "list table inet watch"]);
    await place.lab.run("client", ["nft", "delete table inet watch"]);
    expect(printed.match(/packets \d+/g)).toEqual(["packets 0", "packets 0", "packets 0"]);
    expect(other.process.exitCode).toBeNull();
  });

  test("that are malformed are dropped, and the connection goes on", async (context) => {
    const place = here(context);
    using client = await attack(place);
    const good = udpPacket({ source: client.address, destination: LAB.internal.ipv4 }, 8_000);
    const changed = (at: number, ...bytes: number[]) => {
      const packet = Buffer.from(good);
      Buffer.from(bytes).copy(packet, at);
      return packet;
    };
    // It would write over the flags of the first (RFC 1858).
    const lateFragment = synPacket({ source: client.address, destination: LAB.internal.ipv4 }, 80);
    lateFragment.writeUInt16BE(1, 6);
    const packets = [
      Buffer.alloc(0),
      Buffer.from([0x45]),
      good.subarray(0, 19),
      good.subarray(0, good.length - 1),
      changed(0, 0x55),
      changed(0, 0x05),
      changed(0, 0x44),
      changed(0, 0x4f),
      changed(2, 0, 10),
      changed(2, 0xff, 0xff),
      lateFragment,
      Buffer.alloc(40, 0x60),
      Buffer.alloc(1_400, 0xff),
    ];
    const fate = await fateOf(place, client, () => {
      for (const packet of packets) client.send(packet);
    });
    expect(fate).toEqual({ passed: 0, dropped: { malformed: packets.length } });
    expect(await fateOf(place, client, () => client.send(good))).toMatchObject({ passed: 1 });
  });
});

describe("frames of a client", () => {
  test("may come together in a record, and in pieces", async (context) => {
    const place = here(context);
    using client = await attack(place);
    const packet = udpPacket({ source: client.address, destination: LAB.internal.ipv4 }, 8_000);
    const one = frame(FRAME.data, packet);
    const fate = await fateOf(place, client, () => client.raw(Buffer.concat([one, one, one])));
    expect(fate).toEqual({ passed: 3, dropped: {} });
    for (let at = 1; at < one.length; at += 3) {
      client.raw(one.subarray(0, at));
      // Each piece is a record of its own: Node joins what waits.
      await new Promise((resolve) => setImmediate(resolve));
      const rest = await fateOf(place, client, () => client.raw(one.subarray(at)));
      expect(rest, `cut at ${at}`).toEqual({ passed: 1, dropped: {} });
    }
  });

  test("that are compressed or of no known type are dropped", async (context) => {
    const place = here(context);
    using client = await attack(place);
    const packet = udpPacket({ source: client.address, destination: LAB.internal.ipv4 }, 8_000);
    const fate = await fateOf(place, client, () => {
      for (const type of [FRAME.compressed, 1, 2, 6, 10, 255]) client.raw(frame(type, packet));
    });
    expect(fate).toEqual({ passed: 0, dropped: { malformed: 6 } });
  });

  const BROKEN = [
    ["is longer than a record", frame(FRAME.data, Buffer.alloc(0), 16_377)],
    ["is as long as its field can say", frame(FRAME.data, Buffer.alloc(0), 65_535)],
    ["does not begin as one", Buffer.from("GET / HTTP/1.1\r\n\r\n")],
    ["has a last octet that is not zero", Buffer.from("5354460100000001", "hex")],
  ] as const;

  test.for(BROKEN)(
    "end its connection where one %s, and nobody else's",
    async ([, bytes], context) => {
      const place = here(context);
      await using other = await neighbour(place);
      using client = await attack(place);
      client.raw(bytes);
      await client.ended();
      expect(await pings(place.lab)).toBe(true);
      expect(other.output()).not.toContain("reconnect");
    },
  );
});

describe("a client with thousands of flows", () => {
  test("has as many as a session may, and others are not disturbed", async (context) => {
    const place = here(context);
    await using other = await neighbour(place);
    using client = await attack(place);
    const ends = { source: client.address, destination: LAB.internal.ipv4 };
    for (let port = 0; port < FLOWS; port += 1) {
      client.send(udpPacket(ends, 1 + (port % 50_000), 10_000 + (port >> 4)));
      if (port % 500 === 0) await client.settled();
    }
    await client.settled();
    for (const family of [4, 6] as const) expect(await pings(place.lab, family)).toBe(true);
    await until("the flows are counted", async () => (await flows(place)) >= FLOWS_PER_SESSION);
    // The neighbour's pings are flows too.
    expect(await flows(place)).toBeLessThanOrEqual(FLOWS_PER_SESSION + 10);
    expect(other.output()).not.toContain("reconnect");
    expect(client.isOpen).toBe(true);
  });

  test("that no rule allows takes no place for them, and fills no log", async (context) => {
    const place = here(context);
    using client = await attack(place);
    const logged = () => place.gateway.output().split('"vpn.denied"').length - 1;
    const before = { flows: await flows(place), logged: logged(), at: performance.now() };
    const ends = { source: client.address, destination: "10.99.2.66" };
    const fate = await fateOf(place, client, () => {
      for (let port = 0; port < FLOWS; port += 1) client.send(synPacket(ends, 1 + port, 10_000));
    });
    const seconds = Math.ceil((performance.now() - before.at) / 1_000) + 1;
    expect(fate).toEqual({ passed: 0, dropped: { denied: FLOWS } });
    expect(await flows(place)).toBeLessThanOrEqual(before.flows);
    expect(logged() - before.logged).toBeLessThanOrEqual(DENIALS_TOLD_PER_SECOND * seconds);
  });
});

async function flows(place: Scene): Promise<number> {
  const found = [...(await place.metrics())].find(([key]) => /_vpn_flows\{/.test(key));
  return found?.[1] ?? 0;
}
