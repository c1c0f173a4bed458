import { RANGE_KEYS } from "@isthmus/comgmt-bridge/core/key-ranges";
import { until } from "@isthmus/shared/testing/until";
import { describe, expect, test } from "vitest";
import { FIRST, nameOf, SyncedSite } from "./synced-site.ts";

/** One class that hangs at the provider, and nothing else. */

const DISKS = "SMS_G_System_LOGICAL_DISK";
const BIOS = "SMS_G_System_PC_BIOS";
const HANG = { kind: "hang" } as const;
const options = {
  ...{ site: { devices: 60, onlineShare: 1 }, inventoryClasses: [DISKS, BIOS], wholeMs: 1 },
  ...{ timeoutMs: 1_000, breakerFailures: 5, hotMs: 200 },
};

const isLeftOut = (synced: SyncedSite, name = DISKS) => synced.observer.tableFaults.has(name);

describe.each([
  ["whatever it is asked", `wmi/${DISKS}`],
  ["for more than one row", `wmi/${DISKS}\\?.*ResourceID gt`],
])("a class that hangs %s", (_when, path) => {
  test("is left out: the site is not left alone, scans end, and the class comes once it answers", async () => {
    await using synced = await SyncedSite.start(options);
    const mend = synced.site.fault({ path, fault: HANG, times: "always" });
    synced.run();
    await synced.untilScans(3);
    expect(isLeftOut(synced)).toBe(true);
    expect(synced.observer.tableFaults.get(DISKS)?.code).toBe("site-class-silent");
    const devices = await synced.told();
    expect(devices.size).toBe(60);
    for (const device of devices.values()) {
      expect(Object.keys(device)).toEqual(expect.arrayContaining([BIOS, "identity", "health"]));
    }
    expect(synced.said).toContain("table.left-out");
    expect(synced.faults).not.toContain("site-circuit-open");
    expect(synced.events).not.toContain("deletions.waiting");
    mend();
    await synced.untilTold(FIRST, (device) => device?.[DISKS] !== undefined);
    await until(() => !isLeftOut(synced), "the class to be read again", 60_000);
    expect(synced.said).toContain("table.read-again");
  });
});

describe("a class for which the site's front alone answers", () => {
  test("is left out: nothing waits for it or is deleted, and it comes once it is back", async () => {
    await using synced = await SyncedSite.start(options);
    synced.run();
    await synced.untilScans(2);
    const before = (await synced.told()).get(String(FIRST))?.[DISKS];
    const fault = { kind: "status", status: 504, body: "" } as const;
    const mend = synced.site.fault({ path: DISKS, fault, times: "always" });
    await until(() => isLeftOut(synced), "the class to be left out", 60_000);
    expect(synced.observer.tableFaults.get(DISKS)?.code).toBe("site-class-unavailable");
    await synced.untilScans((await synced.scans()) + 2);
    const told = await synced.told();
    expect([told.size, told.get(String(FIRST))?.[DISKS]]).toEqual([60, before]);
    expect(synced.faults).not.toContain("site-circuit-open");
    mend();
    await until(() => !isLeftOut(synced), "the class to be read again", 60_000);
  });

  test("is missing, where it is the list of devices, and no device is gone for it", async () => {
    await using synced = await SyncedSite.start(options);
    synced.run();
    await synced.untilScans(2);
    const fault = { kind: "status", status: 502, body: "" } as const;
    const path = "wmi/SMS_R_System\\?.*filter";
    const mend = synced.site.fault({ path, fault, times: "always" });
    const ofOthers = await synced.scans("boundary-group");
    const scans = await synced.scans();
    synced.site.change({ kind: "remove", resourceId: FIRST + 1 });
    await synced.untilScans(ofOthers + 2, "boundary-group");
    expect((await synced.scans()) - scans).toBeLessThanOrEqual(1);
    expect((await synced.told()).size).toBe(60);
    mend();
    await synced.untilTold(FIRST + 1, (device) => device === undefined);
  });
});

