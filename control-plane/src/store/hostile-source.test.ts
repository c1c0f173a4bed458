import { DIGEST_BYTES } from "@isthmus/shared/link/inventory-digest";
import { afterEach, beforeEach, expect, test } from "vitest";
import { inventoryFixture, recordsOf, START, told } from "../testing/inventory-fixture.ts";

/** A bridge in the hands of an attacker, with a lease that it really holds. */

const DAY_MS = 86_400_000;
const HIGHEST = (START + DAY_MS) * 1_000;
const ABOUT = { source: "CM1", kind: "device" } as const;

let fixture: Awaited<ReturnType<typeof inventoryFixture>>;
let lease: number;

beforeEach(async () => {
  fixture = await inventoryFixture();
  lease = (await fixture.bridge.lease())?.lease ?? 0;
});
afterEach(() => fixture[Symbol.asyncDispose]());

const rows = (sql: string) => fixture.store.query<Record<string, unknown>>(sql, [], 1_000);
const source = async () => (await rows("SELECT * FROM inventory_source"))[0];

test("a revision that would leave the next bridge none to count on is refused; the highest plausible one is taken", async () => {
  const { bridge } = fixture;
  const record = (key: string, revision: number) =>
    told(key, revision, { identity: { Name: key } }, { at: START });
  await bridge.tell(recordsOf(lease, record("1", 5), record("2", Number.MAX_SAFE_INTEGER)));
  await bridge.tell(recordsOf(lease, record("3", HIGHEST + 1)));
  expect((await source())?.["revision"]).toBe(5);
  const deleted = { type: "deleted", ...ABOUT, lease, at: START, keys: ["1"] } as const;
  const evidence = { how: "tombstone", scans: [] } as const;
  await bridge.tell({ ...deleted, evidence, revision: Number.MAX_SAFE_INTEGER });
  expect(await rows("SELECT key, deleted_at FROM inventory_record")).toEqual([
    { key: "1", deleted_at: null },
  ]);
  await bridge.tell(recordsOf(lease, record("4", HIGHEST)));
  expect(await source()).toMatchObject({ revision: HIGHEST, refused: 2 });
});

test("what is dated in a future that no clock explains is kept no longer than anything else", async () => {
  const { bridge } = fixture;
  const at = 8_640_000_000_000_000;
  const identity = (name: string) => ({ identity: { Name: name } });
  await bridge.tell(recordsOf(lease, told("1", 1, identity("a"), { at })));
  await bridge.tell(recordsOf(lease, told("1", 2, identity("b"), { at })));
  const evidence = { how: "tombstone", scans: [] } as const;
  const deleted = { type: "deleted", ...ABOUT, lease, at, keys: ["1"], evidence } as const;
  await bridge.tell({ ...deleted, revision: 3 });
  await bridge.tell({ type: "event", source: "CM1", lease, at, event: "x", message: "" });
  const latest = START + DAY_MS;
  const times = [
    ...(await rows("SELECT max(until) AS at FROM inventory_history")),
    ...(await rows("SELECT max(deleted_at) AS at FROM inventory_record")),
    ...(await rows("SELECT max(at) AS at FROM timeline_event")),
    ...(await rows("SELECT max(at) AS at FROM inventory_event")),
  ];
  for (const time of times) expect(time["at"]).toBeLessThanOrEqual(latest);
  const retention = { historyDays: 90, timelineDays: 90, now: latest + 91 * DAY_MS };
  while ((await fixture.store.run("pruneInventory", retention)).isMore);
  expect(await rows("SELECT id FROM inventory_record")).toEqual([]);
  expect(await rows("SELECT record_id FROM inventory_history")).toEqual([]);
});

test("digests without end are compared 64 times a minute, and malformed ones not at all", async () => {
  const { bridge } = fixture;
  const buckets = Buffer.alloc(DIGEST_BYTES, 1).toString("base64");
  const digest = { type: "digest", ...ABOUT, lease, at: START, count: 1, buckets } as const;
  for (let n = 0; n < 5; n += 1) {
    await bridge.tell(...Array.from({ length: 20 }, () => digest));
  }
  const compared = () =>
    rows("SELECT count(*) AS n FROM inventory_event WHERE event = 'digest.differs'");
  expect(await compared()).toEqual([{ n: 64 }]);
  const outcome = await bridge.tell({ ...digest, buckets: "AAAA" });
  expect(outcome.rejected).toMatchObject([{ code: "digest-length" }]);
});

test("a lease number that it claims cannot use up those that come after it", async () => {
  const { bridge } = fixture;
  for (let n = 0; n < 3; n += 1) {
    lease = (await bridge.lease({ lease: 2 ** 52 - 1 }))?.lease ?? 0;
    lease = (await bridge.lease({ lease: Number.MAX_SAFE_INTEGER }))?.lease ?? 0;
  }
  expect(lease).toBeLessThan(2 ** 52);
});
