import { facetHash } from "@isthmus/shared/link/inventory-digest";
import type { InventoryEntry } from "@isthmus/shared/link/inventory-messages";
import { thrownCode } from "@isthmus/shared/testing/thrown-code";
import { describe, expect, test } from "vitest";
import type { ReadRange, ReadRecord } from "../core/inventory-state.ts";
import { InventoryStore } from "../testing/inventory-store.ts";
import { MAX_FACET_BYTES } from "./inventory-entries.ts";

const ABOUT = { source: "CM1", kind: "device" as const, lease: 7, at: 1_000 };
const RANGE = { after: 0, through: 100 };
const CLASS = "SMS_G_System_DISK";
const FACETS = ["identity", "stable", "volatile", CLASS];

function leased(): InventoryStore {
  const store = new InventoryStore();
  store.run("takeLease", { source: "CM1", lease: 7, revision: 40, at: 1 });
  return store;
}

function record(key: number | string, values: Record<string, unknown>): ReadRecord {
  const facets = Object.entries(values).map(([name, value]) => [name, JSON.stringify(value)]);
  return { key: String(key), facets: Object.fromEntries(facets) };
}

const range = (store: InventoryStore, records: ReadRecord[], change: Partial<ReadRange> = {}) =>
  store.run("applyRange", {
    ...ABOUT,
    range: RANGE,
    facets: FACETS,
    records,
    pages: {},
    ...change,
  });
const changes = (store: InventoryStore, records: ReadRecord[], facets = FACETS) =>
  store.run("applyChanges", { ...ABOUT, facets, records, tombstones: [] });

const recordsOf = (entries: InventoryEntry[]) =>
  entries.flatMap((entry) => (entry.type === "records" ? entry.records : []));
const eventsOf = (entries: InventoryEntry[]) =>
  entries.flatMap((entry) => (entry.type === "event" ? [entry.event] : []));

test("a new record is told with its facets, above the revision of the lease; the same again tells nothing", () => {
  const store = leased();
  const read = [record(1, { identity: { name: "PC1" }, volatile: { online: true } })];
  expect(range(store, read)).toEqual({ changed: 1, missing: 0 });
  expect(store.told()).toEqual([
    {
      type: "records",
      source: "CM1",
      lease: 7,
      records: [
        {
          kind: "device",
          key: "1",
          revision: 41,
          at: 1_000,
          isWhole: false,
          facets: {
            identity: { hash: facetHash('{"name":"PC1"}'), value: { name: "PC1" } },
            volatile: { hash: facetHash('{"online":true}'), value: { online: true } },
          },
        },
      ],
    },
  ]);
  expect(range(store, read)).toEqual({ changed: 0, missing: 0 });
  expect(store.told()).toEqual([]);
});

test("only what differs is told, and what was not asked for stays", () => {
  const store = leased();
  range(store, [record(1, { identity: "a", stable: "b" })]);
  store.told();
  changes(store, [record(1, { stable: "c" })], ["stable", "volatile"]);
  const [told] = recordsOf(store.told());
  expect(told?.facets).toEqual({ stable: { hash: facetHash('"c"'), value: "c" } });
  expect(told?.isWhole).toBe(false);
});

test("a facet that is absent or null is gone at once, one of a class when it was absent twice", () => {
  const store = leased();
  range(store, [record(1, { identity: "a", stable: "b", [CLASS]: [1] })]);
  store.told();
  range(store, [record(1, { identity: "a", stable: null })], { pages: { all: "x" } });
  expect(recordsOf(store.told())[0]?.facets).toEqual({
    stable: { hash: facetHash("null"), value: null },
  });
  // The second reading decides, so the range may not be passed over.
  expect(store.run("pagesOf", { ...ABOUT, range: RANGE })).toEqual({});
  range(store, [record(1, { identity: "a" })], { pages: { all: "x" } });
  expect(recordsOf(store.told())[0]?.facets).toEqual({
    [CLASS]: { hash: facetHash("null"), value: null },
  });
  expect(store.run("pagesOf", { ...ABOUT, range: RANGE })).toEqual({ all: "x" });
});

test("a class that a short page left out is told nothing of when it is back", () => {
  const store = leased();
  const whole = record(1, { identity: "a", [CLASS]: [1] });
  range(store, [whole]);
  range(store, [record(1, { identity: "a" })]);
  store.told();
  range(store, [whole]);
  expect(store.told()).toEqual([]);
});

test("where the facets are all there are, others that were known are gone, and a new record is whole", () => {
  const store = leased();
  range(store, [record(1, { identity: "a", [CLASS]: [1] })], { areAllFacets: true });
  expect(recordsOf(store.told())[0]?.isWhole).toBe(true);
  range(store, [record(1, { identity: "a" })], { facets: ["identity"], areAllFacets: true });
  expect(recordsOf(store.told())[0]).toMatchObject({
    isWhole: false,
    facets: { [CLASS]: { value: null } },
  });
});

test("a tombstone deletes at once, and the record begins anew when it comes back", () => {
  const store = leased();
  changes(store, [record("S-1-5-21-1", { identity: "a" })]);
  store.told();
  const tombstones = ["S-1-5-21-1", "S-1-5-21-2"];
  store.run("applyChanges", { ...ABOUT, facets: [], records: [], tombstones });
  expect(store.told()).toMatchObject([
    { type: "deleted", keys: ["S-1-5-21-1"], evidence: { how: "tombstone", scans: [] } },
  ]);
  changes(store, [record("S-1-5-21-1", { identity: "a" })]);
  expect(recordsOf(store.told())).toHaveLength(1);
});

