import { join } from "node:path";
import { openStore } from "@isthmus/shared/store/store";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { batchPayload } from "../testing/batch-payload.ts";
import { MAX_WAITING_UPDATES } from "./device-feed-operations.ts";
import type { operations } from "./module.ts";
import { type ControlPlaneStore, StoreRecords } from "./records.ts";

const MINUTE_MS = 60_000;
const clock = new FakeClock();
let folder: ReturnType<typeof temporaryFolder>;
let store: ControlPlaneStore;
let records: StoreRecords;
let sessionNo = 0;

beforeEach(async () => {
  folder = temporaryFolder();
  store = await openStore<typeof operations>({
    file: join(folder.path, "store.db"),
    module: new URL("./module.ts", import.meta.url),
  });
  records = new StoreRecords(store, clock);
  await store.run("createEnrolmentToken", {
    ...act(),
    secretHash: "h",
    service: "tunnel-gateway",
    displayName: undefined,
    expiresAt: clock.now() + MINUTE_MS,
  });
  await store.run("claimEnrolmentToken", {
    secretHash: "h",
    service: "tunnel-gateway",
    displayName: "gateway",
    publicKeyX: "x",
    newConnectorId: "gw",
    now: clock.now(),
  });
});

afterEach(async () => {
  await store[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

const act = () => ({ actor: "admin", now: clock.now() });

async function connect(): Promise<void> {
  const { admission } = await store.run("acceptConnector", {
    connectorId: "gw",
    bootId: "boot",
    epoch: 0,
    lastSeq: {},
    commandSeq: 0,
    configurationVersion: 0,
    clockOffsetMs: 0,
    now: clock.now(),
  });
  sessionNo = admission?.sessionNo ?? 0;
}

const disconnect = () => store.run("endSession", { connectorId: "gw", sessionNo, at: clock.now() });

async function feed(): Promise<number> {
  return (await records.run("feedGateways", { now: clock.now() })).queued;
}

const create = (id: string) => records.run("createDevice", { id, ...act() });
const queued = () => records.run("takeUnsignedCommands", { limit: 1_000 });

test("a gateway that never connected is told nothing", async () => {
  await create("one");
  expect(await feed()).toBe(0);
  expect(await queued()).toEqual([]);
});

test("once fed, a gateway is not fed again while all goes well", async () => {
  await create("one");
  await connect();
  expect(await feed()).toBe(1);
  expect(await feed()).toBe(0);
});

test("a device made after the feed is told as a change, after the feed", async () => {
  await connect();
  await feed();
  await create("one");
  const payloads = (await queued()).map(({ payload }) => payload);
  expect(payloads).toMatchObject([
    { isSnapshot: true, devices: [] },
    { isSnapshot: false, devices: [{ deviceId: "one" }] },
  ]);
});

test("what gateways do not see changes nothing for them", async () => {
  await create("one");
  await connect();
  await feed();
  await records.run("changeDevice", { id: "one", deviceName: "another name", ...act() });
  expect(await queued()).toHaveLength(1);
});

test("changes keep their order when the clock goes back", async () => {
  await create("one");
  await connect();
  await feed();
  await records.run("changeDevice", { id: "one", compliance: "noncompliant", ...act() });
  clock.advance(-10 * MINUTE_MS);
  await records.run("changeDevice", { id: "one", compliance: "compliant", ...act() });
  const states = (await queued()).slice(1).map(({ payload }) => payload);
  expect(states).toMatchObject([
    { devices: [{ compliance: "noncompliant" }] },
    { devices: [{ compliance: "compliant" }] },
  ]);
});

test("renumbered after a conflict, changes keep their order and get seqs never used", async () => {
  await create("one");
  await connect();
  await feed();
  await records.run("changeDevice", { id: "one", compliance: "noncompliant", ...act() });
  await records.run("changeDevice", { id: "one", compliance: "compliant", ...act() });
  const before = await queued();
  await records.run("renumberCommands", { connectorId: "gw" });
  const after = await queued();
  expect(after.map(({ id }) => id)).toEqual(before.map(({ id }) => id));
  const seqs = after.map(({ seq }) => seq);
  expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
  expect(Math.min(...seqs)).toBeGreaterThan(Math.max(...before.map(({ seq }) => seq)));
});

test("changes beyond the bound are not queued; the gateway is fed anew when it returns", async () => {
  await create("one");
  await connect();
  await feed();
  await disconnect();
  for (let n = 0; n < MAX_WAITING_UPDATES + 5; n++) {
    const compliance = n % 2 === 0 ? "compliant" : "noncompliant";
    await records.run("changeDevice", { id: "one", compliance, ...act() });
  }
  expect(await queued()).toHaveLength(MAX_WAITING_UPDATES);
  expect(await feed()).toBe(0);
  await connect();
  expect(await feed()).toBe(1);
  expect((await queued()).at(-1)?.payload).toMatchObject({
    isSnapshot: true,
    devices: [{ compliance: "compliant" }],
  });
});

describe("an update that did not arrive brings a new feed", () => {
  async function fedAndEnded(state: string): Promise<void> {
    await connect();
    await feed();
    const [command] = await queued();
    const entry = { id: command?.id, state, endedAt: clock.now() };
    await store.run("ingestBatch", {
      connectorId: "gw",
      sessionNo,
      stream: "commands",
      firstSeq: 1,
      entryCount: 1,
      isAfterPruned: false,
      ...batchPayload([JSON.stringify(entry)]),
      now: clock.now(),
    });
  }

  test("at once where it expired or its outcome is unknown", async () => {
    await fedAndEnded("unknown");
    expect(await feed()).toBe(1);
  });

  test("after a while where the gateway failed it, so that a defect is no stream of feeds", async () => {
    await fedAndEnded("failed");
    expect(await feed()).toBe(0);
    clock.advance(11 * MINUTE_MS);
    expect(await feed()).toBe(1);
  });

  test("not where it succeeded", async () => {
    await fedAndEnded("succeeded");
    clock.advance(11 * MINUTE_MS);
    expect(await feed()).toBe(0);
  });
});
