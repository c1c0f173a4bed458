import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkConfiguration } from "@isthmus/shared/kernel/configuration";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { expect, test } from "vitest";
import { configuration } from "../config/configuration.ts";
import { DEFAULT_QUOTA } from "../core/inventory-quota.ts";
import { ConsoleBrowser } from "../testing/console-browser.ts";
import { clientFacets, ToldSite } from "../testing/told-site.ts";
import { ControlPlaneFixture } from "./control-plane-fixture.ts";
import { inventoryQuotas } from "./inventory-quotas.ts";

function quotaKeys(quota: object) {
  using folder = temporaryFolder();
  const file = join(folder.path, "config.json");
  writeFileSync(file, "{}");
  const value = { stateFolder: "state", inventory: { quota } };
  return checkConfiguration(configuration, value, file).inventory.quota;
}

test("the configuration says how much is kept of all sources, and of one", () => {
  expect(inventoryQuotas(quotaKeys({}))).toEqual({ default: DEFAULT_QUOTA, sources: {} });
  const quota = { megabytes: 5, sources: { CM1: { records: 10 }, "ad.corp.test": {} } };
  const usual = { records: DEFAULT_QUOTA.records, octets: 5_000_000 };
  expect(inventoryQuotas(quotaKeys(quota))).toEqual({
    default: usual,
    sources: { CM1: { records: 10, octets: 5_000_000 }, "ad.corp.test": usual },
  });
});

test.each([
  [{ records: 0 }, "records"],
  [{ records: 100_000_001 }, "records"],
  [{ megabytes: 10_000_001 }, "megabytes"],
  [{ sources: { "no name": {} } }, "no name"],
  [{ sources: { CM1: { bytes: 1 } } }, "bytes"],
])("limits that are none are refused: %j", (quota, word) => {
  expect(() => quotaKeys(quota)).toThrow(word);
});

test("a source without room says so in the API, in the console and in the control plane's health", async () => {
  using folder = temporaryFolder();
  await using plane = await ControlPlaneFixture.start(folder.path, {
    inventory: { quota: { sources: { CM1: { records: 1 } } } },
  });
  const admin = await plane.client();
  await using site = await ToldSite.start(plane, admin);
  expect(await admin.get("/configurationManagerSites/CM1")).toMatchObject({
    isOverQuota: false,
    quota: { records: 0, maxRecords: 1, maxOctets: DEFAULT_QUOTA.octets, refusedCount: 0 },
  });
  await site.tell("device", { "1": clientFacets("A"), "2": clientFacets("B") });
  const over = await until(async () => {
    const found = await admin.get("/configurationManagerSites/CM1");
    return found.isOverQuota ? found : undefined;
  }, "the source over its limits");
  expect(over).toMatchObject({
    counts: { device: 1 },
    quota: { records: 1, refusedCount: 1, overQuotaSinceDateTime: expect.stringMatching(/Z$/) },
  });
  expect(over.lastEvents[0]).toMatchObject({ event: "quota.exceeded", side: "cloud" });
  const browser = new ConsoleBrowser(plane);
  await browser.signIn("admin", plane.firstPassword);
  expect(await browser.page("/sources/CM1")).toContain("over its limits since");
  expect(await browser.page("/")).toContain("over its limits");
  await until(async () => {
    const ready = await (await fetch(`${plane.healthUrl}/ready`)).json();
    const { checks } = ready as { checks: { name: string; status: string; reason: string }[] };
    const quota = checks.find((each) => each.name === "inventory-quota");
    return quota?.status === "warning" && / of 1 records, about .* refused\)$/.test(quota.reason);
  }, "the warning");
});
