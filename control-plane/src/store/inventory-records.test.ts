import { facetHash, recordDigest } from "@isthmus/shared/link/inventory-digest";
import { afterEach, beforeEach, expect, test } from "vitest";
import { inventoryFixture, recordsOf, START, told } from "../testing/inventory-fixture.ts";

const DAY_MS = 86_400_000;
const identity = { Name: "PC-1", SMSID: "GUID:1", SID: "S-1-5-21-1", AADDeviceID: "e-1" };
const stable = { Model: "Latitude", Manufacturer: "Dell", isCoManaged: true };
const online = { isOnline: true, lastSeenAt: START };

let site: Awaited<ReturnType<typeof inventoryFixture>>;
let lease = 0;

beforeEach(async () => {
  site = await inventoryFixture();
  lease = (await site.bridge.lease())?.lease ?? 0;
});
afterEach(() => site[Symbol.asyncDispose]());

const record = async () => (await site.rows("SELECT * FROM inventory_record"))[0];
const facets = async () =>
  Object.fromEntries(
    (await site.rows("SELECT facet, value FROM inventory_facet")).map(({ facet, value }) => [
      facet,
      JSON.parse(String(value)),
    ]),
  );
const timeline = () => site.rows("SELECT kind, title, detail FROM timeline_event ORDER BY id");

test("a new device has its facets, columns, memberships and one line in its timeline", async () => {
  const collections = ["CM100001", "CM100002"];
  const device = told("16777216", 1, { identity, stable, volatile: online, collections });
  const outcome = await site.bridge.tell(recordsOf(lease, device));
  expect(outcome).toMatchObject({ seq: 1, rejected: [], differences: [] });
  expect(await facets()).toEqual({ identity, stable, volatile: online, collections });
  expect(await record()).toMatchObject({
    key: "16777216",
    name: "PC-1",
    smsid: "GUID:1",
    sid: "S-1-5-21-1",
    entra_device_id: "e-1",
    model: "Latitude",
    manufacturer: "Dell",
    is_co_managed: 1,
    is_online: 1,
    last_seen_at: START,
    digest: recordDigest("16777216", {
      identity: facetHash(JSON.stringify(identity)),
      stable: facetHash(JSON.stringify(stable)),
      collections: facetHash(JSON.stringify(collections)),
    }),
  });
  expect(await site.rows("SELECT collection_key FROM inventory_membership")).toHaveLength(2);
  expect(await timeline()).toEqual([
    { kind: "device.appeared", title: "PC-1 is in CM1", detail: null },
  ]);
});

test("what changed is history, and a line of the timeline says from what to what", async () => {
  await site.bridge.tell(recordsOf(lease, told("1", 1, { identity, stable, collections: ["A"] })));
  const change = { stable: { ...stable, Model: "Surface" }, collections: ["B"] };
  await site.bridge.tell(recordsOf(lease, told("1", 2, change)));
  expect(await facets()).toMatchObject({ identity, stable: { Model: "Surface" } });
  expect(await record()).toMatchObject({ model: "Surface", changed_at: START + 2 });
  expect(await site.rows("SELECT facet, revision, at, until FROM inventory_history")).toEqual([
    { facet: "collections", revision: 1, at: START + 1, until: START + 2 },
    { facet: "stable", revision: 1, at: START + 1, until: START + 2 },
  ]);
  expect(await site.rows("SELECT collection_key FROM inventory_membership")).toEqual([
    { collection_key: "B" },
  ]);
  const [, line] = await timeline();
  expect(line).toMatchObject({
    kind: "inventory.changed",
    title: "Model, Collections changed",
  });
  expect(JSON.parse(String(line?.["detail"]))).toEqual({
    revision: 2,
    isCut: false,
    fields: [
      { facet: "stable", path: "Model", before: "Latitude", after: "Surface" },
      { facet: "collections", path: "", before: "A" },
      { facet: "collections", path: "", after: "B" },
    ],
  });
});

test("an older revision and the same one again change nothing", async () => {
  await site.bridge.tell(recordsOf(lease, told("1", 5, { stable })));
  await site.bridge.tell(recordsOf(lease, told("1", 5, { stable: { Model: "x" } })));
  await site.bridge.tell(recordsOf(lease, told("1", 4, { stable: { Model: "y" } })));
  expect(await facets()).toEqual({ stable });
  expect(await record()).toMatchObject({ revision: 5 });
  expect(await site.bridge.lease()).toMatchObject({ revision: 5 });
});

test("a facet whose value is null is gone, and a whole record has no others than it tells", async () => {
  const classes = { SMS_G_System_X: [{ a: 1 }], SMS_G_System_Y: [] };
  await site.bridge.tell(recordsOf(lease, told("1", 1, { identity, stable, ...classes })));
  await site.bridge.tell(recordsOf(lease, told("1", 2, { SMS_G_System_X: null })));
  expect(Object.keys(await facets()).sort()).toEqual(["SMS_G_System_Y", "identity", "stable"]);
  await site.bridge.tell(recordsOf(lease, told("1", 3, { identity }, { isWhole: true })));
  expect(Object.keys(await facets())).toEqual(["identity"]);
  expect(await record()).toMatchObject({ name: "PC-1", model: null });
});