test("where the front answers 503 for everything no class is at fault, and it is read once it is back", async () => {
  await using synced = await SyncedSite.start(options);
  synced.run();
  await synced.untilScans(1);
  const fault = { kind: "status", status: 503, body: "" } as const;
  const mend = synced.site.fault({ fault, times: "always" });
  await until(() => synced.faults.includes("site-circuit-open"), "a site left alone", 60_000);
  expect([...synced.observer.tableFaults.keys()]).toEqual([]);
  synced.site.change({ kind: "rename", resourceId: FIRST, name: "RENAMED" });
  mend();
  await synced.untilTold(FIRST, (device) => nameOf(device) === "RENAMED");
});

test("events that hang are left alone for a while, and everything else goes on", async () => {
  await using synced = await SyncedSite.start({ ...options, clientEventsPerHour: 36_000 });
  synced.site.fault({ path: "/Events$", fault: HANG, times: "always" });
  synced.run();
  const isOver = async () => {
    await synced.told();
    return synced.events.includes("client-events.left-alone");
  };
  await until(isOver, "events to be left alone", 60_000);
  const asked = synced.site.requests().filter(({ path }) => path.endsWith("/Events")).length;
  expect(asked).toBeLessThanOrEqual(6);
  synced.site.change({ kind: "rename", resourceId: FIRST, name: "RENAMED" });
  await synced.untilTold(FIRST, (device) => nameOf(device) === "RENAMED");
  expect(synced.faults).not.toContain("site-circuit-open");
});

test("contents of scripts that hang take nothing from the list of scripts, and come once they are answered", async () => {
  const scripts = ["1", "2", "3", "4", "5"].map((name) => ({
    ...{ guid: `11111111-1111-1111-1111-11111111111${name}`, name, text: "Get-Date" },
  }));
  const site = { ...options.site, scripts };
  await using synced = await SyncedSite.start({ ...options, site, hotMs: 3_600_000 });
  const path = "wmi/SMS_Scripts\\('";
  const mend = synced.site.fault({ path, fault: HANG, times: "always" });
  synced.run();
  await synced.untilScans(1, "script");
  const contents = async () =>
    [...(await synced.told("script")).values()].map((script) => script["content"] !== undefined);
  expect(await contents()).toEqual(scripts.map(() => false));
  mend();
  const areWhole = async () => !(await contents()).includes(false);
  await until(areWhole, "the contents", 60_000);
  expect(synced.faults).not.toContain("site-circuit-open");
});

test("what a class told before it hung stays, changes elsewhere are told, and what is gone goes", async () => {
  await using synced = await SyncedSite.start(options);
  synced.run();
  await synced.untilScans(2);
  const before = (await synced.told()).get(String(FIRST))?.[DISKS];
  expect(before).toBeDefined();
  synced.site.fault({ path: DISKS, fault: HANG, times: "always" });
  await until(() => isLeftOut(synced), "the class to be left out", 60_000);
  synced.site.change({ kind: "rename", resourceId: FIRST, name: "RENAMED" });
  synced.site.change({ kind: "inventory", resourceId: FIRST + 2 });
  synced.site.change({ kind: "remove", resourceId: FIRST + 1 });
  await synced.untilTold(FIRST, (device) => nameOf(device) === "RENAMED");
  await synced.untilTold(FIRST + 1, (device) => device === undefined);
  const told = await synced.told();
  expect(told.get(String(FIRST))?.[DISKS]).toEqual(before);
  expect(told.size).toBe(59);
  expect(synced.faults).not.toContain("site-circuit-open");
});

test("a hung class is asked for once in a scan", async () => {
  await using synced = await SyncedSite.start({ ...options, hotMs: 3_600_000 });
  synced.site.fault({ path: DISKS, fault: HANG, times: "always" });
  synced.run();
  await synced.untilScans(3);
  const asked = synced.site.requests().filter(({ path }) => path.includes(DISKS)).length;
  // Twice for the probe of the first scan, and one may be under way in the next.
  expect(asked).toBeLessThanOrEqual((await synced.scans()) + 2);
});

