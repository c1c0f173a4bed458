import { afterAll, beforeAll, expect, type TestContext, test } from "vitest";
import { loggedBy } from "../vpn-lab/gateway.ts";
import { LAB } from "../vpn-lab/namespaces.ts";
import { ready, Scene, until } from "../vpn-lab/scene.ts";
import { download, PAYLOAD_PORT, pings } from "../vpn-lab/traffic.ts";

/** What openconnect's user opens, in the access log: with whose device and by which rule, and where to as far as the level says so. */

const BYTES = 1_000;
const group = {
  name: "staff",
  authentication: [["certificate"]],
  routesInclude: [LAB.internal.network, LAB.internal.ipv6Network],
};

let scene: Scene | undefined;

beforeAll(async () => {
  scene = await Scene.make("vpnlog");
});

afterAll(async () => {
  await scene?.[Symbol.asyncDispose]();
});

function here(context: TestContext): Scene {
  return ready(scene, context, "curl");
}

const allowed = ({ gateway }: Scene) => loggedBy(gateway, "vpn.allowed");

test("flows that are let through have no line unless their group wants it", async (context) => {
  const place = here(context);
  await using client = await place.connect();
  await download(place.lab, BYTES);
  await client.disconnect();
  await until("it has left", () => loggedBy(place.gateway, "vpn.ended").length > 0);
  expect(allowed(place)).toEqual([]);
});

test("each flow of a group with logFlows has one line, from the moment that its configuration is in force", async (context) => {
  const place = here(context);
  await using client = await place.connect();
  const accessLog = { detail: "full" };
  place.gateway.configure({ group: { ...group, logFlows: true }, desired: { accessLog } });
  // When it is in force, the log alone says.
  await until("a flow is logged", async () => {
    await download(place.lab, BYTES);
    return allowed(place).length > 0;
  });
  const before = allowed(place).length;
  for (const family of [4, 6] as const) await download(place.lab, BYTES, family);
  expect(await pings(place.lab)).toBe(true);
  await until("they are logged", () => allowed(place).length >= before + 3);
  const [device] = place.papers.devices;
  const who = { group: "staff", deviceId: device?.deviceId };
  expect(allowed(place).slice(before)).toMatchObject([
    {
      ...{ ...who, rule: "inside/everything", protocol: 6 },
      destination: `${LAB.internal.ipv4}:${PAYLOAD_PORT}`,
    },
    {
      ...{ ...who, rule: "inside/everything", protocol: 6 },
      destination: `[${LAB.internal.ipv6}]:${PAYLOAD_PORT}`,
    },
    { ...who, rule: "inside/ping", protocol: 1, destination: LAB.internal.ipv4 },
  ]);

  place.gateway.configure({ group: { ...group, logFlows: true } });
  await until("a line names no destination", async () => {
    await download(place.lab, BYTES);
    return allowed(place).at(-1)?.["destination"] === undefined;
  });
  expect(allowed(place).at(-1)).toMatchObject({ ...who, rule: "inside/everything", protocol: 6 });
  await client.disconnect();
});
