import { RANGE_KEYS } from "@isthmus/comgmt-bridge/core/key-ranges";
import { until } from "@isthmus/shared/testing/until";
import { describe, expect, test } from "vitest";
import type { FaultRule } from "../../simulators/configmgr/faults.ts";
import { FIRST, nameOf, SyncedSite } from "./synced-site.ts";

/** Nothing that goes wrong at a site deletes a record or loses one. */

const SYSTEMS = "wmi/SMS_R_System\\?.*le ";

const faults: readonly (readonly [string, FaultRule])[] = [
  ["a page is short", { fault: { kind: "short-page", rows: 40 }, path: SYSTEMS, times: 2 }],
  ["a page comes again", { fault: { kind: "repeated-page" }, path: SYSTEMS, times: 2 }],
  ["a connection ends in a page", { fault: { kind: "cut", when: "mid-body" }, times: 3 }],
  ["a connection ends before its answer", { fault: { kind: "cut", when: "before" }, times: 3 }],
  ["the provider hangs", { fault: { kind: "hang" }, path: SYSTEMS, times: 2 }],
  ["the provider fails", { fault: { kind: "status", status: 500, body: "" }, times: 3 }],
  ["the provider is busy", { fault: { kind: "status", status: 503, body: "" }, times: 3 }],
];

describe.each(faults)("when %s", (_name, rule) => {
  test("the first scan has all devices nevertheless", async () => {
    await using synced = await SyncedSite.start({ timeoutMs: 1_000 });
    synced.site.fault({ after: 12, ...rule });
    synced.run();
    await synced.untilScans(1);
    expect((await synced.told()).size).toBe(700);
  });

  test("a later scan deletes nothing", async () => {
    await using synced = await SyncedSite.start({ timeoutMs: 1_000 });
    synced.run();
    await synced.untilScans(1);
    synced.site.fault(rule);
    const scans = await synced.scans();
    await synced.untilScans(scans + 3);
    expect((await synced.told()).size).toBe(700);
    expect((await synced.figures())?.missing).toBe(0);
  });
});

test("a provider that never gives more than some rows is read in smaller pages", async () => {
  await using synced = await SyncedSite.start();
  synced.site.fault({
    ...{ fault: { kind: "short-page", rows: 40 }, path: SYSTEMS, times: "always" },
  });
  synced.run();
  await synced.untilScans(1);
  expect((await synced.told()).size).toBe(700);
});

test("pages that cannot be trusted end no scan, and the other kinds are read", async () => {
  await using synced = await SyncedSite.start();
  synced.site.fault({
    ...{ fault: { kind: "repeated-page" }, path: SYSTEMS, times: "always" },
    after: 1,
  });
  synced.run();
  await synced.untilScans(1, "boundary-group");
  expect(await synced.scans()).toBe(0);
});

test("narrowed rights answer with fewer devices: more than the share waits for an approval", async () => {
  await using synced = await SyncedSite.start();
  synced.run();
  await synced.untilScans(1);
  synced.site.narrow(0.5);
  await until(async () => ((await synced.figures())?.waiting ?? 0) > 100, "deletions that wait");
  expect((await synced.told()).size).toBe(700);
  synced.site.narrow(1);
  await until(async () => (await synced.figures())?.waiting === 0, "all to be found again");
  expect((await synced.told()).size).toBe(700);
});

test("a scan goes on where it was when the bridge is started anew", async () => {
  await using synced = await SyncedSite.start({ site: { devices: 6_000 }, inventoryClasses: [] });
  synced.run();
  await until(async () => (await synced.told()).size > 1_200, "some devices");
  await synced.end();
  const known = (await synced.told()).size;
  expect(known).toBeLessThan(6_000);
  const before = synced.observer.totals.applied;
  synced.run();
  await synced.untilScans(1);
  expect((await synced.told()).size).toBe(6_000);
  const all = Math.ceil(6_000 / RANGE_KEYS) + 8;
  expect(synced.observer.totals.applied - before).toBeLessThan(all);
});

test("a site that is away is waited for, and what changed meanwhile is found", async () => {
  await using synced = await SyncedSite.start({ timeoutMs: 500 });
  synced.run();
  await synced.untilScans(1);
  const back = synced.site.fault({ fault: { kind: "cut", when: "before" }, times: "always" });
  await until(() => synced.observer.lastFault !== undefined, "a fault");
  synced.site.change({ kind: "rename", resourceId: FIRST, name: "MEANWHILE" });
  back();
  await synced.untilTold(FIRST, (device) => {
    return nameOf(device) === "MEANWHILE";
  });
});
