import { makeTestKernel } from "@isthmus/shared/testing/kernel";
import { until } from "@isthmus/shared/testing/until";
import { expect, test } from "vitest";
import type { InventorySource } from "../core/ports.ts";
import type { BridgeOperations } from "../store/module.ts";
import { Inventory } from "./inventory.ts";

const SOURCE: InventorySource = {
  ...{ name: "CM1", type: "configmgr", kinds: ["device"] },
  run: async () => {},
  read: async () => ({ facets: [], records: [] }),
};

async function startInventory() {
  const kernel = await makeTestKernel<object, object, BridgeOperations>({
    service: "comgmt-bridge",
    storeModule: new URL("../store/module.ts", import.meta.url),
    local: {},
    guardrails: {},
  });
  const { store, clock, random, log } = kernel;
  const deletions = { maxShare: 0.02, minimum: 5 };
  const parts = { store, clock, random, log, deletions, tell: () => true, wake: () => {} };
  const inventory = new Inventory(parts, false);
  await inventory.apply([{ name: "CM1", make: "", start: () => SOURCE }]);
  inventory.onMessage({
    ...{ type: "lease", source: "CM1", isHeld: true, lease: 1, revision: 0, validMs: 60_000 },
  });
  await until(async () => (await store.query("SELECT * FROM source_state", [], 1)).length === 1);
  return {
    inventory,
    now: () => clock.now(),
    pass: (milliseconds: number) => clock.advance(milliseconds),
    /** All of these were there in a scan that has just ended. */
    async scanned(devices: number): Promise<void> {
      const at = clock.now();
      const whose = { source: "CM1", kind: "device" as const, lease: 1, at };
      const records = Array.from({ length: devices }, (_, key) => ({ key: `${key}`, facets: {} }));
      await store.run("applyRange", { ...whose, range: undefined, facets: [], records, pages: {} });
      await store.run("endScan", { ...whose, beganAt: at, maxDeletedShare: 0.02, minDeleted: 5 });
      clock.advance(1_000);
    },
    async [Symbol.asyncDispose]() {
      await inventory[Symbol.asyncDispose]();
      await kernel[Symbol.asyncDispose]();
    },
  };
}

test("the check says that a first reading begins, and when a source was last read whole after a restart too", async () => {
  await using it = await startInventory();
  const { inventory } = it;
  expect(await inventory.check()).toMatchObject({ reason: "CM1: its first reading begins" });
  const endedAt = it.now();
  await it.scanned(20);
  const when = `${new Date(endedAt).toISOString().slice(0, 19)}Z`;
  const read = { status: "healthy", reason: `CM1: last read whole at ${when}` };
  expect(await inventory.check()).toEqual(read);
  it.pass(60_000);
  // What is the same a minute later is told to the control plane by its digest.
  expect(await inventory.check()).toEqual(read);
});

test("the check names a class whose answers cannot be used, until they can", async () => {
  await using it = await startInventory();
  await it.scanned(20);
  const observer = it.inventory.runners[0]?.observer;
  observer?.table("SMS_G_System_TPM", { code: "site-failed", message: "status 500" });
  observer?.scanEnded("device");
  expect(await it.inventory.check()).toMatchObject({
    status: "warning",
    reason: expect.stringContaining(
      "SMS_G_System_TPM is left out, and what it told stays as it was: status 500",
    ),
    remedy: "look at SMS_G_System_TPM at the site, or take it out of inventoryClasses",
  });
  observer?.table("SMS_G_System_TPM", undefined);
  expect(await it.inventory.check()).toMatchObject({ status: "healthy" });
});

test("the check names a drift that does not heal, and what is the same again no more", async () => {
  await using it = await startInventory();
  await it.scanned(20);
  const drift = it.inventory.runners[0]?.observer.drift;
  const differs = { type: "inventory-differs", source: "CM1", kind: "device" } as const;
  for (let n = 0; n < 4; n += 1) {
    drift?.digestTold("device");
    drift?.without({ ...differs, buckets: [], wanted: ["7"], unknown: [] });
  }
  expect(await it.inventory.check()).toMatchObject({
    status: "warning",
    reason: expect.stringMatching(/a drift does not heal: 1 records of kind device .*: 7/),
  });
  for (let n = 0; n < 4; n += 1) drift?.digestTold("device");
  expect(await it.inventory.check()).toMatchObject({ status: "healthy" });
});

test("the check warns of deletions that wait for an approval", async () => {
  await using it = await startInventory();
  for (const devices of [20, 10, 10]) await it.scanned(devices);
  expect(await it.inventory.check()).toMatchObject({
    status: "warning",
    reason: expect.stringContaining("10 deletions are too many at once and wait for an approval"),
    remedy: expect.stringContaining("comgmt-bridge deletions list"),
  });
});