test("another lease than the one last taken is refused, and nothing is noted", () => {
  const store = leased();
  const told = () => range(store, [record(1, { identity: "a" })], { lease: 6 });
  expect(thrownCode(told)).toBe("lease-not-held");
  expect(store.rows("SELECT * FROM record_state")).toEqual([]);
  expect(thrownCode(() => new InventoryStore().run("tellDigest", ABOUT))).toBe("lease-not-held");
});

test("a lease is new when its number is; revisions go on above the higher one", () => {
  const store = leased();
  const take = (lease: number, revision: number) =>
    store.run("takeLease", { source: "CM1", lease, revision, at: 1 }).isNew;
  expect([take(7, 10), take(8, 100), take(8, 0)]).toEqual([false, true, false]);
  range(store, [record(1, { identity: "a", volatile: 1 })], { lease: 8 });
  expect(recordsOf(store.told())[0]?.revision).toBe(101);
  take(9, 0);
  range(store, [record(1, { identity: "a", volatile: 1 })], { lease: 9 });
  // In no digest, so a lost one would never be found.
  expect(Object.keys(recordsOf(store.told())[0]?.facets ?? {})).toEqual(["volatile"]);
});

describe("entries", () => {
  test("hold 192 KiB or 200 records", () => {
    const store = leased();
    const many = Array.from({ length: 201 }, (_, n) => record(n + 1, { identity: n }));
    range(store, many, { range: { after: 0, through: 300 } });
    expect(store.told().map((entry) => recordsOf([entry]).length)).toEqual([200, 1]);
    const large = Array.from({ length: 5 }, (_, n) =>
      record(n + 1, { stable: "é".repeat(30_000) }),
    );
    range(store, large, { facets: ["stable"] });
    expect(store.told().map((entry) => recordsOf([entry]).length)).toEqual([3, 2]);
  });

  test("of a record that is larger than one are as many as it takes, the first of them whole", () => {
    const store = leased();
    const classes = Array.from({ length: 5 }, (_, n) => `${CLASS}${n}`);
    const values = Object.fromEntries(classes.map((name) => [name, "x".repeat(100_000)]));
    range(store, [record(1, values), record(2, { identity: 1 })], {
      facets: ["identity", ...classes],
      areAllFacets: true,
    });
    const told = recordsOf(store.told());
    expect(
      told.map(({ key, isWhole, facets }) => [key, isWhole, Object.keys(facets).length]),
    ).toEqual([
      ["1", true, 2],
      ["1", false, 2],
      ["1", false, 1],
      ["2", true, 1],
    ]);
  });
});

describe("what the wire does not carry is left out and told once, and all the rest goes on", () => {
  const deep = (levels: number) => JSON.parse("[".repeat(levels) + "]".repeat(levels));

  test.each([
    ["facet.too-large", "x".repeat(MAX_FACET_BYTES - 1)],
    ["facet.too-deep", deep(17)],
  ])("%s", (event, value) => {
    const store = leased();
    const read = [record(1, { identity: "a", stable: value }), record(2, { identity: "b" })];
    range(store, read);
    const told = store.told();
    expect(eventsOf(told)).toEqual([event]);
    expect(recordsOf(told).map(({ facets }) => Object.keys(facets))).toEqual([
      ["identity"],
      ["identity"],
    ]);
    range(store, read);
    expect(store.told()).toEqual([]);
  });

  test("at the limit they are told", () => {
    const store = leased();
    range(store, [
      record(1, { stable: "x".repeat(MAX_FACET_BYTES - 2) }),
      record(2, { stable: deep(16) }),
    ]);
    const told = store.told();
    expect([eventsOf(told), recordsOf(told).length]).toEqual([[], 2]);
  });

  test("a facet that grew too large is gone", () => {
    const store = leased();
    range(store, [record(1, { stable: "a" })]);
    store.told();
    range(store, [record(1, { stable: "x".repeat(MAX_FACET_BYTES) })]);
    expect(recordsOf(store.told())[0]?.facets["stable"]?.value).toBeNull();
  });

  test.each(["", "k".repeat(257)])("a record with a key of another form", (key) => {
    const store = leased();
    const read = [record(key, { identity: "a" }), record("k".repeat(256), { identity: "b" })];
    changes(store, read, ["identity", "no facet"]);
    const told = store.told();
    expect(eventsOf(told).sort()).toEqual(["facet.malformed", "record.malformed"]);
    expect(recordsOf(told)).toHaveLength(1);
  });
});

describe("pages", () => {
  const pages = { SYSTEM: "a", DISK: "b" };
  const known = (store: InventoryStore) => store.run("pagesOf", { ...ABOUT, range: RANGE });

  test("are kept with the range they were applied for, and forgotten when ranges are cut anew", () => {
    const store = leased();
    range(store, [record(1, { identity: "a" })], { pages });
    expect(known(store)).toEqual(pages);
    range(store, [], { range: { after: 50, through: 150 }, pages });
    expect(known(store)).toEqual({});
  });

  test("are forgotten when a change differs from what they had", () => {
    const store = leased();
    range(store, [record(1, { identity: "a" })], { pages });
    changes(store, [record(1, { identity: "a" })]);
    expect(known(store)).toEqual(pages);
    changes(store, [record(1, { identity: "b" })]);
    expect(known(store)).toEqual({});
  });

  test("that a change had forgotten while the range was read stay so, unless they were looked into", () => {
    const store = leased();
    range(store, [record(1, { identity: "a", [CLASS]: 1 })], { pages });
    const before = known(store);
    changes(store, [record(1, { [CLASS]: 2 })], [CLASS]);
    const read = { facets: ["identity"], pages: { SYSTEM: "c", DISK: "b" }, before };
    range(store, [record(1, { identity: "b" })], read);
    expect(known(store)).toEqual({ SYSTEM: "c" });
  });
});
