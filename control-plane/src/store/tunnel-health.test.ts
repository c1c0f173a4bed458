import { join } from "node:path";
import { openStore } from "@isthmus/shared/store/store";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { operations } from "./module.ts";
import { type ControlPlaneStore, StoreRecords } from "./records.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const clock = new FakeClock();
let folder: ReturnType<typeof temporaryFolder>;
let store: ControlPlaneStore;
let records: StoreRecords;

beforeEach(async () => {
  folder = temporaryFolder();
  store = await openStore<typeof operations>({
    file: join(folder.path, "store.db"),
    module: new URL("./module.ts", import.meta.url),
  });
  records = new StoreRecords(store, clock);
});

afterEach(async () => {
  await store[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

const act = () => ({ actor: "admin", now: clock.now() });

async function enrol(id: string): Promise<void> {
  const service = "tunnel-gateway";
  const expiresAt = clock.now() + MINUTE_MS;
  const token = { ...act(), secretHash: id, service, displayName: undefined, expiresAt } as const;
  await store.run("createEnrolmentToken", token);
  await store.run("claimEnrolmentToken", {
    secretHash: id,
    service,
    displayName: id,
    publicKeyX: id,
    newConnectorId: id,
    now: clock.now(),
  });
}

async function connect(connectorId: string): Promise<number> {
  const { admission } = await store.run("acceptConnector", {
    connectorId,
    bootId: "boot",
    epoch: 0,
    lastSeq: {},
    commandSeq: 0,
    configurationVersion: 0,
    clockOffsetMs: 0,
    now: clock.now(),
  });
  return admission?.sessionNo ?? 0;
}

const snapshotOf = (cpu: number) =>
  JSON.stringify({
    service: "tunnel-gateway",
    version: "1",
    startedAt: 0,
    checks: [],
    figures: { "cpu-percent": cpu },
  });

async function report(connectorId: string, sessionNo: number, cpu?: number) {
  const snapshot = cpu === undefined ? undefined : snapshotOf(cpu);
  const health = { connectorId, sessionNo, digest: "d", snapshot, now: clock.now() };
  return await store.run("storeHealth", health);
}

async function judgeAll(): Promise<number> {
  let rounds = 0;
  for (let after: string | undefined = ""; after !== undefined; rounds += 1) {
    const judged: { last: string | undefined } = await store.run("judgeTunnelServers", {
      now: clock.now(),
      after,
    });
    after = judged.last;
  }
  return rounds;
}

async function statuses(): Promise<readonly unknown[]> {
  const order = [{ property: "id", isDescending: false }];
  const query = { resource: "microsoftTunnelServers", order, top: 1_000 } as const;
  const rows = await records.page(query, ["id", "tunnelServerHealthStatus"]);
  return rows.map((row) => row["tunnelServerHealthStatus"]);
}

const samples = () =>
  records.run("tunnelHealthSeries", {
    id: "gw",
    name: "cpu-percent",
    from: 0,
    to: Number.MAX_SAFE_INTEGER,
  });

test("a server that goes away is offline at the first look after five minutes", async () => {
  await enrol("gw");
  expect(await statuses()).toEqual(["unknown"]);
  const sessionNo = await connect("gw");
  await report("gw", sessionNo, 10);
  expect(await statuses()).toEqual(["healthy"]);
  await store.run("endSession", { connectorId: "gw", sessionNo, at: clock.now() });
  clock.advance(5 * MINUTE_MS);
  await judgeAll();
  expect(await statuses()).toEqual(["healthy"]);
  clock.advance(MINUTE_MS);
  await judgeAll();
  expect(await statuses()).toEqual(["offline"]);
});

test("every server is judged, some in a transaction", async () => {
  for (let n = 0; n < 101; n++) {
    const id = `gw-${String(n).padStart(3, "0")}`;
    await enrol(id);
    await connect(id);
  }
  expect(await judgeAll()).toBe(2);
  const order = [{ property: "id", isDescending: false }];
  const query = { resource: "microsoftTunnelServers", order, top: 1_000 } as const;
  const rows = await records.page(query, ["id", "healthDetails"]);
  expect(rows.filter((row) => row["healthDetails"] !== null)).toHaveLength(101);
});

test("a heartbeat keeps a sample of what was told before, in a step of its own", async () => {
  clock.set(10 * DAY_MS);
  await enrol("gw");
  const sessionNo = await connect("gw");
  await report("gw", sessionNo, 10);
  clock.advance(MINUTE_MS);
  await report("gw", sessionNo, 20);
  clock.advance(5 * MINUTE_MS);
  expect(await report("gw", sessionNo)).toEqual({ isSnapshotWanted: false });
  expect(await samples()).toEqual([
    { at: 10 * DAY_MS, value: 20 },
    { at: 10 * DAY_MS + 5 * MINUTE_MS, value: 20 },
  ]);
});

test("samples go after seven days", async () => {
  clock.set(10 * DAY_MS);
  await enrol("gw");
  const sessionNo = await connect("gw");
  await report("gw", sessionNo, 10);
  clock.advance(5 * MINUTE_MS);
  await report("gw", sessionNo, 20);
  clock.set(17 * DAY_MS);
  await store.run("pruneOldRecords", { now: clock.now() });
  expect(await samples()).toHaveLength(2);
  clock.advance(1);
  await store.run("pruneOldRecords", { now: clock.now() });
  expect((await samples()).map(({ value }) => value)).toEqual([20]);
});

test("a change for a thousand servers is made, for one more it is refused whole", async () => {
  const values = {
    displayName: "VPN",
    dnsServers: "[]",
    routeIncludes: "[]",
    routeExcludes: "[]",
    splitDNS: "[]",
    listenPort: 443,
    advancedSettings: "[]",
    roleScopeTagIds: "[]",
    disableUdpConnections: 0,
  };
  const site = {
    displayName: "Site",
    publicAddress: "vpn",
    upgradeWindowUtcOffsetInMinutes: 0,
    upgradeWindowStartTime: "00:00:00",
    upgradeWindowEndTime: "00:00:00",
    upgradeAutomatically: 0,
    upgradeAvailable: 0,
    roleScopeTagIds: "[]",
    microsoftTunnelConfigurationId: "c",
  };
  const put = (change: object = {}) =>
    store.run("putTunnelConfiguration", { ...act(), id: "c", values: { ...values, ...change } });
  await put();
  await store.run("putTunnelSite", { ...act(), id: "s", values: site });
  const join = async (id: string) => {
    await enrol(id);
    await store.run("assignTunnelServer", { ...act(), id, siteId: "s" });
  };
  const all = Array.from({ length: 1_000 }, (_, n) => join(`gw-${n}`));
  await Promise.all(all);
  const configuration = { vpn: { groups: [{ name: "staff" }] } };
  await store.run("writeConfiguration", { ...act(), connectorId: "gw-7", configuration });
  await put({ disableUdpConnections: 1 });
  const [, unsigned] = await store.run("takeUnsignedConfigurations", { limit: 10 });
  expect(unsigned).toMatchObject({
    version: 2,
    configuration: { vpn: { groups: [{ name: "staff", udp: false }] } },
  });
  await join("gw-1000");
  await expect(put({ disableUdpConnections: 0 })).rejects.toMatchObject({
    code: "tunnel-server-limit",
  });
  expect(await store.run("takeUnsignedConfigurations", { limit: 10 })).toHaveLength(2);
});
