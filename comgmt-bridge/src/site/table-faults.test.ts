import { ConnectorError, ProtocolError } from "@isthmus/shared/errors";
import { beforeEach, expect, test } from "vitest";
import { deviceTables } from "../core/device-tables.ts";
import { SYSTEM_KEYS } from "../core/site-table.ts";
import type { KindOfSite, LaidOutTable } from "./site-tables.ts";
import { TableFaults } from "./table-faults.ts";

const BIOS = "SMS_G_System_PC_BIOS";
const DISKS = "SMS_G_System_LOGICAL_DISK";

const { spine, others } = deviceTables({
  inventoryClasses: [BIOS, DISKS],
  isUpdateComplianceRead: true,
  areApplicationStatesRead: true,
  areBoundaryGroupsRead: true,
});
const laidOut = (table: LaidOutTable["table"]): LaidOutTable => ({
  ...{ table, keyName: SYSTEM_KEYS[0] ?? "", select: undefined, layout: table.id },
});
const kind: KindOfSite = {
  ...{ kind: "device", isInRanges: true, spine: laidOut(spine), others: others.map(laidOut) },
  ...{ isAllThereIs: true, ids: new Set([spine, ...others].map(({ id }) => id)) },
};
const anywhere: { readonly collections: string[] } = { collections: [] };

let faults: TableFaults;
let told: (readonly [string, string | undefined])[];

beforeEach(() => {
  told = [];
  faults = new TableFaults((table, fault) => told.push([table, fault?.code]));
});

const tableOf = (id: string): LaidOutTable =>
  [kind.spine, ...kind.others].find(({ table }) => table.id === id) ?? kind.spine;
const reads = (id: string, stage: Stage = "looked-into", scope = anywhere) =>
  faults.noting({ kind, scope, table: tableOf(id), stage }, async () => {});
async function fails(id: string, error: unknown = broken, of: Partial<typeof how> = {}) {
  const noted = faults.noting({ kind, table: tableOf(id), ...how, ...of }, async () => {
    throw error;
  });
  await expect(noted).rejects.toBe(error);
}
const how: { readonly scope: { readonly collections: string[] }; readonly stage: Stage } = {
  ...{ scope: anywhere, stage: "looked-into" },
};
type Stage = "asked" | "looked-into";
const broken = new ProtocolError("admin-service-answer", "it is no JSON");
const leftOut = () => [...(faults.without(kind).leftOut ?? [])];

test("a table that fails twice while others are read is left out, and the kind is not all there is", async () => {
  await reads(spine.id);
  await fails(BIOS);
  expect(leftOut()).toEqual([]);
  await reads(spine.id);
  await fails(BIOS);
  const { others: kept, isAllThereIs, ids } = faults.without(kind);
  expect(leftOut()).toEqual([BIOS]);
  expect(kept.map(({ table }) => table.id)).not.toContain(BIOS);
  expect([isAllThereIs, ids.has(BIOS)]).toEqual([false, true]);
  expect(told).toEqual([[BIOS, "admin-service-answer"]]);
});

test("in the next scan it is tried once more, left out at its first fault, and back after its first reading", async () => {
  for (const _ of [1, 2]) {
    await reads(spine.id);
    await fails(BIOS);
  }
  faults.tryAgain();
  expect(leftOut()).toEqual([]);
  await reads(spine.id);
  await fails(BIOS);
  expect(leftOut()).toEqual([BIOS]);
  faults.tryAgain();
  await reads(BIOS);
  expect(leftOut()).toEqual([]);
  expect(told.at(-1)).toEqual([BIOS, undefined]);
});

test("that a page comes says nothing of a table whose pages cannot be used", async () => {
  for (const _ of [1, 2]) {
    await reads(spine.id, "asked");
    await reads(BIOS, "asked");
    await fails(BIOS);
  }
  expect(leftOut()).toEqual([BIOS]);
});

test("a table that does not answer while others do is left out like one that is broken, and known by its class until it is read", async () => {
  const silent = new ConnectorError("site-class-silent", "nothing came", { isRetryable: true });
  for (const _ of [1, 2]) {
    await reads(spine.id);
    await fails(BIOS, silent, { stage: "asked" });
  }
  expect(leftOut()).toEqual([BIOS]);
  expect([faults.hasFailed(BIOS), faults.hasFailed(DISKS)]).toEqual([true, false]);
  faults.tryAgain();
  expect([leftOut(), faults.hasFailed(BIOS)]).toEqual([[], true]);
  await reads(BIOS);
  expect(faults.hasFailed(BIOS)).toBe(false);
});

test("what the probe found silent stays left out beside what is found later", async () => {
  const { others: rest, ...of } = faults.without({ ...kind, leftOut: new Set([DISKS]) });
  expect([of.leftOut, rest.length]).toEqual([new Set([DISKS]), kind.others.length]);
  for (const _ of [1, 2]) {
    await reads(spine.id);
    await fails(BIOS);
  }
  const { leftOut: both } = faults.without({ ...kind, leftOut: new Set([DISKS]) });
  expect(both).toEqual(new Set([DISKS, BIOS]));
});

test("where all tables fail, the site is at fault and none is left out", async () => {
  const failed = new ConnectorError("site-failed", "500", { isRetryable: true });
  await reads(spine.id);
  for (const _ of [1, 2, 3]) for (const id of [spine.id, BIOS, DISKS]) await fails(id, failed);
  expect(leftOut()).toEqual([]);
});

test.each([
  "site-timeout",
  "site-unreachable",
  "site-throttled",
  "site-circuit-open",
  "store-full",
])("a fault %s is nothing of the table", async (code) => {
  for (const _ of [1, 2, 3]) {
    await reads(spine.id);
    await fails(BIOS, new ConnectorError(code, "x", { isRetryable: true }));
  }
  expect(leftOut()).toEqual([]);
});

test.each([
  ["the list of devices", spine.id, []],
  ["what shares its facets", "Device", []],
  ["memberships where collections are asked for", "SMS_FullCollectionMembership", ["CM100014"]],
])("%s cannot be left out", async (_what, id, collections: string[]) => {
  for (const _ of [1, 2, 3]) {
    await reads(BIOS);
    await fails(id, broken, { scope: { collections } });
  }
  expect(leftOut()).toEqual([]);
});
