import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { InventoryQuota } from "../core/inventory-quota.ts";
import { inventoryFixture, recordsOf, START, told } from "../testing/inventory-fixture.ts";
import { InventoryCount } from "./inventory-count.ts";

const LARGE: InventoryQuota = { records: 1_000, octets: 10_000_000 };
let site: Awaited<ReturnType<typeof inventoryFixture>>;

beforeEach(async () => {
  site = await inventoryFixture();
  await site.bridge.lease();
});
afterEach(() => site[Symbol.asyncDispose]());

const allow = (quota: Partial<InventoryQuota>, sources: Record<string, InventoryQuota> = {}) =>
  site.store.run("setInventoryQuota", {
    now: START,
    quotas: { default: { ...LARGE, ...quota }, sources },
  });
const keys = async () =>
  (await site.rows("SELECT key FROM inventory_record WHERE deleted_at IS NULL ORDER BY key")).map(
    ({ key }) => key,
  );
const usage = async () => (await site.rows("SELECT * FROM inventory_usage"))[0];
const events = async () =>
  (await site.rows("SELECT event FROM inventory_event WHERE side = 'cloud' ORDER BY id")).map(
    ({ event }) => event,
  );
const name = (text: string) => ({ identity: { Name: text } });

async function count(): Promise<void> {
  const counting = await InventoryCount.begin(site.store);
  for (;;) {
    const counted = await counting.step(site.store);
    if (counted === undefined) continue;
    await site.store.run("storeInventoryCount", { now: START, counted });
    return;
  }
}

describe("the number of records", () => {
  test.each([
    [3, ["1", "2", "3"], 0],
    [2, ["1", "2"], 1],
    [1, ["1"], 2],
  ])("%i are stored of an entry of three", async (records, stored, refused) => {
    await allow({ records });
    await site.bridge.tell(recordsOf(1, ...["1", "2", "3"].map((key, n) => told(key, n + 1, {}))));
    expect(await keys()).toEqual(stored);
    expect(await usage()).toMatchObject({ added_records: stored.length, refused });
    expect((await events()).includes("quota.exceeded")).toBe(refused > 0);
  });

  test("over it those that are known go on changing and going, and the others are told of once", async () => {
    await allow({ records: 2 });
    await site.bridge.tell(recordsOf(1, told("1", 1, name("a")), told("2", 2, name("b"))));
    for (const [n, key] of ["3", "4", "5"].entries()) {
      const outcome = await site.bridge.tell(
        recordsOf(1, told(key, 10 + n, {}), told("1", 20 + n, name(`a${n}`))),
      );
      expect(outcome.rejected).toEqual([]);
    }
    expect(await keys()).toEqual(["1", "2"]);
    const [first] = await site.rows("SELECT name FROM inventory_record WHERE key = '1'");
    expect(first).toEqual({ name: "a2" });
    expect(await usage()).toMatchObject({ refused: 3, over_since: START });
    expect((await events()).filter((event) => event === "quota.exceeded")).toHaveLength(1);
    expect(await site.rows("SELECT * FROM dead_letter")).toEqual([]);
    const gone = { kind: "device", at: START, revision: 99, keys: ["2"] };
    const evidence = { how: "tombstone", scans: [] };
    await site.bridge.tell({ type: "deleted", source: "CM1", lease: 1, ...gone, evidence });
    expect(await keys()).toEqual(["1"]);
  });

  test("records that are gone count as long as they have a history", async () => {
    await allow({ records: 1 });
    await site.bridge.tell(recordsOf(1, told("1", 1, {})));
    const gone = { kind: "device", at: START, revision: 2, keys: ["1"] };
    const evidence = { how: "tombstone", scans: [] };
    await site.bridge.tell({ type: "deleted", source: "CM1", lease: 1, ...gone, evidence });
    await site.bridge.tell(recordsOf(1, told("2", 3, {})));
    expect(await keys()).toEqual([]);
    const days = { historyDays: 1, timelineDays: 1 };
    await site.store.run("pruneInventory", { now: START + 2 * 86_400_000, ...days });
    await count();
    await site.bridge.tell(recordsOf(1, told("2", 4, {})));
    expect(await keys()).toEqual(["2"]);
  });
});

