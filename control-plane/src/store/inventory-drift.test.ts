import {
  bucketOf,
  DigestBuckets,
  facetHash,
  recordDigest,
} from "@isthmus/shared/link/inventory-digest";
import { MAX_WANTED_BUCKETS } from "@isthmus/shared/link/inventory-messages";
import { afterEach, beforeEach, expect, test } from "vitest";
import { inventoryFixture, recordsOf, START, told } from "../testing/inventory-fixture.ts";

let site: Awaited<ReturnType<typeof inventoryFixture>>;
const about = { source: "CM1", lease: 1, kind: "device", at: START } as const;

beforeEach(async () => {
  site = await inventoryFixture();
  await site.bridge.lease();
});
afterEach(() => site[Symbol.asyncDispose]());

const digestOf = (key: string, identity: unknown) =>
  recordDigest(key, { identity: facetHash(JSON.stringify(identity)) });

/** What a bridge that has these records would say. */
function digest(records: Readonly<Record<string, unknown>>) {
  const buckets = new DigestBuckets();
  for (const [key, identity] of Object.entries(records)) {
    buckets.add(bucketOf(key), digestOf(key, identity));
  }
  const text = buckets.toBytes().toString("base64");
  return { type: "digest", ...about, count: buckets.count, buckets: text };
}

const bucket = (number: number, records: Readonly<Record<string, unknown>>) => ({
  type: "bucket",
  ...about,
  bucket: number,
  records: Object.entries(records).map(([key, identity]) => [key, digestOf(key, identity)]),
});

const tell = (records: Readonly<Record<string, unknown>>) =>
  site.bridge.tell(
    recordsOf(1, ...Object.entries(records).map(([key, identity]) => told(key, 1, { identity }))),
  );
const events = () =>
  site.rows(
    "SELECT event, figures FROM inventory_event WHERE side = 'cloud' AND event <> 'lease.taken'",
  );

const fleet = { a: { Name: "A" }, b: { Name: "B" }, c: { Name: "C" } };

test("the same records have the same digest, whatever is volatile and whoever is gone", async () => {
  await tell(fleet);
  await site.bridge.tell(recordsOf(1, told("a", 2, { volatile: { isOnline: true } })));
  expect(await site.bridge.tell(digest(fleet))).toMatchObject({ differences: [] });
  expect(await events()).toEqual([
    { event: "digest.same", figures: '{"there":3,"here":3,"buckets":0}' },
  ]);
  const evidence = { how: "tombstone", scans: [] };
  await site.bridge.tell({ type: "deleted", ...about, revision: 3, keys: ["c"], evidence });
  const { c: _c, ...rest } = fleet;
  expect(await site.bridge.tell(digest(rest))).toMatchObject({ differences: [] });
});

test("buckets that differ are asked for, and then their records", async () => {
  await tell({ ...fleet, b: { Name: "other" }, d: {} });
  const { b, c, d } = { b: bucketOf("b"), c: bucketOf("c"), d: bucketOf("d") };
  const outcome = await site.bridge.tell(digest({ ...fleet, e: {} }));
  const buckets = [b, d, bucketOf("e")].sort((one, other) => one - other);
  const nothing = { buckets: [], wanted: [], unknown: [] };
  const message = { type: "inventory-differs", source: "CM1", kind: "device", ...nothing };
  expect(outcome.differences).toEqual([{ ...message, buckets }]);
  const answer = await site.bridge.tell(
    bucket(b, { b: fleet.b }),
    bucket(c, { c: fleet.c }),
    bucket(d, {}),
    bucket(bucketOf("e"), { e: {} }),
  );
  expect(answer.differences).toEqual([{ ...message, wanted: ["b", "e"], unknown: ["d"] }]);
  expect((await events()).map(({ event }) => event)).toEqual([
    "digest.differs",
    "bucket.differs",
    "bucket.differs",
    "bucket.differs",
  ]);
});

test("more buckets than one message holds are asked for with the next digest", async () => {
  const many = Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [String(n), {}]));
  const outcome = await site.bridge.tell(digest(many));
  expect(outcome.differences).toHaveLength(1);
  expect(outcome.differences[0]?.buckets).toHaveLength(MAX_WANTED_BUCKETS);
});

test("keys over the limit of one message come in several", async () => {
  const records = Array.from({ length: 1_200 }, (_, n) => [`k${n}`, "0".repeat(16)]);
  const outcome = await site.bridge.tell({ type: "bucket", ...about, bucket: 1, records });
  expect(outcome.differences.map(({ wanted }) => wanted.length)).toEqual([500, 500, 200]);
});

test("a digest of another length is no digest", async () => {
  const outcome = await site.bridge.tell({ ...digest(fleet), buckets: "AAAA" });
  expect(outcome.rejected).toEqual([{ seq: 1, code: "digest-length" }]);
});
