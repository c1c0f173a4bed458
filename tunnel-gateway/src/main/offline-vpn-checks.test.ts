import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { runCheck } from "@isthmus/shared/kernel/health";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { describe, expect, test } from "vitest";
import { vpnLocalConfiguration } from "../config/vpn-local-configuration.ts";
import { offlineVpnChecks } from "./offline-vpn-checks.ts";

const staff = { name: "staff", authentication: [["certificate"]] };

async function checksOf(local: object, vpn?: unknown) {
  using folder = temporaryFolder();
  const file = join(folder.path, "desired.json");
  const configuration = { devices: { source: "list" }, vpn };
  writeFileSync(file, JSON.stringify({ version: 1, configuration }));
  const parsed = vpnLocalConfiguration.parse({ network: "10.98.0.0/16", ...local });
  const results = await Promise.all(offlineVpnChecks(parsed, file).map(runCheck));
  return new Map(results.map((result) => [result.name, result]));
}

describe("before the start", () => {
  test("a VPN that could be served has no fault, and whether its data path is built is said", async () => {
    const found = await checksOf({}, { groups: [staff] });
    expect(found.get("vpn-network")).toMatchObject({ status: "healthy" });
    expect(found.get("vpn-groups")).toMatchObject({ status: "healthy" });
    expect(found.has("data-path")).toBe(true);
  });

  test.each(["10.98.0.1/16", "10.98.0.0/40", "169.254.0.0/16", "10.98.0.0/30"])(
    "%s is refused as the network of clients",
    async (network) => {
      expect((await checksOf({ network })).get("vpn-network")).toMatchObject({
        status: "unhealthy",
        reason: expect.stringContaining(network),
      });
    },
  );

  test.each([
    [{ authentication: [["ghost"]] }, "no authenticator is called ghost"],
    [{ routesInclude: ["10.1.0.1/16"] }, "is no network"],
  ])("a group that the gateway would refuse is told: %j", async (change, reason) => {
    const found = await checksOf({}, { groups: [{ ...staff, requireDevice: false, ...change }] });
    expect(found.get("vpn-groups")).toMatchObject({
      status: "unhealthy",
      reason: expect.stringContaining(reason),
    });
  });

  test("policyGroups that no policy is for are a warning", async () => {
    const found = await checksOf({}, { groups: [{ ...staff, policyGroups: ["ghost"] }] });
    expect(found.get("vpn-groups")).toMatchObject({
      status: "warning",
      reason: expect.stringContaining("ghost"),
    });
  });

  test("no group is a warning, and a form that is wrong is told elsewhere", async () => {
    expect((await checksOf({})).get("vpn-groups")).toMatchObject({ status: "warning" });
    expect((await checksOf({}, { groups: "staff" })).get("vpn-groups")).toMatchObject({
      status: "unknown",
    });
  });
});
