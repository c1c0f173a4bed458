import { until } from "@isthmus/shared/testing/until";
import { expect, test } from "vitest";
import { FIRST, SyncedSite } from "./synced-site.ts";

const DEVICES = 12;
const options = {
  site: { devices: DEVICES, onlineShare: 1 },
  inventoryClasses: [],
  clientEventsPerHour: 36_000,
};

const crash = {
  ...{ name: "Kernel Crash", provider: "Microsoft-Windows-WER-SystemErrorReporting" },
  ...{ eventId: 1_001, level: 2, message: "The computer has rebooted from a bugcheck." },
};

const asked = (synced: SyncedSite) =>
  synced.site.requests().filter(({ path }) => path.endsWith("/Events"));

/** Devices are read in groups, and what they have is told once a group is over. */
async function areAllRead(synced: SyncedSite): Promise<boolean> {
  const sql = "SELECT number FROM client_event_reading LIMIT 100";
  return (await synced.store.query(sql, [], 100)).length >= DEVICES;
}

test("after a first reading every device's events are told, each once and in the order of their times", async () => {
  await using synced = await SyncedSite.start(options);
  synced.run();
  await until(() => areAllRead(synced), "events of each device", 60_000);
  await synced.end();
  await synced.told();
  const keys = new Set(asked(synced).map(({ path }) => path));
  expect(keys.size).toBe(DEVICES);
  expect(synced.clientEvents.size).toBeGreaterThan(DEVICES / 2);
  for (const events of synced.clientEvents.values()) {
    const times = events.map(({ at }) => at);
    expect(times).toEqual(times.toSorted((one, other) => one - other));
    expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
  }
});

test("a device whose events were read is left alone until it is asked for, and then only what is new is told", async () => {
  await using synced = await SyncedSite.start(options);
  synced.run();
  await until(() => areAllRead(synced), "events of each device", 60_000);
  await synced.told();
  const before = synced.clientEvents.get(String(FIRST)) ?? [];
  const at = Date.now();
  synced.site.change({ kind: "device", resourceId: FIRST, change: { events: [{ ...crash, at }] } });
  await synced.readEvents(FIRST);
  await synced.readEvents(FIRST);
  await synced.told();
  const after = synced.clientEvents.get(String(FIRST)) ?? [];
  expect(after).toEqual([...before, { ...crash, id: expect.any(String), at, level: "Error" }]);
  expect(asked(synced)).toHaveLength(DEVICES + 2);
});

test("a site that has no events is asked about three devices, and not again; its inventory is read all the same", async () => {
  const site = { ...options.site, hasDeviceEvents: false };
  await using synced = await SyncedSite.start({ ...options, site });
  synced.run();
  const isLeftAlone = async () => {
    await synced.told();
    return synced.events.includes("client-events.left-alone");
  };
  await until(isLeftAlone, "the site to be left alone", 60_000);
  await synced.untilScans((await synced.scans()) + 2);
  expect(asked(synced)).toHaveLength(3);
  await synced.readEvents(FIRST);
  expect(asked(synced)).toHaveLength(3);
  expect(synced.observer.lastFault).toBeUndefined();
  expect((await synced.told()).size).toBe(DEVICES);
});

test("an answer that is no events delays one device, and no inventory", async () => {
  const broken = { kind: "status", status: 200, body: { value: [5] } } as const;
  const path = `Device\\(${FIRST}\\)/Events`;
  await using synced = await SyncedSite.start({
    ...options,
    site: { ...options.site, faults: [{ path, fault: broken, times: "always" }] },
  });
  const last = FIRST + DEVICES - 1;
  const events = [{ ...crash, at: Date.now() }];
  synced.site.change({ kind: "device", resourceId: last, change: { events } });
  synced.run();
  const told = async () => {
    await synced.told();
    return synced.clientEvents.has(String(last));
  };
  await until(told, "events of the last device", 60_000);
  await synced.untilScans((await synced.scans()) + 1);
  expect(synced.clientEvents.has(String(FIRST))).toBe(false);
});