test.each([
  ["the list of devices", "wmi/SMS_R_System\\?.*filter", "SMS_R_System"],
  ["what shares facets with it", "v1.0/Device\\?", "Device"],
  ["pages of what shares facets with it", "v1.0/Device\\?.*filter", "Device"],
  [
    "memberships that decide who is read",
    "FullCollectionMembership",
    "SMS_FullCollectionMembership",
  ],
])(
  "without %s nothing is said of what is gone, and the other kinds are read",
  async (_what, path, name) => {
    await using synced = await SyncedSite.start({ ...options, collections: ["SMS00001"] });
    synced.run();
    await synced.untilScans(2);
    const records = (await synced.told()).size;
    const mend = synced.site.fault({ path, fault: HANG, times: "always" });
    await until(() => isLeftOut(synced, name), "the class to be named", 60_000);
    const scans = await synced.scans();
    const ofOthers = await synced.scans("boundary-group");
    synced.site.change({ kind: "remove", resourceId: FIRST + 1 });
    await synced.untilScans(ofOthers + 1, "boundary-group");
    expect((await synced.scans()) - scans).toBeLessThanOrEqual(1);
    expect((await synced.told()).size).toBe(records);
    mend();
    await synced.untilTold(FIRST + 1, (device) => device === undefined);
  },
);

test("pages that hang for the whole of a large site are not waited for range by range", async () => {
  const ranges = 16;
  const site = { devices: ranges * RANGE_KEYS, onlineShare: 1 };
  await using synced = await SyncedSite.start({ ...options, site, inventoryClasses: [] });
  // One device in each range will do.
  for (let at = 0; at < site.devices; at += 1) {
    if (at % RANGE_KEYS > 0) synced.site.change({ kind: "remove", resourceId: FIRST + at });
  }
  synced.run();
  await synced.untilScans(1);
  const path = "v1.0/Device\\?.*filter";
  const mend = synced.site.fault({ path, fault: HANG, times: "always" });
  await until(() => isLeftOut(synced, "Device"), "the class to be named", 60_000);
  const before = synced.site.requests().length;
  const ofOthers = await synced.scans("boundary-group");
  await synced.untilScans(ofOthers + 1, "boundary-group");
  const since = synced.site.requests().slice(before);
  const asked = since.filter((each) => new RegExp(path).test(each.path));
  const filters = new Set(asked.map((each) => each.path));
  expect(filters.size).toBeLessThan(ranges / 2);
  mend();
});

test("a list that hangs keeps nothing else from being read", async () => {
  await using synced = await SyncedSite.start(options);
  const mend = synced.site.fault({ path: "wmi/SMS_Collection\\?", fault: HANG, times: "always" });
  synced.run();
  await synced.untilScans(2);
  expect(isLeftOut(synced, "SMS_Collection")).toBe(true);
  expect(await synced.scans("collection")).toBe(0);
  synced.site.change({ kind: "rename", resourceId: FIRST, name: "RENAMED" });
  await synced.untilTold(FIRST, (device) => nameOf(device) === "RENAMED");
  mend();
  await synced.untilScans(1, "collection");
});

test("a site that answers nothing at all is left alone, no class is at fault, and it is read once it is back", async () => {
  await using synced = await SyncedSite.start(options);
  synced.run();
  await synced.untilScans(1);
  const mend = synced.site.fault({ fault: HANG, times: "always" });
  await until(
    () => synced.faults.includes("site-circuit-open"),
    "the site to be left alone",
    60_000,
  );
  expect([...synced.observer.tableFaults.keys()]).toEqual([]);
  synced.site.change({ kind: "rename", resourceId: FIRST, name: "RENAMED" });
  mend();
  await synced.untilTold(FIRST, (device) => nameOf(device) === "RENAMED");
});
