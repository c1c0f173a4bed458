import {
  type InventoryDiffers,
  inventoryEntry,
  type Lease,
} from "@isthmus/shared/link/inventory-messages";
import { lineOf, STORED_ENTRIES } from "@isthmus/shared/link/lane-operations";
import { makeTestKernel } from "@isthmus/shared/testing/kernel";
import { until } from "@isthmus/shared/testing/until";
import { expect, test } from "vitest";
import type { InventorySource } from "../core/ports.ts";
import type { BridgeOperations } from "../store/module.ts";
import { SourceRunner } from "./source-runner.ts";
import { WaitingRepairs } from "./waiting-repairs.ts";

/** A control plane that says what it likes, and a source that only counts. */

const HELD: Lease = {
  ...{ type: "lease", source: "CM1", isHeld: true, lease: 1, revision: 0, validMs: 60_000 },
};
const DIFFERS: InventoryDiffers = {
  ...{ type: "inventory-differs", source: "CM1", kind: "device" },
  ...{ buckets: [], wanted: [], unknown: [] },
};

async function startRunner() {
  const kernel = await makeTestKernel<object, object, BridgeOperations>({
    service: "comgmt-bridge",
    storeModule: new URL("../store/module.ts", import.meta.url),
    local: {},
    guardrails: {},
  });
  const { store, clock, random, log } = kernel;
  const seen = { runs: 0, running: 0, reads: 0, reading: 0, mostReading: 0 };
  let letRead: () => void = () => {};
  const source: InventorySource = {
    ...{ name: "CM1", type: "configmgr", kinds: ["device"] },
    async run(_sink, signal) {
      seen.runs += 1;
      seen.running += 1;
      await new Promise<void>((resolve) => {
        signal.addEventListener("abort", () => resolve(), { once: true });
        if (signal.aborted) resolve();
      });
      seen.running -= 1;
    },
    async read() {
      seen.reads += 1;
      seen.reading += 1;
      seen.mostReading = Math.max(seen.mostReading, seen.reading);
      await new Promise<void>((resolve) => {
        letRead = resolve;
      });
      seen.reading -= 1;
      return { facets: [], records: [] };
    },
  };
  const deletions = { maxShare: 0.02, minimum: 5 };
  const runner = new SourceRunner(() => source, {
    ...{ store, clock, random, log, deletions, tell: () => true, wake: () => {} },
  });
  const figures = async () => (await store.query("SELECT * FROM source_state", [], 1))[0];
  /** As the wire reads them. */
  const entries = async (type: string) => {
    const rows = await store.query(
      `SELECT entry, bytes FROM ${STORED_ENTRIES} ORDER BY position`,
      [],
      100,
    );
    const told = rows.map((row) => inventoryEntry.parse(JSON.parse(lineOf(row))));
    return told.filter((each) => each.type === type);
  };
  const events = () => entries("event");
  return {
    ...{ kernel, runner, seen, figures, entries, events },
    letRead: () => letRead(),
    async [Symbol.asyncDispose]() {
      letRead();
      await runner[Symbol.asyncDispose]();
      await kernel[Symbol.asyncDispose]();
    },
  };
}

test("a thousand leases in a row start the source twice: under the first, and under the last", async () => {
  await using it = await startRunner();
  for (let lease = 1; lease <= 1_000; lease += 1) {
    it.runner.onLease({ ...HELD, lease });
    if (lease % 3 === 0) it.runner.onLease({ ...HELD, isHeld: false });
    if (lease === 1) await until(() => it.seen.running === 1);
  }
  await until(async () => (await it.figures())?.["lease"] === 1_000);
  await until(() => it.seen.running === 1);
  expect(it.seen.runs).toBe(2);
});

test("a lease that was lost and is given again lets the source run again", async () => {
  await using it = await startRunner();
  it.runner.onLease(HELD);
  await until(() => it.seen.running === 1);
  it.runner.onLease({ ...HELD, isHeld: false });
  it.runner.onLease(HELD);
  await until(() => it.seen.runs === 2 && it.seen.running === 1);
  it.runner.onLease({ ...HELD, isHeld: false });
  await until(() => it.seen.running === 0);
});

