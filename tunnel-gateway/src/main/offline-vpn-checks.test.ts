import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { runCheck } from "@isthmus/shared/kernel/health";
import { loadLocalConfiguration } from "@isthmus/shared/kernel/local-configuration";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { describe, expect, test } from "vitest";
import { localConfiguration } from "../config/local-configuration.ts";
import { offlineChecks } from "./offline-checks.ts";

const staff = { name: "staff", authentication: [["certificate"]] };

async function checksOf(vpnOfHost: object | undefined, vpn?: unknown, others: Others = {}) {
  using folder = temporaryFolder();
  const write = (name: string, content: unknown) => {
    writeFileSync(join(folder.path, name), JSON.stringify(content), { mode: 0o600 });
    return name;
  };
  const configuration = { devices: { source: "list" }, vpn, ...others.desired };
  const { guardrails } = others;
  const local = {
    stateFolder: "state",
    listen: { address: "127.0.0.1", port: 0 },
    // They have to be there; what is in them is another check's.
    tls: { certificateFile: write("server.pem", ""), keyFile: write("server.key", "") },
    trustAnchors: { devices: { file: write("anchors.pem", "") } },
    standalone: { desiredConfigurationFile: write("desired.json", { version: 1, configuration }) },
    ...(vpnOfHost && { vpn: { network: "10.98.0.0/16", ...vpnOfHost } }),
    ...(guardrails && { guardrailsFile: write("guardrails.json", guardrails) }),
  };
  const file = join(folder.path, write("gateway.json", local));
  const checks = offlineChecks(loadLocalConfiguration({ localConfiguration }, file));
  const results = await Promise.all(checks.map(runCheck));
  return new Map(results.map((result) => [result.name, result]));
}

interface Others {
  readonly desired?: object;
  readonly guardrails?: object;
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

  test.each([
    [{ accessLog: { mostDetail: "standard" } }, "accessLog.mostDetail"],
    [{ maximumDeviceAgeMinutes: 5 }, "device states would count longer than allowed"],
    [
      { destinations: [{ cidr: "10.9.0.0/16", ports: [443] }] },
      "opens more than the guardrails allow",
    ],
  ])(
    "a file that goes beyond the host's guardrails is told, with a VPN and without: %j",
    async (rules, reason) => {
      const destinations = [{ cidr: "10.1.0.0/16", ports: [443] }];
      const rule = { name: "web", action: "allow", destinations };
      const policies = [{ name: "office", groups: ["staff"], rules: [rule] }];
      const desired = { accessLog: { detail: "full" }, policies };
      const guardrails = { commands: { allow: [] }, "tunnel-gateway": rules };
      for (const vpnOfHost of [undefined, {}]) {
        const found = await checksOf(vpnOfHost, { groups: [staff] }, { desired, guardrails });
        const told = { status: "unhealthy", reason: expect.stringContaining(reason) };
        expect(found.get("rules")).toMatchObject(told);
        const within = await checksOf(vpnOfHost, { groups: [staff] }, { desired });
        expect(within.get("rules")).toMatchObject({ status: "healthy" });
      }
    },
  );

  test("logins that the host wants more of are told", async () => {
    const bans = { maximumFailures: 1 };
    const guardrails = { commands: { allow: [] }, "tunnel-gateway": { vpn: { bans } } };
    const found = await checksOf({}, { groups: [staff] }, { guardrails });
    expect(found.get("vpn-groups")).toMatchObject({
      status: "unhealthy",
      reason: expect.stringContaining("guardrails"),
    });
  });
});
