import { bucketOf } from "@isthmus/shared/link/inventory-digest";
import { expect, test } from "vitest";
import { CloudModel } from "../testing/cloud-model.ts";
import { InventoryStore } from "../testing/inventory-store.ts";
import { MAX_SUSPECTED } from "./inventory-digests.ts";

const ABOUT = { source: "CM1", kind: "device" as const };
const FACETS = ["identity", "SMS_G_System_DISK"];

function world() {
  const store = new InventoryStore();
  const cloud = new CloudModel(ABOUT.source, ABOUT.kind);
  cloud.lease = 1;
  store.run("takeLease", { source: "CM1", lease: 1, revision: 0, at: 0 });
  const whose = (at: number) => ({ ...ABOUT, lease: 1, at });
  const records = [1, 2, 3].map((key) => ({
    key: String(key),
    facets: { identity: `${key}`, SMS_G_System_DISK: "[1]" },
  }));
  const scan = (at: number) => {
    const reading = { range: undefined, facets: FACETS, records, pages: { all: "x" } };
    store.run("applyRange", { ...whose(at), ...reading });
    const limits = { maxDeletedShare: 1, minDeleted: 0 };
    return store.run("endScan", { ...whose(at + 1), beganAt: at, ...limits });
  };
  const deliver = () => {
    const told = store.told();
    for (const entry of told) cloud.apply(entry);
    return told;
  };
  return { store, cloud, whose, scan, deliver, records };
}

test("nothing is said of a state that has not seen two complete scans, or was restored since", () => {
  const { store, whose, scan } = world();
  const told: boolean[] = [];
  for (let at = 10; at < 40; at += 10) {
    told.push(store.run("tellDigest", whose(at)));
    scan(at);
  }
  told.push(store.run("tellDigest", whose(50)));
  store.beginEpoch();
  told.push(store.run("tellDigest", whose(60)));
  expect(told).toEqual([false, false, true, true, false]);
});

test("a digest is that of what was told; a bucket that differs is listed, and what is wanted is told whole", () => {
  const { store, cloud, whose, scan, deliver, records } = world();
  scan(10);
  scan(20);
  store.run("tellDigest", whose(30));
  deliver();
  expect(cloud.isEqual).toBe(true);
  cloud.records.get("2")?.delete("identity");
  cloud.records.get("2")?.set("excess", { hash: "0000000000000000", value: 1 });
  store.run("tellDigest", whose(31));
  deliver();
  const buckets = cloud.takeDiffers();
  expect(buckets).toMatchObject({ buckets: [bucketOf("2")], wanted: [], unknown: [] });
  if (buckets === undefined) return;
  expect(store.run("takeDifferences", { ...buckets, lease: 1, at: 32 }).toRead).toEqual([]);
  deliver();
  const wanted = cloud.takeDiffers();
  expect(wanted).toMatchObject({ buckets: [], wanted: ["2"], unknown: [] });
  if (wanted === undefined) return;
  expect(store.run("takeDifferences", { ...wanted, lease: 1, at: 33 }).toRead).toEqual(["2"]);
  expect(store.run("pagesOf", { ...ABOUT, range: undefined })).toEqual({});
  const read = records.filter(({ key }) => key === "2");
  store.run("applyChanges", { ...whose(34), facets: FACETS, records: read, tombstones: [] });
  store.run("tellDigest", whose(35));
  expect(deliver()).toContainEqual(
    expect.objectContaining({
      type: "records",
      records: [expect.objectContaining({ isWhole: true })],
    }),
  );
  expect(cloud.isEqual).toBe(true);
});

test("a record that neither the site nor the control plane has is forgotten without an approval", () => {
  const { store, cloud, whose, scan, deliver, records } = world();
  scan(10);
  scan(20);
  const all = records.splice(0, 2);
  const mayNone = { maxDeletedShare: 0, minDeleted: 0 };
  for (const at of [30, 40, 50]) {
    const reading = { range: undefined, facets: FACETS, records, pages: { all: `${at}` } };
    store.run("applyRange", { ...whose(at), ...reading });
    store.run("endScan", { ...whose(at + 1), beganAt: at, ...mayNone });
  }
  deliver();
  // Another bridge, where somebody approved it, deleted one of the two that wait here.
  cloud.records.delete("1");
  const differ = () => {
    store.run("tellDigest", whose(60));
    deliver();
    return cloud.takeDiffers();
  };
  const buckets = differ();
  if (buckets !== undefined) store.run("takeDifferences", { ...buckets, lease: 1, at: 61 });
  deliver();
  const wanted = cloud.takeDiffers();
  expect(wanted).toMatchObject({ wanted: ["1"] });
  if (wanted === undefined) return;
  expect(store.run("takeDifferences", { ...wanted, lease: 1, at: 62 }).toRead).toEqual([]);
  expect(differ()).toBeUndefined();
  expect([...cloud.records.keys()].sort()).toEqual(["2", "3"]);
  // Back at the site, it is told whole.
  records.unshift(...all);
  scan(70);
  deliver();
  expect([...cloud.records.keys()].sort()).toEqual(["1", "2", "3"]);
  expect(cloud.isEqual).toBe(true);
});

