import { afterEach, beforeEach, expect, test } from "vitest";
import { inventoryFixture, recordsOf, START, told } from "../testing/inventory-fixture.ts";
import { recordsOfKey, waitingDeletions } from "./record-lookups.ts";

let site: Awaited<ReturnType<typeof inventoryFixture>>;

beforeEach(async () => {
  site = await inventoryFixture();
  await site.bridge.lease();
});
afterEach(() => site[Symbol.asyncDispose]());

const event = (what: string, at: number, more: object = {}) => ({
  ...{ type: "event", source: "CM1", lease: 1, at: START + at, event: what, message: "m" },
  ...{ kind: "device", ...more },
});
const waiting = (count: number, keys?: readonly string[]) => ({
  figures: { waiting: count, records: 20 },
  ...(keys && { keys }),
});

test("a key is found in every source that has it, and not where its record is gone", async () => {
  await site.bridge.tell(recordsOf(1, told("7", 1, {}), told("8", 2, {})));
  const lease = await site.bridge.lease({ source: "CM2" });
  const entry = recordsOf(lease?.lease ?? 0, told("7", 1, {}));
  await site.bridge.tell({ ...entry, source: "CM2" });
  const found = await recordsOfKey(site.store, { kind: "device", keys: ["7", "7", "none"] });
  expect(found.map(({ source }) => source)).toEqual(["CM1", "CM2"]);
  expect(await recordsOfKey(site.store, { kind: "user", keys: ["7"] })).toEqual([]);
  const gone = { type: "deleted", source: "CM1", lease: 1, kind: "device", at: START, revision: 9 };
  const evidence = { how: "tombstone", scans: [] };
  await site.bridge.tell({ ...gone, keys: ["7"], evidence });
  expect(await recordsOfKey(site.store, { kind: "device", keys: ["7"] })).toMatchObject([
    { source: "CM2", sourceType: "configmgr" },
  ]);
});

test("deletions that wait have the names that their records have here, as the last scan told them", async () => {
  await site.bridge.tell(recordsOf(1, told("7", 1, { identity: { Name: "PC7" } })));
  const records = await site.rows("SELECT id FROM inventory_record");
  expect(await waitingDeletions(site.store, "CM1")).toEqual([]);
  await site.bridge.tell(
    event("scan.ended", 1, waiting(0)),
    event("deletions.waiting", 2, waiting(3, ["7", "9"])),
    event("scan.ended", 2, waiting(3, ["7", "9"])),
    event("scan.ended", 4, waiting(2, ["7"])),
  );
  const found = [
    {
      ...{ kind: "device", waiting: 2, of: 20, toldAt: START + 4, since: START + 2 },
      approvedAt: undefined,
      first: [{ key: "7", recordId: records[0]?.["id"], name: "PC7" }],
    },
  ];
  expect(await waitingDeletions(site.store, "CM1")).toEqual(found);
  await site.bridge.tell(event("deletions.approved", 5, { figures: { approved: 2 } }));
  const approved = found.map((each) => ({ ...each, approvedAt: START + 5 }));
  expect(await waitingDeletions(site.store, "CM1")).toEqual(approved);
  await site.bridge.tell(event("scan.ended", 6, waiting(0)));
  expect(await waitingDeletions(site.store, "CM1")).toEqual([]);
});

test("a bridge that names no keys, as older ones do, is counted all the same", async () => {
  await site.bridge.tell(event("deletions.waiting", 1, waiting(3)));
  expect(await waitingDeletions(site.store, "CM1")).toMatchObject([{ waiting: 3, first: [] }]);
});