test("a revision that would use up the numbers is not taken over, and a later lease is", async () => {
  await using it = await startRunner();
  it.runner.onLease({ ...HELD, revision: Number.MAX_SAFE_INTEGER });
  await until(() => it.runner.observer.lastFault?.code === "revision-implausible");
  it.runner.onLease({ ...HELD, lease: 2, revision: 7 });
  await until(() => it.seen.running === 1);
  expect(await it.figures()).toMatchObject({ lease: 2, revision: 7 });
});

test("what is told once of a site is an event of the source, as long as the wire takes", async () => {
  await using it = await startRunner();
  it.runner.onLease(HELD);
  await until(() => it.seen.running === 1);
  const { observer } = it.runner;
  const fault = { code: "site-failed", message: "x".repeat(2_000) };
  for (const _ of [1, 2]) observer.table("SMS_G_System_TPM", fault);
  for (const _ of [1, 2]) observer.table("SMS_G_System_TPM", undefined);
  await until(async () => (await it.events()).length === 2);
  expect(await it.events()).toMatchObject([
    { event: "table.left-out", message: expect.stringMatching(/^SMS_G_System_TPM is left out: x/) },
    { event: "table.read-again", message: "SMS_G_System_TPM is read again" },
  ]);
});

test("differences without end are looked into one after the other, and the site is asked for one at a time", async () => {
  await using it = await startRunner();
  it.runner.onLease(HELD);
  await until(() => it.seen.running === 1);
  for (let n = 0; n < 5_000; n += 1) {
    it.runner.onDiffers({ ...DIFFERS, wanted: [String(n)] });
    it.runner.onDiffers({ ...DIFFERS, wanted: ["1"] });
  }
  for (let n = 1; n <= 5; n += 1) {
    await until(() => it.seen.reads === n);
    it.letRead();
  }
  expect(it.seen.mostReading).toBe(1);
});

test("a control plane that finds differences without end sets no pace, and what does not heal is said with its evidence", async () => {
  await using it = await startRunner();
  it.runner.onLease(HELD);
  await until(() => it.seen.running === 1);
  for (let n = 0; n < 100; n += 1) it.runner.onDiffers({ ...DIFFERS, buckets: [n] });
  await until(async () => (await it.entries("bucket")).length === 60);
  it.kernel.clock.advance(20_000);
  await until(async () => (await it.entries("bucket")).length === 62);
  const { drift } = it.runner.observer;
  for (let n = 0; n < 4; n += 1) {
    drift.digestTold("device");
    drift.without({ ...DIFFERS, wanted: ["7"] });
  }
  await until(async () => (await it.events()).length === 1);
  expect(await it.events()).toMatchObject([
    {
      event: "drift.unhealed",
      message: expect.stringMatching(/^1 records of kind device differ .* after 4 digests.*: 7$/),
    },
  ]);
  expect(await it.entries("bucket")).toHaveLength(62);
});

test("what waits is bounded in memory, and the same is not kept twice", () => {
  const repairs = new WaitingRepairs();
  const keys = Array.from({ length: 500 }, (_, n) => `${n}`.padStart(256, "k"));
  repairs.add({ ...DIFFERS, wanted: ["1"] });
  repairs.add({ ...DIFFERS, wanted: ["1"] });
  expect(repairs.dropped).toBe(1);
  for (let n = 0; n < 1_000; n += 1) {
    repairs.add({ ...DIFFERS, wanted: keys, unknown: [String(n)] });
  }
  expect(repairs.dropped).toBeGreaterThan(950);
  expect(repairs.take()?.wanted).toEqual(["1"]);
  repairs.clear();
  expect(repairs.take()).toBeUndefined();
  repairs.add({ ...DIFFERS, wanted: keys });
  expect(repairs.take()?.wanted).toEqual(keys);
});
