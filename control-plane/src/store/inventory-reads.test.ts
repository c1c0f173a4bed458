import { afterEach, beforeEach, expect, test } from "vitest";
import { inventoryFixture, recordsOf, START, told } from "../testing/inventory-fixture.ts";
import { facetHistory, facetsAt, joinedBySid, recordDifferences } from "./inventory-reads.ts";
import { recordsOfKey } from "./record-lookups.ts";
import { timelinePage } from "./timeline-reads.ts";

const DAY_MS = 86_400_000;
let site: Awaited<ReturnType<typeof inventoryFixture>>;

beforeEach(async () => {
  site = await inventoryFixture();
  await site.bridge.lease();
});
afterEach(() => site[Symbol.asyncDispose]());

const idOf = async (key: string) =>
  (await recordsOfKey(site.store, { kind: "device", keys: [key] }))[0]?.recordId ?? 0;
const shape = async (id: number, at?: number) =>
  Object.fromEntries(
    (await facetsAt(site.store, id, at)).map(({ facet, value }) => [facet, value]),
  );
const deleted = (revision: number) => ({
  type: "deleted",
  source: "CM1",
  lease: 1,
  kind: "device",
  at: START + revision,
  revision,
  keys: ["1"],
  evidence: { how: "tombstone", scans: [] },
});

test("a record is seen as it was at any moment, also before it was, while it was gone and after it came back", async () => {
  await site.bridge.tell(
    recordsOf(1, told("1", 10, { identity: { Name: "a" }, stable: { Model: "x" } })),
  );
  await site.bridge.tell(recordsOf(1, told("1", 20, { stable: { Model: "y" } })));
  await site.bridge.tell(deleted(30));
  await site.bridge.tell(recordsOf(1, told("1", 40, { identity: { Name: "b" } })));
  const id = await idOf("1");
  expect(await shape(id, START + 9)).toEqual({});
  expect(await shape(id, START + 10)).toEqual({ identity: { Name: "a" }, stable: { Model: "x" } });
  expect(await shape(id, START + 20)).toEqual({ identity: { Name: "a" }, stable: { Model: "y" } });
  expect(await shape(id, START + 30)).toEqual({});
  expect(await shape(id)).toEqual({ identity: { Name: "b" } });
  const { values, before } = await facetHistory(site.store, {
    recordId: id,
    facet: "stable",
    limit: 1,
  });
  expect(values).toMatchObject([{ at: START + 20, until: START + 30, value: { Model: "y" } }]);
  const rest = { recordId: id, facet: "stable", limit: 5, ...(before !== undefined && { before }) };
  expect((await facetHistory(site.store, rest)).values).toMatchObject([{ value: { Model: "x" } }]);
});

test("one value of a day stands for the day in what is volatile", async () => {
  const seen = (revision: number, at: number) =>
    told("1", revision, { identity: {}, volatile: { lastSeenAt: at } }, { at });
  const times = [START, START + 1, START + DAY_MS, START + DAY_MS + 1];
  for (const [index, at] of times.entries()) {
    const line = JSON.stringify(recordsOf(1, seen(index + 1, at)));
    await site.bridge.tellLines([line], { now: at });
  }
  const id = await idOf("1");
  expect(await shape(id, START + 5)).toMatchObject({ volatile: { lastSeenAt: START + 1 } });
  expect(await shape(id, START + DAY_MS)).toMatchObject({ volatile: { lastSeenAt: START + 1 } });
  expect(await shape(id)).toMatchObject({ volatile: { lastSeenAt: START + DAY_MS + 1 } });
});

test("two moments are compared field by field", async () => {
  await site.bridge.tell(
    recordsOf(1, told("1", 1, { stable: { Model: "x", Build: 1 }, volatile: { n: 1 } })),
  );
  await site.bridge.tell(
    recordsOf(1, told("1", 2, { stable: { Model: "y", Build: 1 }, volatile: { n: 2 } })),
  );
  const of = { recordId: await idOf("1"), from: START + 1, to: START + 2, limit: 10 };
  expect(await recordDifferences(site.store, of)).toEqual({
    fields: [{ facet: "stable", path: "Model", before: "x", after: "y" }],
    isCut: false,
  });
  expect((await recordDifferences(site.store, { ...of, limit: 0 })).isCut).toBe(true);
});

test("a device of a site and one of a directory are one by their SID, agents' devices stand alone", async () => {
  const types = { "ad.corp.example": "active-directory", agents: "agents" } as const;
  const identity = { Name: "PC", SID: "S-1-5-21-7" };
  await site.bridge.tell(recordsOf(1, told("1", 1, { identity })));
  for (const [source, sourceType] of Object.entries(types)) {
    const lease = await site.bridge.lease({ source, sourceType });
    const entry = recordsOf(lease?.lease ?? 0, told("x", 1, { identity }));
    await site.bridge.tell({ ...entry, source });
  }
  expect(await joinedBySid(site.store, await idOf("1"))).toMatchObject([
    { source: "ad.corp.example", sourceType: "active-directory", key: "x" },
  ]);
});

test("a timeline comes in pages, the newest first, and is searched", async () => {
  await site.bridge.tell(
    recordsOf(1, told("1", 1, { identity: { Name: "PC" }, stable: { Model: "m1" } })),
  );
  for (let n = 2; n <= 5; n++) {
    await site.bridge.tell(recordsOf(1, told("1", n, { stable: { Model: `m${n}` } })));
  }
  const recordId = await idOf("1");
  const first = await timelinePage(site.store, { recordId, limit: 3 });
  expect(first.events).toHaveLength(3);
  const next = { recordId, limit: 3, ...(first.before !== undefined && { before: first.before }) };
  const second = await timelinePage(site.store, next);
  expect(second.events.map(({ kind }) => kind)).toEqual(["inventory.changed", "device.appeared"]);
  expect(second.before).toBeUndefined();
  const found = await timelinePage(site.store, { recordId, limit: 9, search: "M4" });
  expect(found.events).toHaveLength(2);
  const kinds = await timelinePage(site.store, { limit: 9, kinds: ["device.appeared"] });
  expect(kinds.events).toMatchObject([{ recordId, title: "PC is in CM1" }]);
});

test("what is older than it may be is thrown away", async () => {
  await site.bridge.tell(recordsOf(1, told("1", 1, { stable: { Model: "x" } })));
  await site.bridge.tell(recordsOf(1, told("1", 2, { stable: { Model: "y" } })));
  await site.bridge.tell(deleted(3));
  const rows = async () =>
    Promise.all(
      ["record", "history", "event"]
        .map((name) => `inventory_${name}`)
        .concat("timeline_event")
        .map(async (table) => (await site.rows(`SELECT 1 FROM ${table}`)).length),
    );
  const days = { historyDays: 10, timelineDays: 5 };
  expect(await rows()).toEqual([1, 2, 2, 3]);
  await site.store.run("pruneInventory", { ...days, now: START + 5 * DAY_MS });
  expect(await rows()).toEqual([1, 2, 2, 3]);
  await site.store.run("pruneInventory", { ...days, now: START + 5 * DAY_MS + 1 });
  expect(await rows()).toEqual([1, 2, 2, 0]);
  await site.store.run("pruneInventory", { ...days, now: START + 10 * DAY_MS + 4 });
  expect(await rows()).toEqual([0, 0, 0, 0]);
});