test("a wanted record that is read in parts is told in parts", () => {
  const { store, whose, scan, deliver } = world();
  scan(10);
  deliver();
  const differs = { type: "inventory-differs" as const, ...ABOUT, buckets: [], unknown: [] };
  store.run("takeDifferences", { ...differs, wanted: ["1"], lease: 1, at: 20 });
  deliver();
  const part = (facet: string, text: string) => {
    const records = [{ key: "1", facets: { [facet]: text } }];
    store.run("applyChanges", { ...whose(30), facets: [facet], records, tombstones: [] });
    return deliver();
  };
  const told = [part("identity", "1"), part("identity", "1"), part("SMS_G_System_DISK", "[1]")];
  expect(told.map((entries) => entries.length)).toEqual([1, 0, 1]);
  expect(told.flat()).toMatchObject([
    { records: [{ isWhole: false }] },
    { records: [{ isWhole: false }] },
  ]);
});

test("a digest has every record once, however many there are and whatever their keys", () => {
  const { store, cloud, whose, deliver } = world();
  const keys = Array.from({ length: 4_001 }, (_, n) => [String(n), `SMS${n}`, `0${n}`]).flat();
  const records = keys.map((key) => ({ key, facets: { identity: JSON.stringify(key) } }));
  for (let at = 0; at < records.length; at += 500) {
    const some = records.slice(at, at + 500);
    store.run("applyChanges", { ...whose(5), facets: ["identity"], records: some, tombstones: [] });
    deliver();
  }
  for (const at of [10, 20]) {
    const limits = { maxDeletedShare: 0, minDeleted: 0 };
    store.run("endScan", { ...whose(at + 1), beganAt: at, ...limits });
  }
  store.run("tellDigest", whose(30));
  expect(deliver()).toContainEqual(expect.objectContaining({ type: "digest", count: keys.length }));
  expect(cloud.isEqual).toBe(true);
});

test("an empty bucket is listed, too", () => {
  const { store, scan, deliver } = world();
  scan(10);
  deliver();
  const differs = { type: "inventory-differs" as const, ...ABOUT, wanted: [], unknown: [] };
  const buckets = [bucketOf("1"), bucketOf("nobody")];
  store.run("takeDifferences", { ...differs, buckets, lease: 1, at: 20 });
  expect(deliver()).toMatchObject([
    { type: "bucket", bucket: buckets[0], records: [["1", expect.any(String)]] },
    { type: "bucket", bucket: buckets[1], records: [] },
  ]);
});

test("what only the control plane has is looked for in two complete scans, and deleted as a repair", () => {
  const { store, whose, scan, deliver } = world();
  scan(10);
  scan(20);
  deliver();
  const differs = { type: "inventory-differs" as const, ...ABOUT, buckets: [], wanted: [] };
  store.run("takeDifferences", { ...differs, unknown: ["9", "1"], lease: 1, at: 30 });
  expect(store.run("sourceFigures", {})).toMatchObject([{ records: 3, unknown: 1 }]);
  store.run("tellDigest", whose(31));
  expect(deliver()).toContainEqual(expect.objectContaining({ type: "digest", count: 3 }));
  expect([scan(40).deleted, scan(50).deleted]).toEqual([0, 1]);
  expect(deliver()).toContainEqual(
    expect.objectContaining({
      type: "deleted",
      keys: ["9"],
      evidence: expect.objectContaining({ how: "repair" }),
    }),
  );
  expect(store.run("sourceFigures", {})).toMatchObject([{ records: 3, unknown: 0 }]);
});

test("the figures and the backlog say what there is", () => {
  const { store, scan } = world();
  scan(10);
  expect(store.run("backlog", {})).toEqual({ entries: 2 });
  store.run("note", {
    source: "CM1",
    lease: 1,
    at: 11,
    event: "scan.began",
    message: "x".repeat(2_000),
  });
  expect(store.told().at(-1)).toMatchObject({ event: "scan.began", message: "x".repeat(1_024) });
  expect(store.run("sourceFigures", {})).toEqual([
    {
      ...ABOUT,
      lease: 1,
      revision: 3,
      records: 3,
      missing: 0,
      unknown: 0,
      waiting: 0,
      approved: 0,
      completeScans: 1,
      lastScan: { beganAt: 10, endedAt: 11 },
      lastDigestAt: undefined,
      refused: 0,
    },
  ]);
});

test("keys that nobody ever had are looked for up to a limit, however many the control plane names", () => {
  const { store } = world();
  const differs = { type: "inventory-differs" as const, ...ABOUT, buckets: [], wanted: [] };
  for (let n = 0; n <= MAX_SUSPECTED; n += 500) {
    const unknown = Array.from({ length: 500 }, (_, m) => `made-up-${n + m}`);
    store.run("takeDifferences", { ...differs, unknown, lease: 1, at: 10 });
  }
  const [row] = store.rows("SELECT count(*) AS n FROM record_state WHERE is_suspected = 1");
  expect(row?.["n"]).toBe(MAX_SUSPECTED);
});
