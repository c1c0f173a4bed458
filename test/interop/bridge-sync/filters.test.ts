import { until } from "@isthmus/shared/testing/until";
import { describe, expect, test } from "vitest";
import type { Fault } from "../../simulators/configmgr/faults.ts";
import { FIRST, nameOf, SyncedSite } from "./synced-site.ts";

/** Sites, and what stands in front of them, that do not take every filter the bridge would like to ask with. */

const SEVERAL_RANGES = "le \\d+\\) or \\(";
const MANY_KEYS = "(?: or ResourceI[dD] eq \\d+){12}";
const title = "Bad Request - Request Too Long";
const ONE_AT_A_TIME = "filters.one-range-at-a-time";

const refusals: readonly (readonly [string, Fault])[] = [
  ["a 400 of the AdminService", { kind: "status", status: 400, body: { error: {} } }],
  ["a 414", { kind: "status", status: 414 }],
  ["a 404.15 of IIS", { kind: "page", status: 404, title: "404.15 - Query string too long" }],
  ["a proxy's page with 400", { kind: "page", status: 400, title }],
  ["a proxy's page with 403", { kind: "page", status: 403, title: "Request blocked" }],
];

describe.each<readonly [string, Fault]>([
  ["the first range", { kind: "parts-passed-over", answered: "first" }],
  ["the first and the last range", { kind: "parts-passed-over", answered: "first-and-last" }],
  ...refusals,
])("where filters over several ranges are answered with %s", (_how, fault) => {
  test("scans end with all devices, one range is asked for at a time, and that is told once", async () => {
    await using synced = await SyncedSite.start({ inventoryClasses: [] });
    synced.site.fault({ path: SEVERAL_RANGES, fault, times: "always" });
    synced.run();
    await synced.untilScans(2);
    expect((await synced.told()).size).toBe(700);
    expect((await synced.figures())?.missing).toBe(0);
    expect(synced.said).toEqual([ONE_AT_A_TIME]);
    const asked = synced.site.requests().filter(({ path }) => / or \(/.test(path)).length;
    await synced.untilScans(4);
    expect(synced.site.requests().filter(({ path }) => / or \(/.test(path))).toHaveLength(asked);
  });
});

test.each(refusals)(
  "where filters over many keys are answered with %s, changes are read with fewer",
  async (_how, fault) => {
    await using synced = await SyncedSite.start({
      ...{ inventoryClasses: [], truthMs: 3_600_000, hotMs: 50 },
    });
    synced.run();
    await synced.untilScans(1);
    synced.site.fault({ path: MANY_KEYS, fault, times: "always" });
    for (let at = 0; at < 40; at += 1) {
      synced.site.change({ kind: "inventory", resourceId: FIRST + at });
      synced.site.change({ kind: "rename", resourceId: FIRST + at, name: `RENAMED-${at}` });
    }
    for (const at of [0, 20, 39]) {
      await synced.untilTold(FIRST + at, (device) => nameOf(device) === `RENAMED-${at}`);
    }
    await until(
      () => synced.site.requests().some(({ status }) => status >= 400),
      "a filter that is refused",
    );
    expect(synced.observer.tableFaults.size).toBe(0);
  },
);

test.each<Fault>([
  { kind: "parts-passed-over", answered: "first" },
  { kind: "parts-passed-over", answered: "first-and-last" },
])(
  "changes of all devices are told where filters over many keys are answered for the $answered",
  async (fault) => {
    await using synced = await SyncedSite.start({
      ...{ inventoryClasses: [], truthMs: 3_600_000, hotMs: 50 },
    });
    synced.run();
    await synced.untilScans(1);
    synced.site.fault({ path: "ResourceI[dD] eq \\d+ or ", fault, times: "always" });
    for (let at = 0; at < 12; at += 1) {
      synced.site.change({ kind: "rename", resourceId: FIRST + at, name: `RENAMED-${at}` });
    }
    for (let at = 0; at < 12; at += 1) {
      await synced.untilTold(FIRST + at, (device) => nameOf(device) === `RENAMED-${at}`);
    }
    expect(synced.said).toEqual([ONE_AT_A_TIME]);
  },
);

test("changes of a whole fleet are told by a site that has to be asked for one device at a time", async () => {
  await using synced = await SyncedSite.start({ truthMs: 3_600_000, hotMs: 50 });
  synced.run();
  await synced.untilScans(1);
  const fault = { kind: "parts-passed-over", answered: "first" } as const;
  synced.site.fault({ path: "ResourceI[dD] eq \\d+ or ", fault, times: "always" });
  for (let at = 0; at < 700; at += 1) {
    synced.site.change({ kind: "rename", resourceId: FIRST + at, name: `RENAMED-${at}` });
    synced.site.change({ kind: "inventory", resourceId: FIRST + at });
  }
  for (const at of [0, 350, 699]) {
    await synced.untilTold(FIRST + at, (device) => nameOf(device) === `RENAMED-${at}`);
  }
  expect(synced.faults).not.toContain("site-busy");
});

test("a site that takes such filters is asked with them, and nothing is said", async () => {
  await using synced = await SyncedSite.start({ inventoryClasses: [] });
  synced.run();
  await synced.untilScans(2);
  expect(synced.site.requests().some(({ path }) => new RegExp(SEVERAL_RANGES).test(path))).toBe(
    true,
  );
  expect(synced.said).toEqual([]);
});
