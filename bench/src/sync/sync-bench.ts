import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Bench, BenchOptions } from "../bench.ts";
import { type Figure, figure } from "../figure.ts";
import { treeCpuSeconds, treeMemory } from "../measure/process-tree.ts";
import { quantile } from "../measure/statistics.ts";
import { startProgram } from "../process/program.ts";
import type { FloorProgram } from "./floor-program.ts";
import { freshness } from "./freshness.ts";
import { CLASSES, SyncedSite } from "./synced-site.ts";

/** A site of 100,000 devices with five inventory classes, brought to a control plane. */
export const syncFleetBench: Bench = {
  name: "sync-fleet",
  summary: "first reading, re-reading and freshness of a Configuration Manager site's inventory",
  defaultRuns: 1,
  run: async (options) => ({ figures: await fleetFigures(options), notes: NOTES }),
};

/** What a change costs in a fleet and in a tenth of it. */
export const syncChangeBench: Bench = {
  name: "sync-change",
  summary: "what a change at a site costs the bridge, in a large fleet and in a small one",
  defaultRuns: 1,
  run: async (options) => ({ figures: await changeFigures(options), notes: [] }),
};

/** 1,000,000 plain devices. */
export const syncManyBench: Bench = {
  name: "sync-many",
  summary: "memory of the bridge with more devices than a hierarchy may have",
  defaultRuns: 1,
  run: async (options) => ({ figures: await manyFigures(options), notes: [PLAIN] }),
};

const DEVICES = 100_000;
const MANY_DEVICES = 1_000_000;
const MANY_TRUTH_MINUTES = 5;
const FLOOR_RECORDS = 10_000;
const MINUTE_MS = 60_000;
/** Hours between whole readings: less than one reading takes. */
const WHOLE_EACH_TIME = 0.01;
const MICROSECONDS = 1_000_000;
/** As many requests as the AdminService is documented to take from one client. */
const FAST = { maxInFlight: 16, requestsPerSecond: 200 };
/** The site of the freshness budget. */
const SLOW = { maxInFlight: 4, rowsPerSecond: 2_000, msPerPage: 300 };

const PLAIN =
  "a plain device is what the site itself says of it (discovery, activity, co-management, membership of collections), without inventory classes and software updates";
const NOTES = [
  "unchanged is an ordinary reading: what only a hint or a day brings (classes, updates, activity) is read in the one called whole",
  "the floor is JSON.parse, SHA-256, JSON.stringify and zstd in batches of 100 of the very records that the control plane then has, in the same run",
  "the simulated site is a process of its own and not counted",
];

interface Reading {
  readonly bridgeCpu: number;
  readonly cloudCpu: number;
  readonly seconds: number;
  readonly requests: number;
  readonly rows: number;
}

/** What is done by and by until `isDone`, and what it costs. */
async function measured(
  synced: SyncedSite,
  bridgePid: number,
  work: () => Promise<void>,
): Promise<Reading> {
  const load = () => synced.site.ask("load") as Promise<{ requests: number; rows: number }>;
  const cpu = () => ({
    bridge: treeCpuSeconds(bridgePid),
    cloud: treeCpuSeconds(synced.node.service.pid),
  });
  const [before, cpuBefore, began] = [await load(), cpu(), performance.now()];
  await work();
  const [after, cpuAfter] = [await load(), cpu()];
  return {
    bridgeCpu: cpuAfter.bridge - cpuBefore.bridge,
    cloudCpu: cpuAfter.cloud - cpuBefore.cloud,
    seconds: (performance.now() - began) / 1_000,
    requests: after.requests - before.requests,
    rows: after.rows - before.rows,
  };
}

