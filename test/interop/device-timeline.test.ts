import { join } from "node:path";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { DEMO } from "@isthmus/suite/configurations";
import { type DeviceIdentity, enrol, newDeviceKey } from "@isthmus/suite/device/scep-device";
import { layoutOf } from "@isthmus/suite/layout";
import { freePorts } from "@isthmus/suite/ports";
import { DEMO_SITE } from "@isthmus/suite/process/configuration-manager";
import { GraphClient } from "@isthmus/suite/process/graph-client";
import { askChallenge, setUp } from "@isthmus/suite/set-up";
import { Suite } from "@isthmus/suite/suite";
import { fetchPage } from "@isthmus/suite/tour/tunnel-steps";
import { afterAll, beforeAll, expect, test } from "vitest";

/** What every service knows of one device, in one timeline: certificates, tunnels, the site's inventory, events and applications, and actions. */

const WAIT_MS = 90_000;
/** Far less than the minute after which a connector looks by itself for what there is to send. */
const AT_ONCE_MS = 15_000;
const TEST_MS = 4 * WAIT_MS;
const RESOURCE_ID = DEMO_SITE.firstResourceId;
const HELPER = { userName: "helen", password: "a word of helen's own 7" } as const;
const NEW_NAME = "ALICE-AGAIN";
const SPARE = "spare-laptop";
const CRASH = {
  ...{ name: "Kernel Crash", provider: "Microsoft-Windows-WER-SystemErrorReporting" },
  ...{ eventId: 1_001, level: 2 },
  message: "The computer has rebooted.\r\nA dump is in C:\\Windows\\MEMORY.DMP.",
};
const CRASH_TITLE = "Kernel Crash: The computer has rebooted.";

interface Line {
  readonly id: string;
  readonly eventDateTime: string;
  readonly kind: string;
  readonly actor: string | null;
  readonly title: string;
  readonly details: Readonly<Record<string, unknown>> | null;
}

const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync(), TEST_MS);
let suite: Suite;
let identity: DeviceIdentity;
let spare: DeviceIdentity;
let oldName: string;
/** `Contoso Application 3`, deployed to the device. */
let application: string;

const pathOf = (device: string, query: Readonly<Record<string, string>> = {}) =>
  `/managedDevices/${device}/timeline?${new URLSearchParams(query)}`;

async function timeline(query = {}, device: string = DEMO.deviceId): Promise<Line[]> {
  return await (await suite.graph()).list(pathOf(device, query));
}

const ofKind = (...kinds: readonly string[]) => ({
  $filter: kinds.map((kind) => `kind eq '${kind}'`).join(" or "),
});

const has = (query: Readonly<Record<string, string>>, count = 1, waitMs = WAIT_MS) =>
  until(async () => (await timeline(query)).length >= count, JSON.stringify(query), waitMs);

async function enrolled(deviceId: string, challenge: string): Promise<DeviceIdentity> {
  const wanted = { subject: `CN=${deviceId}`, challenge, privateKey: await newDeviceKey() };
  return await enrol(await suite.scepServer(), wanted);
}

beforeAll(async () => {
  const folder = stack.use(temporaryFolder());
  suite = stack.use(
    new Suite({
      ...{ layout: layoutOf(join(folder.path, "suite")), ports: await freePorts() },
      configurationManager: { devices: 3, onlineShare: 1 },
    }),
  );
  await suite.openSite();
  await setUp(suite);
  const graph = await suite.graph();
  const filter = encodeURIComponent(`configurationManagerKey eq '${RESOURCE_ID + 1}'`);
  const second = () => graph.list<{ readonly id: string }>(`/managedDevices?$filter=${filter}`);
  const { id } = await until(async () => (await second())[0], "the second device", WAIT_MS);
  await graph.post("/managedDevices", { id: SPARE, deviceName: "Spare", syncedDeviceId: id });
  const states = `/managedDevices/${DEMO.deviceId}/applicationStates`;
  const applications = () => graph.list<{ readonly displayName: string }>(states);
  const first = await until(async () => (await applications())[0], "applications", WAIT_MS);
  application = first.displayName;
  oldName = (await timeline(ofKind("device.appeared")))[0]?.title.split(" ")[0] ?? "";
}, TEST_MS);

