import { until } from "@isthmus/shared/testing/until";
import { describe, expect, test } from "vitest";
import type { Fault } from "../../simulators/configmgr/faults.ts";
import { FIRST, nameOf, SyncedSite } from "./synced-site.ts";

/** One class that ends connections, fails, or answers too much, and nothing else: no other kind waits for it. */

const DISKS = "SMS_G_System_LOGICAL_DISK";
const BIOS = "SMS_G_System_PC_BIOS";
const options = {
  ...{ site: { devices: 60, onlineShare: 1 }, inventoryClasses: [DISKS, BIOS], wholeMs: 1 },
  ...{ timeoutMs: 1_000, breakerFailures: 5, hotMs: 200 },
};

const isLeftOut = (synced: SyncedSite, name = DISKS) => synced.observer.tableFaults.has(name);

describe.each(["before", "mid-body"] as const)("a class that cuts connections (%s)", (when) => {
  test("is left out: nothing waits for it or is deleted, and it comes once it is mended", async () => {
    await using synced = await SyncedSite.start(options);
    synced.run();
    await synced.untilScans(2);
    const before = (await synced.told()).get(String(FIRST))?.[DISKS];
    const fault = { kind: "cut", when } as const;
    const mend = synced.site.fault({ path: DISKS, fault, times: "always" });
    await until(() => isLeftOut(synced), "the class to be left out", 60_000);
    expect(synced.observer.tableFaults.get(DISKS)?.code).toBe("site-class-interrupted");
    await synced.untilScans((await synced.scans()) + 2);
    synced.site.change({ kind: "rename", resourceId: FIRST + 1, name: "RENAMED" });
    await synced.untilTold(FIRST + 1, (device) => nameOf(device) === "RENAMED");
    const told = await synced.told();
    expect([told.size, told.get(String(FIRST))?.[DISKS]]).toEqual([60, before]);
    expect(synced.faults).not.toContain("site-circuit-open");
    mend();
    await until(() => !isLeftOut(synced), "the class to be read again", 60_000);
  });
});

const FAILED: Fault = { kind: "status", status: 500, body: {} };
const FORBIDDEN: Fault = { kind: "status", status: 403, body: null };
const CUT: Fault = { kind: "cut", when: "before" };

describe.each<readonly [string, Fault, string]>([
  ["fails whatever it is asked", FAILED, "wmi/SMS_Collection\\?"],
  ["fails for more than one row", FAILED, "wmi/SMS_Collection\\?.*top=1\\d"],
  ["is refused for more than one row", FORBIDDEN, "wmi/SMS_Collection\\?.*top=1\\d"],
  ["ends connections", CUT, "wmi/SMS_Collection\\?"],
])("a list that %s", (_how, fault, path) => {
  test("keeps nothing else from being read", async () => {
    await using synced = await SyncedSite.start(options);
    const mend = synced.site.fault({ path, fault, times: "always" });
    synced.run();
    await synced.untilScans(2);
    expect(await synced.scans("collection")).toBe(0);
    mend();
    await synced.untilScans(1, "collection");
  });
});

test.each(["SMS_G_System_WORKSTATION_STATUS", "SMS_DeploymentSummary"])(
  "rounds of changes go on where %s fails",
  async (path) => {
    const hot = { hotMs: 200, truthMs: 86_400_000, areApplicationStatesRead: true };
    await using synced = await SyncedSite.start({ ...options, ...hot });
    synced.site.fault({ path, fault: FAILED, times: "always" });
    synced.run();
    // The next one is a day away.
    await synced.untilScans(2, "collection");
    const members = [FIRST];
    synced.site.change({ kind: "collection", id: "CM100099", name: "Made now", members });
    const isMade = async () => (await synced.told("collection")).has("CM100099");
    await until(isMade, "the collection", 60_000);
  },
);

test("a clock that is put back keeps neither scans nor rounds of changes waiting", async () => {
  let putBackMs = 0;
  const clock = { now: () => Date.now() - putBackMs };
  await using synced = await SyncedSite.start({ ...options, clock });
  synced.run();
  for (const name of ["ONE", "TWO", "THREE"]) {
    await synced.untilScans((await synced.scans()) + 1);
    putBackMs += 864_000_000;
    await synced.untilScans((await synced.scans()) + 1);
    synced.site.change({ kind: "rename", resourceId: FIRST, name });
    await synced.untilTold(FIRST, (device) => nameOf(device) === name);
  }
});

test("events of a device that end connections hold up no other's", async () => {
  await using synced = await SyncedSite.start({ ...options, clientEventsPerHour: 36_000 });
  synced.site.fault({ path: `Device\\(${FIRST}\\)/Events$`, fault: CUT, times: "always" });
  synced.run();
  const sql = "SELECT number FROM client_event_reading LIMIT 100";
  const read = async () => (await synced.store.query(sql, [], 100)).length;
  await until(async () => (await read()) >= 59, "events of all other devices", 60_000);
});
