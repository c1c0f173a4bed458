import { InventoryInMemory } from "@isthmus/control-plane/testing/inventory-memory";
import { lineOf, STORED_ENTRIES } from "@isthmus/shared/link/lane-operations";
import { expect, test } from "vitest";
import { FIRST, SyncedSite, type Told } from "./synced-site.ts";

/** Whatever a site has in its columns, both ends of the link have the same of it, hash for hash. */

const TEXTS = [
  ...["\u0000", "a\u0000b", "\ud800", "\udc00\ud800", "\ufeff", "\u2028\u2029", "\u001b[2J\u0007"],
  ...['=HYPERLINK("http://attacker.example")', "'; DROP TABLE device; --", "\ud83d\ude00"],
  "x".repeat(20_000),
];
/** As they stand in the site's answer, in a column that has numbers: a provider in the wrong hands writes what it likes. */
const WRITTEN = [
  ...["1e308", "-1e308", "1e400", "5e-324", "-0", "9007199254740993", "-9223372036854775808"],
  ...["0.1", "1E+2", "null", "true", "[]", "{}", "[[[]]]", '"\\ud800"', '"\\u0000"'],
  ...['{"b":1,"1":2,"a":{"2":1,"1":2}}', '{"a":1,"a":2}', '{"":{"":""}}'],
  '{"__proto__":{"isAdmin":true},"constructor":{"prototype":1},"toString":"x","hasOwnProperty":1}',
];

const DEVICES = TEXTS.length + WRITTEN.length + 5;

test("no value of a column makes the two sides differ", async () => {
  const inventoryClasses = ["SMS_G_System_LOGICAL_DISK", "SMS_G_System_PC_BIOS"];
  await using synced = await SyncedSite.start({
    ...{ site: { devices: DEVICES }, inventoryClasses },
  });
  const change = (number: number, columns: Readonly<Record<string, Told>>) =>
    synced.site.change({ kind: "device", resourceId: FIRST + number, change: { columns } });
  for (const [index, value] of TEXTS.entries()) {
    change(index, {
      SMS_R_System: { Name: value, DistinguishedName: value, SMSUniqueIdentifier: value },
      SMS_G_System_LOGICAL_DISK: { VolumeName: value, FileSystem: value },
      SMS_G_System_PC_BIOS: { SerialNumber: value, Manufacturer: value },
    });
  }
  for (const [index, written] of WRITTEN.entries()) {
    change(TEXTS.length + index, { SMS_G_System_LOGICAL_DISK: { Size: written } });
  }
  synced.run();
  await synced.untilScans(3);
  const rows = await synced.store.query(
    `SELECT entry, bytes FROM ${STORED_ENTRIES} WHERE stream = 'inventory' ORDER BY position`,
    [],
    5_000,
  );
  using cloud = new InventoryInMemory();
  const lines = rows.map(lineOf);
  const { rejected, differences } = cloud.tell(lines);
  expect([rejected, differences]).toEqual([[], []]);
  expect(cloud.rows("SELECT code FROM dead_letter")).toEqual([]);
  expect(
    cloud.rows("SELECT event FROM inventory_event WHERE event LIKE 'digest.%'"),
  ).toContainEqual({ event: "digest.same" });
  expect(cloud.rows("SELECT event FROM inventory_event WHERE event = 'digest.differs'")).toEqual(
    [],
  );
  const [count] = cloud.rows("SELECT count(*) AS n FROM inventory_record WHERE kind = 'device'");
  expect(count?.["n"]).toBe(DEVICES);
  expect(lines.some((line) => line.includes("DROP TABLE"))).toBe(true);
  expect(({} as { isAdmin?: boolean }).isAdmin).toBeUndefined();
});