beforeAll(async () => {
  const graph = await suite.graph();
  spare = await enrolled(SPARE, await askChallenge(suite, SPARE));
  identity = await enrolled(DEMO.deviceId, await askChallenge(suite, DEMO.deviceId));
  await has(ofKind("certificate.issued"));
  await fetchPage(suite, identity);
  await has(ofKind("tunnel.opened"), 1, AT_ONCE_MS);
  // Else a device is taken to have left the relay ten minutes after its last connection.
  await suite.halt("tunnel-gateway");
  await suite.launch("tunnel-gateway");
  await has(ofKind("tunnel.ended"));
  const site = await suite.openConfigurationManager();
  await site.ask("change", { kind: "rename", resourceId: RESOURCE_ID, name: NEW_NAME });
  // Before all that is told of the device, though it is the last to be told.
  const events = [{ ...CRASH, at: Date.now() - 3_600_000 }];
  await site.ask("change", { kind: "device", resourceId: RESOURCE_ID, change: { events } });
  const number = Number(application.split(" ").at(-1));
  await site.ask("applicationComesTo", RESOURCE_ID, number, "Installing");
  await graph.post("/administrators", { ...HELPER, roles: ["Helpdesk operator"] });
  const helen = await GraphClient.signIn({
    url: new URL(`https://localhost:${suite.ports.controlPlane}`),
    authority: suite.read("control-plane", "ca.pem"),
    ...HELPER,
  });
  const device = `/managedDevices/${DEMO.deviceId}`;
  await helen.post(`${device}/clientOperations`, { notification: "refreshMachinePolicy" });
  await helen.post(`${device}/refreshConfigurationManagerInventory`, {});
  for (const $search of [NEW_NAME, application, CRASH.name]) await has({ $search });
  await has(ofKind("action.ended"), 2);
}, TEST_MS);

const serialOf = ({ certificate }: DeviceIdentity) => certificate.serialNumber;
test("every service's lines stand in it once, each with who did it and what came of it", async () => {
  const whole = await timeline();
  const service = expect.stringMatching(/^connector /);
  const renamed = { facet: "identity", path: "Name", before: oldName, after: NEW_NAME };
  const state = { facet: "applicationStates", path: application, after: "Installing" };
  const installing = expect.objectContaining(state);
  const { userPrincipalName } = DEMO;
  const lines = [
    ["device.appeared", null, `${oldName} is in CM1`],
    ["certificate.issued", service, serialOf(identity), { subject: `CN=${DEMO.deviceId}` }],
    ["tunnel.opened", service, "through the relay began", { userPrincipalName }],
    ["tunnel.ended", service, "through the relay ended, after 1", { connections: 1 }],
    ["inventory.changed", null, "Name", { fields: expect.arrayContaining([renamed]) }],
    ["application.changed", null, " → Installing", { fields: [installing] }],
    ["client.event", null, CRASH_TITLE, { level: "Error", message: CRASH.message }],
    ["action.requested", "helen", "policy asked for", { action: "refreshMachinePolicy" }],
    ["action.ended", "helen", "policy succeeded", { state: "succeeded" }],
  ] as const;
  for (const [kind, actor, title, details] of lines) {
    const of = details === undefined ? {} : { details: expect.objectContaining(details) };
    const line = expect.objectContaining({
      ...{ kind, actor, title: expect.stringContaining(title), ...of },
    });
    const found = whole.filter((each) => line.asymmetricMatch(each));
    expect(found, kind).toHaveLength(1);
  }
});