/** 100,000 devices with their classes: first and second reading against the floor, then the freshness of changes. */
async function fleetFigures(options: BenchOptions): Promise<Figure[]> {
  const devices = Math.round(DEVICES * options.scale);
  await using synced = await SyncedSite.prepare({
    ...{ folder: folderAt(options, "fleet"), devices, classes: CLASSES },
    ...{ hotSeconds: 20, truthMinutes: 1, limits: FAST },
  });
  const bridge = await synced.startBridge();
  options.progress(`first reading of ${devices} devices`);
  const first = await measured(synced, bridge.pid, () => scansEnded(synced, 1, devices));
  options.progress("reading it again, unchanged");
  await scansEnded(synced, 2, devices);
  const again = await measured(synced, bridge.pid, () => scansEnded(synced, 3, devices));
  options.progress("reading all of it again, classes and updates too");
  await synced.want({ inventoryHours: WHOLE_EACH_TIME });
  await scansEnded(synced, synced.scansOfDevices() + 2, devices);
  const scans = synced.scansOfDevices();
  const whole = await measured(synced, bridge.pid, () => scansEnded(synced, scans + 1, devices));
  await synced.want({});
  const floor = await floorOf(synced);
  const perDevice = (seconds: number) => (seconds / devices) * MICROSECONDS;
  const ratio = (seconds: number) => perDevice(seconds) / floor.microseconds;
  options.progress("changes, at a site that is slow");
  await synced.site.ask("limit", SLOW);
  let fresh: Awaited<ReturnType<typeof freshness>> = { delays: [], missing: Number.NaN };
  const changes = await measured(synced, bridge.pid, async () => {
    fresh = await freshness(synced, { seconds: 120, changesPerSecond: 10, devices });
  });
  return [
    figure("floor, CPU-us a device", "us", floor.microseconds),
    figure("a device's record", "octets", floor.octets),
    figure("first sync: bridge against the floor", "x", ratio(first.bridgeCpu), { atMost: 2.5 }),
    figure("first sync: control plane against the floor", "x", ratio(first.cloudCpu), {
      atMost: 2.5,
    }),
    figure("first sync: devices a second", "/s", devices / first.seconds),
    ...loadOf("first sync", first),
    figure("unchanged: bridge against the floor", "x", ratio(again.bridgeCpu), { atMost: 0.2 }),
    figure("unchanged: control plane against the floor", "x", ratio(again.cloudCpu), {
      atMost: 0.2,
    }),
    ...loadOf("unchanged", again),
    figure("unchanged, whole: bridge against the floor", "x", ratio(whole.bridgeCpu)),
    figure("unchanged, whole: control plane against the floor", "x", ratio(whole.cloudCpu)),
    ...loadOf("unchanged, whole", whole),
    figure("freshness, p50", "s", quantile(fresh.delays, 0.5) / 1_000),
    figure("freshness, p95", "s", quantile(fresh.delays, 0.95) / 1_000, { atMost: 60 }),
    figure("changes that did not come", "", fresh.missing, { atMost: 0 }),
    ...loadOf("changes", changes),
  ];
}

/** What a reading asked of the site. */
function loadOf(name: string, { requests, rows, seconds }: Reading): Figure[] {
  return [
    figure(`${name}: requests to the site`, "", requests),
    figure(`${name}: rows from the site`, "", rows),
    figure(`${name}: requests to the site a second`, "/s", requests / seconds),
  ];
}

/** What a change costs where there are ten times as many devices. */
async function changeFigures(options: BenchOptions): Promise<Figure[]> {
  const sizes = [DEVICES / 10, DEVICES].map((size) => Math.round(size * options.scale));
  const costs: Cost[] = [];
  for (const devices of sizes) {
    options.progress(`the cost of a change among ${devices} devices`);
    costs.push(await costOfChange(options, devices));
  }
  const [small, large] = costs as [Cost, Cost];
  return [
    figure("a change: bridge CPU", "CPU-ms", large.bridge * 1_000),
    figure("a change: control plane CPU", "CPU-ms", large.cloud * 1_000),
    figure("a change: requests to the site", "", large.requests),
    figure("a change among ten times as many devices", "x", large.bridge / small.bridge, {
      atMost: 1.5,
    }),
    figure("a minute without changes: bridge CPU", "CPU-ms", large.bridgeIdle * 1_000),
    figure(
      "a minute without changes, ten times as many devices",
      "x",
      large.bridgeIdle / small.bridgeIdle,
    ),
  ];
}