test("a first value of a facet is no change in the timeline", async () => {
  await site.bridge.tell(recordsOf(lease, told("1", 1, { identity })));
  await site.bridge.tell(recordsOf(lease, told("1", 2, { SMS_G_System_X: [{ a: 1 }] })));
  expect(await timeline()).toHaveLength(1);
});

test("of volatile the timeline has going off line alone, and history the last value of a day", async () => {
  const seen = (revision: number, at: number, isOnline: boolean) =>
    told("1", revision, { volatile: { isOnline, lastSeenAt: at } }, { at });
  const times = [START, START + 1_000, START + 2_000, START + DAY_MS, START + DAY_MS + 1_000];
  for (const [index, at] of times.entries()) {
    await site.bridge.tell(recordsOf(lease, seen(index + 1, at, index < 2)));
  }
  expect((await timeline()).map(({ kind }) => kind)).toEqual(["device.appeared", "device.offline"]);
  expect(await site.rows("SELECT at, until FROM inventory_history")).toEqual([
    { at: START + 2_000, until: START + DAY_MS },
  ]);
  expect(await record()).toMatchObject({ is_online: 0, last_seen_at: START + DAY_MS + 1_000 });
});

test("a record whose hash is not that of its value is refused alone, with its bytes", async () => {
  const bad = told("2", 1, { stable });
  const facet = { hash: "0".repeat(16), value: { Model: "forged" } };
  const good = [told("1", 1, { stable }), told("3", 1, { stable })] as const;
  const outcome = await site.bridge.tell(
    recordsOf(lease, good[0], { ...bad, facets: { identity: facet, ...bad.facets } }, good[1]),
  );
  expect(outcome).toMatchObject({ rejected: [] });
  expect(await site.rows("SELECT key FROM inventory_record ORDER BY key")).toEqual([
    { key: "1" },
    { key: "3" },
  ]);
  expect(await site.rows("SELECT stream, seq, code FROM dead_letter")).toEqual([
    { stream: "inventory", seq: 1, code: "facet-hash-wrong" },
  ]);
  expect(
    await site.rows("SELECT event, figures FROM inventory_event WHERE event <> 'lease.taken'"),
  ).toEqual([{ event: "records.refused", figures: '{"refused":1}' }]);
});

const deleted = (keys: string[], revision: number) => ({
  type: "deleted",
  source: "CM1",
  lease,
  kind: "device",
  at: START + revision,
  revision,
  keys,
  evidence: { how: "scans", scans: [{ beganAt: START, endedAt: START + 1 }] },
});

test("a deleted device keeps its row and history, and may come back", async () => {
  await site.bridge.tell(recordsOf(lease, told("1", 1, { identity, collections: ["A"] })));
  await site.bridge.tell(deleted(["1", "2"], 2));
  expect(await record()).toMatchObject({ deleted_at: START + 2, name: "PC-1" });
  expect(await facets()).toEqual({});
  expect(await site.rows("SELECT facet, until FROM inventory_history")).toHaveLength(2);
  expect(await site.rows("SELECT * FROM inventory_membership")).toEqual([]);
  await site.bridge.tell(recordsOf(lease, told("1", 3, { identity, collections: ["A"] })));
  expect(await record()).toMatchObject({ deleted_at: null });
  expect(await site.rows("SELECT * FROM inventory_membership")).toHaveLength(1);
  expect((await timeline()).map(({ kind }) => kind)).toEqual([
    "device.appeared",
    "device.deleted",
    "device.reappeared",
  ]);
});

test("a deletion that is older than the record does nothing", async () => {
  await site.bridge.tell(recordsOf(lease, told("1", 3, { identity })));
  await site.bridge.tell(deleted(["1"], 2));
  expect(await record()).toMatchObject({ deleted_at: null });
  expect(await facets()).toEqual({ identity });
});

test("entries under another lease or of a connector without one are passed over and told of once", async () => {
  const other = await site.connector("other");
  const entry = recordsOf(lease, told("1", 1, { identity }));
  expect(await other.tell(entry, entry)).toMatchObject({ seq: 2, rejected: [] });
  expect(await site.bridge.tell({ ...entry, lease: lease + 1 })).toMatchObject({ rejected: [] });
  expect(await site.bridge.tell({ ...entry, source: "CM2" })).toMatchObject({ rejected: [] });
  expect(await site.rows("SELECT * FROM inventory_record")).toEqual([]);
  expect(await site.rows("SELECT * FROM dead_letter")).toEqual([]);
  expect(await site.rows("SELECT passed_over FROM inventory_source")).toEqual([{ passed_over: 3 }]);
  const events = await site.rows(
    "SELECT connector_id FROM connector_event WHERE event = 'inventory.passed-over' ORDER BY 1",
  );
  expect(events).toEqual([{ connector_id: "bridge" }, { connector_id: "other" }]);
});

test("the stream is nobody's but a bridge's", async () => {
  const other = await site.connector("ca", "cert-connector");
  const entry = recordsOf(lease, told("1", 1, { identity }));
  await expect(other.tell(entry)).rejects.toMatchObject({ code: "stream-unknown" });
  expect(await other.lease()).toBeUndefined();
});
