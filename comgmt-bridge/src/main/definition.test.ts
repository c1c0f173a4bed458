import type { LeaseWanted } from "@isthmus/shared/link/inventory-messages";
import { makeTestKernel } from "@isthmus/shared/testing/kernel";
import { expect, test } from "vitest";
import { type BridgeGuardrails, guardrails } from "../config/bridge-configuration.ts";
import { configuredSite } from "../testing/configured-site.ts";
import { bridge } from "./definition.ts";

const NOWHERE = { url: "https://localhost:1", caPem: "" };

async function started(local: object = { sites: [] }, rules: object = {}, connectorId = "one") {
  const kernel = await makeTestKernel({
    ...{ service: bridge.service, storeModule: bridge.storeModule, local, connectorId },
    guardrails: guardrails.parse(rules),
  });
  const told: LeaseWanted[] = [];
  const link = {
    ...kernel.link,
    tell: (message: LeaseWanted) => {
      told.push(message);
      return true;
    },
  };
  const service = await bridge.start({ ...kernel, link } as never);
  return { kernel, service, told };
}

/** A site that nobody answers for. */
function unreachable() {
  using site = configuredSite(NOWHERE, "token");
  const { caFile: _, ...configuration } = site.configuration;
  return configuration;
}

const desired = (site: object = {}) =>
  bridge.desiredConfiguration.parse({ sites: [{ source: "CM1", ...site }] });

test("it says that no site is configured, and what that means", async () => {
  const { kernel, service } = await started();
  await using _kernel = kernel;
  await using _service = service;
  const [check] = kernel.checks;
  expect(check?.name).toBe("site");
  expect(await check?.run()).toMatchObject({
    status: "warning",
    reason: expect.stringMatching(/no Configuration Manager site is configured.*inventory/),
  });
});

test("a site that is asked for has to be one of the local file", async () => {
  const { kernel, service } = await started();
  await using _kernel = kernel;
  await using _service = service;
  await expect(service.applyConfiguration({ sites: [] }, 1)).resolves.toBeUndefined();
  await expect(service.applyConfiguration(desired(), 2)).rejects.toMatchObject({
    ...{ code: "site-unknown", message: expect.stringMatching(/CM1.*it has no site/) },
  });
});

test("an inventory class that the guardrails do not list is refused, unless they list all", async () => {
  const wanted = desired({ inventoryClasses: ["SMS_G_System_SECRETS"] });
  const refusing = await started({ sites: [unreachable()] });
  await using _kernel = refusing.kernel;
  await using _service = refusing.service;
  await expect(refusing.service.applyConfiguration(wanted, 1)).rejects.toMatchObject({
    ...{ code: "inventory-class-refused" },
    rule: "guardrails.comgmt-bridge.inventory.classes",
  });
  const allowing: Partial<BridgeGuardrails> = { inventory: { classes: ["*"] } };
  const other = await started({ sites: [unreachable()] }, allowing);
  await using _other = other.kernel;
  await using _otherService = other.service;
  await expect(other.service.applyConfiguration(wanted, 1)).resolves.toBeUndefined();
});

test("for each site that is to be read its lease is asked for, and given up with it", async () => {
  const { kernel, service, told } = await started({ sites: [unreachable()] });
  await using _kernel = kernel;
  await using _service = service;
  await service.applyConfiguration(desired(), 1);
  expect(told).toEqual([
    { type: "lease-wanted", source: "CM1", sourceType: "configmgr", lease: 0, isGivenUp: false },
  ]);
  const lease = { type: "lease", source: "CM1", isHeld: true, lease: 7, revision: 0 } as const;
  service.onInventory?.({ ...lease, validMs: 60_000 });
  await service.applyConfiguration({ sites: [] }, 2);
  expect(told.at(-1)).toMatchObject({ lease: 7, isGivenUp: true });
});

test("leases are given up before the connection is closed, so that another bridge need not wait for their end", async () => {
  const { kernel, service, told } = await started({ sites: [unreachable()] });
  await using _kernel = kernel;
  await using _service = service;
  await service.applyConfiguration(desired(), 1);
  const lease = { type: "lease", source: "CM1", isHeld: true, lease: 7, revision: 0 } as const;
  service.onInventory?.({ ...lease, validMs: 60_000 });
  await service.leave?.();
  expect(told.at(-1)).toMatchObject({ lease: 7, isGivenUp: true });
});

test("without a control plane nothing is synchronised, and it says so", async () => {
  const { kernel, service, told } = await started({ sites: [unreachable()] }, {}, "standalone");
  await using _kernel = kernel;
  await using _service = service;
  await service.applyConfiguration(desired(), 1);
  expect(told).toEqual([]);
  const check = kernel.checks.find(({ name }) => name === "inventory");
  expect(await check?.run()).toMatchObject({
    ...{ status: "warning", reason: expect.stringMatching(/without a control plane/) },
  });
});

test("a device cannot be read again by a bridge that does not read its site", async () => {
  const { kernel, service } = await started();
  await using _kernel = kernel;
  await using _service = service;
  const context = { id: "1", signal: new AbortController().signal } as never;
  const refresh = service.commands["site.refresh"];
  await expect(
    refresh?.run({ source: "CM1", resourceIds: [16_777_216] }, context),
  ).rejects.toMatchObject({ code: "source-not-read" });
});

test("two sites of one code are refused at the start", async () => {
  const site = unreachable();
  await expect(started({ site, sites: [site] })).rejects.toThrow(/two sites have the code CM1/);
});