/** CPU-seconds and requests of each change beyond those without any, and CPU-seconds of a minute without. */
interface Cost {
  readonly bridge: number;
  readonly cloud: number;
  readonly requests: number;
  readonly bridgeIdle: number;
}

async function costOfChange(options: BenchOptions, devices: number): Promise<Cost> {
  const SECONDS = 45;
  const PER_SECOND = 20;
  await using synced = await SyncedSite.prepare({
    ...{ folder: folderAt(options, `change-${devices}`), devices, classes: CLASSES },
    ...{ hotSeconds: 5, truthMinutes: 1_440, limits: FAST },
  });
  const bridge = await synced.startBridge();
  await scansEnded(synced, 1, devices);
  const idle = await measured(synced, bridge.pid, () =>
    freshness(synced, { seconds: SECONDS, changesPerSecond: 0.01, devices }).then(() => undefined),
  );
  const busy = await measured(synced, bridge.pid, () =>
    freshness(synced, { seconds: SECONDS, changesPerSecond: PER_SECOND, devices }).then(
      () => undefined,
    ),
  );
  const beyond = (of: (reading: Reading) => number) =>
    (of(busy) - of(idle) * (busy.seconds / idle.seconds)) / (SECONDS * PER_SECOND);
  return {
    bridge: beyond((reading) => reading.bridgeCpu),
    cloud: beyond((reading) => reading.cloudCpu),
    requests: beyond((reading) => reading.requests),
    bridgeIdle: (idle.bridgeCpu / idle.seconds) * 60,
  };
}

/** More devices than a hierarchy may have, without classes: what the bridge needs of memory. */
async function manyFigures(options: BenchOptions): Promise<Figure[]> {
  const devices = Math.round(MANY_DEVICES * options.scale);
  await using synced = await SyncedSite.prepare({
    ...{ folder: folderAt(options, "many"), devices, classes: [] },
    // The second reading is spread over this time, for that is what is waited for.
    ...{ hotSeconds: 20, truthMinutes: MANY_TRUTH_MINUTES, limits: FAST, hasUpdates: false },
  });
  const bridge = await synced.startBridge();
  options.progress(`first reading of ${devices} plain devices`);
  const first = await measured(synced, bridge.pid, () => scansEnded(synced, 1, devices));
  options.progress("rounds of changes, digests and a second reading");
  await scansEnded(synced, 2, devices);
  const mebibytes = treeMemory(bridge.pid).peakBytes / 2 ** 20;
  return [
    figure(`${devices} plain devices: memory of the bridge`, "MiB", mebibytes, { atMost: 512 }),
    figure(`${devices} plain devices: devices a second`, "/s", devices / first.seconds),
  ];
}

/** Resolves when so many complete scans of the devices were told, and all devices are there. */
async function scansEnded(synced: SyncedSite, scans: number, devices: number): Promise<void> {
  const limitMs = 20 * MINUTE_MS + devices;
  await synced.until(
    `scan ${scans} of the devices`,
    () => synced.scansOfDevices() >= scans && synced.devices() >= devices,
    limitMs,
  );
}

async function floorOf(
  synced: SyncedSite,
): Promise<{ readonly microseconds: number; readonly octets: number }> {
  const records = synced.records(FLOOR_RECORDS);
  await using program = await startProgram<FloorProgram>(
    new URL("./floor-program.ts", import.meta.url),
  );
  const microseconds = await program.ask("measure", records);
  const octets = records.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / records.length;
  return { microseconds, octets };
}

function folderAt({ folder }: BenchOptions, name: string): string {
  const path = join(folder, name);
  mkdirSync(path, { recursive: true });
  return path;
}
