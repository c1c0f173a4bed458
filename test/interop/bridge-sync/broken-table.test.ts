import { until } from "@isthmus/shared/testing/until";
import { describe, expect, test } from "vitest";
import type { Fault } from "../../simulators/configmgr/faults.ts";
import { FIRST, nameOf, SyncedSite } from "./synced-site.ts";

/** One class whose answer is always broken, and nothing else. */

const DISKS = "SMS_G_System_LOGICAL_DISK";
const BIOS = "SMS_G_System_PC_BIOS";
const options = {
  site: { devices: 60, onlineShare: 1 },
  inventoryClasses: [DISKS, BIOS],
  wholeMs: 1,
};
const path = `wmi/${DISKS}`;
const noRows: Fault = { kind: "status", status: 200, body: { value: [5] } };

const isLeftOut = (synced: SyncedSite) => synced.observer.tableFaults.has(DISKS);

describe.each<readonly [string, Fault]>([
  ["are no rows", noRows],
  ["are a failure of the provider", { kind: "status", status: 500, body: {} }],
  ["are refused", { kind: "status", status: 403, body: null }],
])("a class whose answers %s", (_how, fault) => {
  test("is left out: scans end, all else is told, and the class comes once it can be read", async () => {
    await using synced = await SyncedSite.start(options);
    // The one row that the probe asks for is there, so that it is the reading that fails.
    const mend = synced.site.fault({ path: `${path}\\?.*ResourceID gt`, fault, times: "always" });
    synced.run();
    await synced.untilScans(3);
    const devices = await synced.told();
    expect(devices.size).toBe(60);
    for (const device of devices.values()) {
      expect(Object.keys(device)).toEqual(expect.arrayContaining([BIOS, "identity", "health"]));
    }
    expect(isLeftOut(synced)).toBe(true);
    expect(synced.events).not.toContain("deletions.waiting");
    mend();
    await synced.untilTold(FIRST, (device) => device?.[DISKS] !== undefined);
    await until(() => !isLeftOut(synced), "the class to be read again", 60_000);
    await synced.end();
  });
});

test("what a class told before it broke stays, what changes elsewhere is told, and what is gone goes", async () => {
  await using synced = await SyncedSite.start(options);
  synced.run();
  await synced.untilScans(2);
  const before = (await synced.told()).get(String(FIRST))?.[DISKS];
  expect(before).toBeDefined();
  synced.site.fault({ path, fault: noRows, times: "always" });
  await until(() => isLeftOut(synced), "the class to be left out", 60_000);
  synced.site.change({ kind: "rename", resourceId: FIRST, name: "RENAMED" });
  synced.site.change({ kind: "remove", resourceId: FIRST + 1 });
  await synced.untilTold(FIRST, (device) => nameOf(device) === "RENAMED");
  await synced.untilTold(FIRST + 1, (device) => device === undefined);
  const told = await synced.told();
  expect(told.get(String(FIRST))?.[DISKS]).toEqual(before);
  expect(told.size).toBe(59);
});

test("rounds of changes go on without it, and a site that fails as a whole leaves nothing out", async () => {
  await using synced = await SyncedSite.start({ ...options, truthMs: 3_600_000, hotMs: 50 });
  synced.run();
  await synced.untilScans(1);
  const mend = synced.site.fault({ fault: { kind: "status", status: 500 }, times: "always" });
  await until(() => synced.observer.lastFault !== undefined, "a fault", 60_000);
  mend();
  synced.site.fault({ path, fault: noRows, times: "always" });
  synced.site.change({ kind: "inventory", resourceId: FIRST + 2 });
  await until(() => isLeftOut(synced), "the class to be left out", 60_000);
  expect([...synced.observer.tableFaults.keys()]).toEqual([DISKS]);
  synced.site.change({ kind: "rename", resourceId: FIRST + 3, name: "RENAMED" });
  await synced.untilTold(FIRST + 3, (device) => nameOf(device) === "RENAMED");
});
