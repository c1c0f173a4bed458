import {
  type ApiClient,
  ControlPlaneFixture,
} from "@isthmus/control-plane/main/control-plane-fixture";
import { clientFacets, ToldSite } from "@isthmus/control-plane/testing/told-site";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CUT_MS, cutAfter, openRelay } from "../vpn-lab/cuts.ts";
import { type ClientDoor, openClientDoor, openWayOut } from "../vpn-lab/doors.ts";
import type { DevicePapers } from "../vpn-lab/papers.ts";
import { ready, Scene, until } from "../vpn-lab/scene.ts";
import { pings } from "../vpn-lab/traffic.ts";

/** From the administrator's call to a control plane, over the link, to the end of a device's tunnels, and back in its timeline. */

const REASON = "the disk is not encrypted";
/** What else runs on a machine only adds to a time, so the best of so many cuts is judged. */
const ROUNDS = 3;
const DEVICES = ["device-0", "device-1"];

const folder = temporaryFolder();
const resources = new AsyncDisposableStack();
let plane: ControlPlaneFixture;
let admin: ApiClient;
let scene: Scene | undefined;
let door: ClientDoor | undefined;

beforeAll(async () => {
  resources.defer(() => folder[Symbol.dispose]());
  plane = resources.use(await ControlPlaneFixture.start(folder.path));
  admin = await plane.client();
  await addDevices();
  const { token } = await admin.post("/enrolmentTokens", { service: "tunnel-gateway" }, 201);
  const desired = { devices: { source: "cloud" } };
  scene = await Scene.make("vpncld", { devices: DEVICES.length, desired }, async (lab, place) => {
    resources.use(await openWayOut(lab, place, Number(new URL(plane.url).port)));
    return {
      cloud: {
        enrolmentToken: token,
        async configure(connectorId, configuration) {
          const path = `/connectors/${connectorId}/desiredConfiguration`;
          await admin.call("PUT", path, { configuration }, 200);
        },
      },
    };
  });
  if (!scene) return;
  resources.use(scene);
  door = resources.use(await openClientDoor(scene.lab, scene.folder, 443));
});

afterAll(async () => {
  await resources.disposeAsync();
});

/** A site tells of the devices, so that they have timelines; the administrator says that they are compliant. */
async function addDevices(): Promise<void> {
  const site = resources.use(await ToldSite.start(plane, admin));
  await site.tell("device", Object.fromEntries(DEVICES.map((id) => [id, clientFacets(id)])));
  const synced = async (): Promise<{ id: string; deviceName: string }[]> =>
    (await admin.get("/managedDevices")).value;
  await until("the site's devices", async () => (await synced()).length === DEVICES.length);
  for (const { id: syncedDeviceId, deviceName: id } of await synced()) {
    const body = { id, syncedDeviceId, complianceState: "compliant" };
    await admin.post("/managedDevices", body, 201);
  }
}

function papersOf(place: Scene, index: number): DevicePapers {
  const papers = place.papers.devices[index];
  if (!papers) throw new Error(`no device ${index}`);
  return papers;
}

/** Connects as soon as the gateway lets the device in: it learns of devices over the link. */
async function connectOnceAllowed(place: Scene, device: DevicePapers) {
  const tried: unknown[] = [];
  let client: Awaited<ReturnType<Scene["connect"]>> | undefined;
  const isIn = async () => {
    client = await place.connect({ device }).catch((error: unknown) => void tried.push(error));
    return client !== undefined;
  };
  await until("the device is let in", isIn, () => `${tried.at(-1)}\n${place.gateway.output()}`);
  if (!client) throw new Error("it was let in");
  return client;
}

interface Round {
  readonly vpnMs: number;
  readonly relayMs: number;
}

