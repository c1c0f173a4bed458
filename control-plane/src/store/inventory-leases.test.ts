import { LEASE_MS } from "@isthmus/shared/link/inventory-messages";
import { afterEach, beforeEach, expect, test } from "vitest";
import { inventoryFixture, recordsOf, START, told } from "../testing/inventory-fixture.ts";
import { MAX_SOURCES } from "./inventory-leases.ts";

let site: Awaited<ReturnType<typeof inventoryFixture>>;

beforeEach(async () => {
  site = await inventoryFixture();
});
afterEach(() => site[Symbol.asyncDispose]());

const held = (lease: number) => ({ isHeld: true, lease, validMs: LEASE_MS });

test("the first who asks reads the source, and goes on under the same number", async () => {
  expect(await site.bridge.lease()).toMatchObject(held(1));
  expect(await site.bridge.lease({ lease: 1, now: START + 20_000 })).toMatchObject(held(1));
});

test("another one waits until the lease has run out, and then has a higher number", async () => {
  const other = await site.connector("other");
  await site.bridge.lease();
  const late = { now: START + LEASE_MS - 1 };
  expect(await other.lease(late)).toMatchObject({
    isHeld: false,
    lease: 1,
    validMs: 1,
    holder: "Bridge bridge",
  });
  expect(await other.lease({ now: START + LEASE_MS })).toMatchObject(held(2));
  expect(await site.bridge.lease({ lease: 1, now: START + LEASE_MS })).toMatchObject({
    isHeld: false,
    lease: 2,
    holder: "Bridge other",
  });
  const events = await site.rows(
    "SELECT connector_id, event FROM connector_event WHERE event LIKE 'source.%' ORDER BY rowid",
  );
  expect(events).toEqual([
    { connector_id: "bridge", event: "source.taken" },
    { connector_id: "bridge", event: "source.lost" },
    { connector_id: "other", event: "source.taken" },
  ]);
});

test("a lease that is given up is free at once, and what was told under it before still counts", async () => {
  const other = await site.connector("other");
  await site.bridge.lease();
  expect(await site.bridge.lease({ lease: 1, isGivenUp: true })).toMatchObject({ isHeld: false });
  await site.bridge.tell(recordsOf(1, told("1", 7, { identity: { Name: "a" } })));
  expect(await other.lease()).toMatchObject({ ...held(2), revision: 7 });
  await site.bridge.tell(recordsOf(1, told("2", 8, { identity: { Name: "b" } })));
  expect(await site.rows("SELECT key FROM inventory_record")).toEqual([{ key: "1" }]);
});

test("who gives a lease up and takes it back under the same number is told of both times", async () => {
  await site.bridge.lease();
  await site.bridge.lease({ lease: 1, isGivenUp: true });
  expect(await site.bridge.lease({ lease: 1 })).toMatchObject(held(1));
  expect(await site.bridge.lease({ lease: 1 })).toMatchObject(held(1));
  const events = await site.rows("SELECT event FROM inventory_event ORDER BY id");
  expect(events.map(({ event }) => event)).toEqual([
    "lease.taken",
    "lease.given-up",
    "lease.taken",
  ]);
});

test("nobody gives up what somebody else has", async () => {
  const other = await site.connector("other");
  await site.bridge.lease();
  expect(await other.lease({ isGivenUp: true })).toMatchObject({ isHeld: false });
  expect(await other.lease()).toMatchObject({ isHeld: false });
});

test("a bridge that was restored from a backup goes on under a new number", async () => {
  await site.bridge.lease();
  await site.bridge.connect(1);
  expect(await site.bridge.lease({ lease: 1 })).toMatchObject(held(2));
  expect(await site.bridge.lease({ lease: 2 })).toMatchObject(held(2));
});

test("a number that this side has forgotten is not given twice", async () => {
  const other = await site.connector("other");
  expect(await site.bridge.lease({ lease: 9 })).toMatchObject(held(10));
  expect(await site.bridge.lease({ lease: 12 })).toMatchObject(held(12));
  expect(await other.lease({ lease: 20, now: START + LEASE_MS })).toMatchObject(held(21));
  expect(await other.lease({ lease: 2 ** 50, now: START + LEASE_MS })).toMatchObject(held(21));
});

test("a clock that was put back keeps nobody waiting for longer than a lease", async () => {
  const other = await site.connector("other");
  await site.bridge.lease({ now: START + 10 * LEASE_MS });
  expect(await other.lease()).toMatchObject({ isHeld: false, validMs: LEASE_MS });
  expect(await other.lease({ now: START + LEASE_MS })).toMatchObject(held(2));
});

test(`one connector reads at most ${MAX_SOURCES} sources`, async () => {
  for (let n = 1; n <= MAX_SOURCES; n++) {
    expect(await site.bridge.lease({ source: `S${n}` })).toMatchObject({ isHeld: true });
  }
  expect(await site.bridge.lease({ source: "S17" })).toMatchObject({ isHeld: false, lease: 0 });
  expect(await site.bridge.lease({ source: "S1" })).toMatchObject({ isHeld: true });
  expect(await site.rows("SELECT 1 FROM inventory_source")).toHaveLength(MAX_SOURCES);
});

test("a source is of one type", async () => {
  await site.bridge.lease();
  expect(await site.bridge.lease({ sourceType: "agents" })).toMatchObject({ isHeld: false });
  expect(await site.bridge.lease()).toMatchObject(held(1));
});

test("who takes and gives up a source without end is told of so often in an hour, and then no more", async () => {
  const told = async () =>
    (await site.rows("SELECT 1 FROM inventory_event WHERE event LIKE 'lease.%'")).length;
  for (let turn = 0; turn < 250; turn++) {
    expect(await site.bridge.lease()).toMatchObject(held(1));
    await site.bridge.lease({ lease: 1, isGivenUp: true });
  }
  expect(await told()).toBe(200);
  await site.bridge.lease({ now: START + 3_600_001 });
  await site.bridge.lease({ lease: 1, isGivenUp: true, now: START + 3_600_001 });
  expect(await told()).toBe(202);
});
