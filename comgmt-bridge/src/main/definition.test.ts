import { makeTestKernel } from "@isthmus/shared/testing/kernel";
import { expect, test } from "vitest";
import { bridge } from "./definition.ts";

async function started() {
  const kernel = await makeTestKernel({
    service: bridge.service,
    storeModule: bridge.storeModule,
    local: {},
    guardrails: {},
  });
  return { kernel, service: await bridge.start(kernel as never) };
}

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

test("an empty configuration is applied, one with a site is refused rather than ignored", async () => {
  expect(bridge.desiredConfiguration.parse({})).toEqual({ sites: [] });
  const refused = bridge.desiredConfiguration.safeParse({ sites: [{ code: "P01" }] });
  expect(refused.error?.issues[0]?.message).toMatch(/reads no Configuration Manager site yet/);
  const { kernel, service } = await started();
  await using _kernel = kernel;
  await using _service = service;
  await expect(service.applyConfiguration({ sites: [] }, 1)).resolves.toBeUndefined();
});

test("it runs no commands of its own", async () => {
  const { kernel, service } = await started();
  await using _kernel = kernel;
  await using _service = service;
  expect(service.commands).toEqual({});
});