test("a device that the cloud calls non-compliant is off VPN and relay within 2 s of the API's answer, is told why, and comes back", async (context) => {
  const place = ready(scene, context, "ping");
  if (!door) throw new Error("no way in");
  const [loser, other] = [papersOf(place, 0), papersOf(place, 1)];
  const device = `/managedDevices/${loser.deviceId}`;
  const rounds: Round[] = [];
  const isWithin = ({ vpnMs, relayMs }: Round) => vpnMs < CUT_MS && relayMs < CUT_MS;
  while (rounds.length < ROUNDS && !rounds.some(isWithin)) {
    await using client = await connectOnceAllowed(place, loser);
    const relay = await openRelay(door, place, loser);
    const othersRelay = await openRelay(door, place, other);
    expect(await pings(place.lab)).toBe(true);
    const body = { complianceState: "noncompliant", complianceReason: REASON };
    rounds.push(await cutAfter(client, relay, () => admin.patch(device, body)));
    expect(client.output()).toContain(REASON);
    await until("openconnect gives up", () => client.process.exitCode !== null, client.output);
    expect(othersRelay.destroyed).toBe(false);
    othersRelay.destroy();
    await expect(place.connect({ device: loser })).rejects.toThrow(REASON);
    expect(await place.sessions()).toEqual([]);
    await admin.patch(device, { complianceState: "compliant", complianceReason: null });
  }
  expect(rounds.some(isWithin), JSON.stringify(rounds)).toBe(true);
  await using back = await connectOnceAllowed(place, loser);
  expect(await pings(place.lab)).toBe(true);
  (await openRelay(door, place, loser)).destroy();
  await back.disconnect();
});

test("a cloud that lets users in without a device, or hardly bans who guesses, is refused, and what was in force stays", async (context) => {
  const place = ready(scene, context);
  const [{ id }] = (await admin.get("/connectors")).value.filter(
    ({ service }: { service: string }) => service === "tunnel-gateway",
  );
  const path = `/connectors/${id}/desiredConfiguration`;
  const { configuration } = await admin.get(path);
  const { vpn } = configuration;
  const [group] = vpn.groups;
  const wanted: [object, string][] = [
    [{ groups: [{ ...group, requireDevice: false }] }, "asks for no device"],
    [{ bans: { banAtPoints: 100_000, failurePoints: 1 } }, "failures until a ban"],
    [{ bans: { banSeconds: 1 } }, "vpn.bans.banSeconds is 1"],
  ];
  for (const [change, why] of wanted) {
    await admin.call(
      "PUT",
      path,
      { configuration: { ...configuration, vpn: { ...vpn, ...change } } },
      200,
    );
    let error = "";
    const isRefused = async () => {
      error = (await admin.get(`/connectors/${id}`)).configurationError ?? "";
      return error.includes("guardrail-exceeded") && error.includes(why);
    };
    await until(`refused: ${why}`, isRefused, () => `${error}\n${place.gateway.output()}`);
    const { configurationVersion: asked, configurationVersionApplied: applied } = await admin.get(
      `/connectors/${id}`,
    );
    expect(applied).toBeLessThan(asked);
  }
  await admin.call("PUT", path, { configuration }, 200);
  await using client = await connectOnceAllowed(place, papersOf(place, 0));
  expect(await pings(place.lab)).toBe(true);
  await client.disconnect();
});

test("the administrator sees in the device's timeline and in the audit what was cut, and why", async (context) => {
  const place = ready(scene, context);
  const { deviceId } = papersOf(place, 0);
  const lines = async (id: string): Promise<readonly string[]> => {
    const filter = encodeURIComponent("kind eq 'tunnel.cut'");
    const { value } = await admin.get(`/managedDevices/${id}/timeline?$filter=${filter}`);
    return value.map(({ title }: { title: string }) => title);
  };
  const vpnLine = "VPN session ended: device noncompliant";
  const relayLine = "Connection through the tunnel cut: device noncompliant";
  const isTold = async () => {
    const told = await lines(deviceId);
    return told.includes(vpnLine) && told.includes(relayLine);
  };
  await until("both stand in the timeline", isTold, place.gateway.output);
  expect(await lines(papersOf(place, 1).deviceId)).toEqual([]);
  const audited = async (activity: string) => {
    const filter = encodeURIComponent(`activity eq '${activity}'`);
    return (await admin.get(`/auditEvents?$filter=${filter}&$top=100`)).value;
  };
  const cut = { code: "device-noncompliant", deviceId };
  expect(await audited("vpn.session-ended")).toContainEqual(
    expect.objectContaining({ details: expect.objectContaining(cut) }),
  );
  expect(await audited("relay.cut")).toContainEqual(
    expect.objectContaining({
      details: expect.objectContaining({ cuts: [expect.objectContaining(cut)] }),
    }),
  );
  const why = { compliance: "noncompliant", complianceReason: REASON };
  expect(await audited("device.changed")).toContainEqual(
    expect.objectContaining({ actor: "admin", details: expect.objectContaining(why) }),
  );
});
