import { afterAll, beforeAll, describe, expect, type TestContext, test } from "vitest";
import { CUT_MS, cutAfter, openRelay } from "../vpn-lab/cuts.ts";
import { type ClientDoor, openClientDoor } from "../vpn-lab/doors.ts";
import { LAB } from "../vpn-lab/namespaces.ts";
import type { DevicePapers } from "../vpn-lab/papers.ts";
import { startDownload } from "../vpn-lab/running-transfer.ts";
import { ready, Scene, until } from "../vpn-lab/scene.ts";
import { download, pings } from "../vpn-lab/traffic.ts";

/** Devices, certificates and policies that change under established sessions: what may no longer be ends, and nothing else. */

const BYTES = 300_000_000;
const BYTES_PER_SECOND = 1_000_000;
const STARTED_BYTES = 200_000;
const REASON = "the disk is not encrypted";

let scene: Scene | undefined;
let door: ClientDoor | undefined;

beforeAll(async () => {
  scene = await Scene.make("vpnenf", { devices: 3 });
  if (scene) door = await openClientDoor(scene.lab, scene.folder, 443);
});

afterAll(async () => {
  await door?.[Symbol.asyncDispose]();
  await scene?.[Symbol.asyncDispose]();
});

function here(context: TestContext): Scene {
  return ready(scene, context, "ping");
}

function device(place: Scene, index: number): DevicePapers {
  const papers = place.papers.devices[index];
  if (!papers) throw new Error(`no device ${index}`);
  return papers;
}

function openDoor(): ClientDoor {
  if (!door) throw new Error("no way in");
  return door;
}

async function connected(place: Scene) {
  return (await place.sessions()).find(({ state }) => state === "connected");
}

describe("a device that loses its right", () => {
  test("by its compliance is off VPN and relay within 2 s, and its user is told why", async (context) => {
    const place = here(context);
    const [loser, other] = [device(place, 0), device(place, 1)];
    await using client = await place.connect({ device: loser });
    const relay = await openRelay(openDoor(), place, loser);
    const othersRelay = await openRelay(openDoor(), place, other);
    const cut = await cutAfter(client, relay, () => {
      const list = place.papers.devices.map(({ deviceId }) =>
        deviceId === loser.deviceId
          ? { deviceId, groups: [], compliance: "noncompliant", reason: REASON }
          : { deviceId, groups: [], compliance: "compliant" },
      );
      place.gateway.configure({
        deviceIds: [],
        desired: { devices: { source: "list", list } },
      });
    });
    expect(client.output()).toContain(REASON);
    expect(cut.vpnMs).toBeLessThan(CUT_MS);
    expect(cut.relayMs).toBeLessThan(CUT_MS);
    expect(othersRelay.destroyed).toBe(false);
    othersRelay.destroy();
    await until("openconnect gives up", () => client.process.exitCode !== null, client.output);
    await expect(place.connect({ device: loser })).rejects.toThrow(REASON);
    place.gateway.configure({ deviceIds: place.papers.devices.map(({ deviceId }) => deviceId) });
    const mayAgain = async () => {
      const again = place.connect({ device: loser }).catch(() => undefined);
      await using back = await again;
      return back !== undefined;
    };
    await until("the device may connect again", mayAgain, place.gateway.output);
  });

  test("by the revocation of its certificate is off VPN and relay within 2 s", async (context) => {
    const place = here(context);
    const [loser, other] = [device(place, 2), device(place, 1)];
    await using client = await place.connect({ device: loser });
    const relay = await openRelay(openDoor(), place, loser);
    const othersRelay = await openRelay(openDoor(), place, other);
    const cut = await cutAfter(client, relay, () => place.papers.revoke(loser));
    expect(client.output()).toContain("revoked");
    expect(cut.vpnMs).toBeLessThan(CUT_MS);
    expect(cut.relayMs).toBeLessThan(CUT_MS);
    expect(othersRelay.destroyed).toBe(false);
    othersRelay.destroy();
    await expect(place.connect({ device: loser })).rejects.toThrow("revoked");
  });
});

describe("a policy that loses a destination", () => {
  test("cuts the flows to it, and the session stays", async (context) => {
    const place = here(context);
    await using client = await place.connect({ device: device(place, 1) });
    const before = await connected(place);
    await using transfer = startDownload(place.lab, BYTES, BYTES_PER_SECOND);
    await until("the transfer runs", () => transfer.received() > STARTED_BYTES, client.output);
    const ping = {
      name: "inside",
      groups: ["*"],
      rules: [
        {
          name: "ping",
          action: "allow",
          protocol: "icmp",
          destinations: [{ cidr: LAB.internal.network }],
        },
      ],
    };
    const denied = async () =>
      [...(await place.metrics())].find(([key]) => key.includes('reason="denied"'))?.[1] ?? 0;
    const deniedBefore = await denied();
    place.gateway.configure({ desired: { policies: [ping] } });
    await until("packets of the flow are denied", async () => (await denied()) > deniedBefore);
    // What the client's buffers held may still come.
    let received = -1;
    const isStill = async () => {
      const last = received;
      await pings(place.lab);
      received = transfer.received();
      return received === last;
    };
    await until("nothing comes any more", isStill, client.output);
    expect(transfer.process.exitCode).toBeNull();
    expect(await pings(place.lab)).toBe(true);
    expect(await pings(place.lab, 6)).toBe(false);
    expect((await connected(place))?.sessionId).toBe(before?.sessionId);
    expect(client.output()).not.toContain("reconnect");
    place.gateway.configure({});
    const mayAgain = () => download(place.lab, STARTED_BYTES).then(() => true);
    await until("new flows may again", () => mayAgain().catch(() => false), client.output);
  });
});