test("its order is that of arrival: numbers fall strictly over all pages, whatever the clocks say", async () => {
  const whole = await timeline();
  const numbers = whole.map(({ id }) => Number(id));
  expect(numbers).toEqual([...new Set(numbers)].toSorted((one, other) => other - one));
  expect(await timeline({ $top: "2" })).toEqual(whole);
  const kinds = whole.map(({ kind }) => kind).toReversed();
  const order = ["device.appeared", "certificate.issued", "tunnel.opened", "tunnel.ended"];
  const places = [...order, "action.requested"].map((kind) => kinds.indexOf(kind));
  expect(places).toEqual(places.toSorted((one, other) => one - other));
  const crash = whole.find(({ title }) => title === CRASH_TITLE);
  expect(crash?.eventDateTime.localeCompare(whole.at(-1)?.eventDateTime ?? "")).toBe(-1);
});

test("it is narrowed by kinds, by words, by both", async () => {
  const whole = await timeline();
  const only = (...kinds: readonly string[]) => whole.filter(({ kind }) => kinds.includes(kind));
  for (const kind of new Set(whole.map((line) => line.kind))) {
    expect(await timeline(ofKind(kind))).toEqual(only(kind));
  }
  const tunnel = ["tunnel.opened", "tunnel.ended"];
  expect(await timeline({ ...ofKind(...tunnel), $top: "1" })).toEqual(only(...tunnel));
  expect(await timeline({ $search: serialOf(identity) })).toEqual(only("certificate.issued"));
  expect(await timeline({ $search: NEW_NAME.toLowerCase() })).toEqual(only("inventory.changed"));
  expect(await timeline({ $search: application })).toEqual(only("application.changed"));
  const dump = await timeline({ $search: "c:\\windows\\MEMORY.DMP" });
  expect(dump.map(({ title }) => title)).toEqual([CRASH_TITLE]);
  expect(await timeline({ $search: HELPER.userName, ...ofKind("action.ended") })).toEqual(
    only("action.ended"),
  );
  expect(await timeline({ $search: HELPER.userName, ...ofKind(...tunnel) })).toEqual([]);
});

test("it is exported whole and narrowed, as lines of JSON and as CSV", async () => {
  const graph = await suite.graph();
  const text = async (query: Readonly<Record<string, string>>) =>
    (await graph.get<string>(pathOf(DEMO.deviceId, query).replace("?", "/export?"))).trimEnd();
  const whole = await timeline();
  const lines = (await text({ format: "ndjson" })).split("\n");
  expect(lines.map((line) => JSON.parse(line))).toEqual(whole);
  const tunnel = ofKind("tunnel.opened", "tunnel.ended");
  const [header, ...rows] = (await text({ format: "csv", ...tunnel })).split("\r\n");
  expect(header).toBe("id,eventDateTime,recordedDateTime,kind,actor,title,details");
  const places = (await timeline(tunnel)).map(({ id, kind }) => [id, kind]);
  expect(rows.map((row) => [row.split(",")[0], row.split(",")[3]])).toEqual(places);
});

test("another device's has none of it, and only what is its own", async () => {
  const others = await timeline({}, SPARE);
  const told = others.filter(({ kind }) => kind !== "client.event");
  expect(told.map(({ kind }) => kind)).toEqual(["certificate.issued", "device.appeared"]);
  expect(told[0]?.title).toBe(`Certificate ${serialOf(spare)} issued`);
  expect(await timeline({ $search: CRASH.name }, SPARE)).toEqual([]);
  const own = new Set((await timeline()).map(({ id }) => id));
  expect(others.filter(({ id }) => own.has(id))).toEqual([]);
});

test(
  "after SIGKILL of the control plane it is the same, and goes on with what happened meanwhile",
  async () => {
    const before = await timeline();
    const challenge = await askChallenge(suite, DEMO.deviceId);
    await suite.halt("control-plane", "kill");
    const meanwhile = await enrolled(DEMO.deviceId, challenge);
    await suite.launch("control-plane");
    const search = { $search: serialOf(meanwhile) };
    await until(async () => (await timeline(search)).length > 0, "the new certificate", WAIT_MS);
    const after = await timeline();
    expect(after.slice(1)).toEqual(before);
    expect(after[0]?.title).toBe(`Certificate ${serialOf(meanwhile)} issued`);
    expect(Number(after[0]?.id)).toBeGreaterThan(Number(before[0]?.id));
  },
  TEST_MS,
);
