import { until } from "@isthmus/shared/testing/until";
import { expect, test } from "vitest";
import { FIRST, nameOf, SyncedSite, type SyncedSiteOptions } from "./synced-site.ts";

/** What moves at a simulated site is told without a scan. */

const HOT = { hotMs: 200, truthMs: 86_400_000 } as const;

/** A site whose devices were scanned, twice as at first, and are again in a day: rounds of changes alone are left. */
async function settled(options: SyncedSiteOptions = {}): Promise<SyncedSite> {
  const synced = await SyncedSite.start({ ...HOT, ...options });
  synced.run();
  await synced.untilScans(2, "collection");
  await synced.untilScans(2);
  return synced;
}

test("what a device did, a discovery, a hardware scan, a new device and a changed list are told at once", async () => {
  await using synced = await settled();
  const scans = await synced.scans();
  synced.site.change({ kind: "online", resourceId: FIRST + 1, isOnline: false });
  synced.site.change({ kind: "rename", resourceId: FIRST + 2, name: "RENAMED" });
  const { SMS_G_System_LOGICAL_DISK: before } = (await synced.told()).get(String(FIRST + 3)) ?? {};
  const disks = JSON.stringify(before);
  synced.site.change({ kind: "inventory", resourceId: FIRST + 3 });
  const added = synced.site.change({ kind: "add", change: { name: "NEW" } }) ?? 0;
  synced.site.change({
    ...{ kind: "collection", id: "CM100099", name: "Made now" },
    members: [FIRST],
  });
  await synced.untilTold(FIRST + 1, (device) => {
    return JSON.stringify(device?.["volatile"]).includes('"CNIsOnline":false');
  });
  await synced.untilTold(FIRST + 2, (device) => {
    return nameOf(device) === "RENAMED";
  });
  await synced.untilTold(FIRST + 3, (device) => {
    return JSON.stringify(device?.["SMS_G_System_LOGICAL_DISK"]) !== disks;
  });
  await synced.untilTold(added, (device) => device?.["collections"] !== undefined);
  const isMade = async () => (await synced.told("collection")).has("CM100099");
  await until(isMade, "the collection", 60_000);
  expect(await synced.scans()).toBe(scans);
});

test("rounds in which nothing moved ask for no device, and change nothing", async () => {
  await using synced = await settled();
  const before = { ...synced.observer.totals };
  const requests = synced.site.requests().length;
  await until(() => synced.observer.totals.requests > before.requests + 20, "rounds", 60_000);
  const asked = synced.site.requests().slice(requests);
  expect(asked.filter(({ path }) => decodeURIComponent(path).includes(" eq "))).toEqual([]);
  expect(synced.observer.totals.changed).toBe(before.changed);
});

test("the stamps are written down when something moved, and only then", async () => {
  await using synced = await settled();
  const kept = () =>
    synced.store
      .query<{ value: string }>("SELECT value FROM source_cursor WHERE name = 'hot'", [], 1)
      .then(([row]) => row?.value);
  const rounds = async () => {
    const { requests } = synced.observer.totals;
    await until(() => synced.observer.totals.requests > requests + 20, "rounds", 60_000);
  };
  let first: string | undefined = await until(kept, "the first stamps", 60_000);
  // What moved when the site began may be told over several rounds.
  const stays = async () => {
    await rounds();
    const before = first;
    first = await kept();
    return first === before;
  };
  await until(stays, "rounds that write nothing", 60_000);
  synced.site.change({ kind: "online", resourceId: FIRST + 1, isOnline: false });
  await until(async () => (await kept()) !== first, "the next stamps", 60_000);
});

test("a report that is stamped half a minute before it comes is seen", async () => {
  await using synced = await settled();
  const key = String(FIRST + 8);
  const disksOf = async () => {
    return JSON.stringify((await synced.told()).get(key)?.["SMS_G_System_LOGICAL_DISK"]);
  };
  const before = await disksOf();
  const change = { lastHardwareScan: Date.now() - 30_000, scans: 9 };
  synced.site.change({ kind: "device", resourceId: FIRST + 8, change });
  await until(async () => (await disksOf()) !== before, "the disks", 60_000);
});

test("a round that the site cuts short is made good by the next", async () => {
  await using synced = await settled();
  synced.site.fault({
    ...{ fault: { kind: "cut", when: "mid-body" }, path: " eq ", times: 4 },
  });
  synced.site.change({ kind: "rename", resourceId: FIRST + 4, name: "LATER" });
  await synced.untilTold(FIRST + 4, (device) => {
    return nameOf(device) === "LATER";
  });
});