describe("octets", () => {
  const flip = (revision: number) =>
    recordsOf(1, told("1", revision, { stable: { text: `${revision}`.padEnd(2_000, "x") } }));

  test("of history end a bridge that changes the same record for ever; its link and other sources go on", async () => {
    await allow({ octets: 200_000 });
    for (let revision = 1; revision <= 200; revision++) await site.bridge.tell(flip(revision));
    const [stored] = await site.rows(
      "SELECT (SELECT sum(octet_length(value)) FROM inventory_history) + (SELECT sum(octet_length(detail)) FROM timeline_event) AS n",
    );
    expect(Number(stored?.["n"])).toBeLessThan(200_000);
    expect(await usage()).toMatchObject({ over_since: START });
    const lease = await site.bridge.lease({ source: "CM2" });
    const entry = recordsOf(lease?.lease ?? 0, told("7", 1, {}));
    await site.bridge.tell({ ...entry, source: "CM2" });
    expect(await keys()).toEqual(["1", "7"]);
    const digest = { kind: "device", at: START, count: 0, buckets: "" };
    const passed = await site.bridge.tell({ type: "digest", source: "CM1", lease: 1, ...digest });
    expect(passed).toMatchObject({ rejected: [], differences: [] });
  });

  test("of lines that words of ours make long are never thought to be fewer than there are", async () => {
    const ids = Array.from({ length: 50 }, (_, AppCI) => AppCI);
    const states = ids.map((AppCI) => ({ AppCI, AppName: "N".repeat(500), AppStatusType: 5 }));
    const errors = (ErrorCode: number) => ids.map((AppCI) => ({ AppCI, ErrorCode }));
    const of = (revision: number, facets: Record<string, unknown>) =>
      site.bridge.tell(recordsOf(1, told("1", revision, facets)));
    await of(1, { applicationStates: states, applicationErrors: errors(1) });
    await count();
    const counted = Number((await usage())?.["octets"]);
    for (let n = 2; n < 12; n++) await of(n, { applicationErrors: errors(n) });
    const estimated = counted + Number((await usage())?.["added_octets"]);
    await count();
    expect(Number((await usage())?.["octets"])).toBeGreaterThan(2 * counted);
    expect(estimated).toBeGreaterThanOrEqual(Number((await usage())?.["octets"]));
  });

  test("of events and of an entry that is too large for what is left count, too", async () => {
    await allow({ octets: 5_000 });
    const said = { type: "event", source: "CM1", lease: 1, at: START, event: "made-up" };
    for (let n = 0; n < 50; n++) await site.bridge.tell({ ...said, message: "x".repeat(1_000) });
    const bridge = await site.rows("SELECT * FROM inventory_event WHERE side = 'bridge'");
    expect(bridge.length).toBeLessThan(5);
    await allow({ octets: 50_000 });
    await site.bridge.tell(recordsOf(1, told("1", 1, { stable: { text: "x".repeat(60_000) } })));
    expect(await keys()).toEqual([]);
    await site.bridge.tell(recordsOf(1, told("1", 1, { stable: { text: "x".repeat(20_000) } })));
    expect(await keys()).toEqual(["1"]);
  });

  test("are never estimated too low, and a count puts them right", async () => {
    await allow({});
    for (let revision = 1; revision <= 20; revision++) await site.bridge.tell(flip(revision));
    const before = await usage();
    await count();
    const after = await usage();
    expect(after).toMatchObject({ records: 1, added_records: 0, added_octets: 0 });
    const [stored] = await site.rows(
      `SELECT (SELECT sum(octet_length(value)) FROM inventory_history) + (SELECT octet_length(stable) FROM inventory_document)
         + (SELECT sum(octet_length(detail)) FROM timeline_event) AS n`,
    );
    expect(Number(stored?.["n"])).toBeGreaterThan(20 * 2_000);
    expect(Number(after?.["octets"])).toBeGreaterThan(Number(stored?.["n"]));
    expect(Number(before?.["added_octets"])).toBeGreaterThanOrEqual(Number(after?.["octets"]));
  });

  test("of memberships count as what they take, and are estimated no lower", async () => {
    await allow({});
    const collections = Array.from({ length: 1_000 }, (_, n) => `S${n + 1_000}`);
    await site.bridge.tell(recordsOf(1, told("1", 1, { collections }), told("2", 2, name("b"))));
    const before = await usage();
    await count();
    const after = await usage();
    const [stored] = await site.rows(
      "SELECT sum(octet_length(collection_key) + 32) AS n FROM inventory_membership",
    );
    expect(stored).toEqual({ n: 1_000 * 37 });
    // The facet itself is a text of as many keys.
    expect(Number(after?.["octets"])).toBeGreaterThan(1_000 * (37 + 8) + 2 * 600);
    expect(Number(before?.["added_octets"])).toBeGreaterThanOrEqual(Number(after?.["octets"]));
    const counted = after?.["octets"];
    await count();
    expect((await usage())?.["octets"]).toBe(counted);
  });

  test("that come while they are counted are not lost", async () => {
    await allow({});
    await site.bridge.tell(flip(1));
    const counting = await InventoryCount.begin(site.store);
    await counting.step(site.store);
    await site.bridge.tell(recordsOf(1, told("2", 50, {})), flip(51));
    let counted = await counting.step(site.store);
    while (counted === undefined) counted = await counting.step(site.store);
    await site.store.run("storeInventoryCount", { now: START, counted });
    const figures = await usage();
    expect(
      Number(figures?.["records"]) + Number(figures?.["added_records"]),
    ).toBeGreaterThanOrEqual(2);
    expect(Number(figures?.["added_octets"])).toBeGreaterThan(2_000);
  });
});

describe("a source with limits of its own", () => {
  test("goes by them, and has room again once they are raised", async () => {
    const small = { records: 1, octets: LARGE.octets };
    await allow({}, { CM1: small });
    await site.bridge.tell(recordsOf(1, told("1", 1, {}), told("2", 2, {})));
    expect(await keys()).toEqual(["1"]);
    await site.store.run("reviewInventoryQuota", { now: START + 1 });
    expect(await usage()).toMatchObject({ over_since: START });
    await allow({}, { CM1: { ...small, records: 5 } });
    expect(await usage()).toMatchObject({ over_since: null });
    expect((await events()).slice(-2)).toEqual(["quota.exceeded", "quota.kept"]);
    await site.bridge.tell(recordsOf(1, told("2", 2, {})));
    expect(await keys()).toEqual(["1", "2"]);
  });

  test("a digest after that asks for what was refused", async () => {
    await allow({ records: 1 });
    const records = [told("1", 1, name("a")), told("2", 2, name("b"))];
    await site.bridge.tell(recordsOf(1, ...records));
    await allow({});
    const zeros = Buffer.alloc(4_096 * 8).toString("base64");
    const digest = { type: "digest", source: "CM1", lease: 1, kind: "device", at: START };
    const { differences } = await site.bridge.tell({ ...digest, count: 2, buckets: zeros });
    expect(differences).toMatchObject([{ source: "CM1", kind: "device" }]);
    expect(await events()).toContain("digest.differs");
  });
});
