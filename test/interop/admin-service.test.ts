import { X509Certificate } from "node:crypto";
import { siteChecks } from "@isthmus/comgmt-bridge/main/site-checks";
import {
  readOperationId,
  readReturned,
} from "@isthmus/comgmt-bridge/protocol/admin-service/answer";
import { type ClassName, objectPath } from "@isthmus/comgmt-bridge/protocol/admin-service/path";
import { compare } from "@isthmus/comgmt-bridge/protocol/admin-service/query";
import {
  CLIENT_STATUS,
  CO_MANAGEMENT_STATE,
  COLLECTION,
  DEVICE,
  inventoryClass,
  MEMBERSHIP,
  readRow,
  SYSTEM,
  USER,
  WORKSTATION_STATUS,
} from "@isthmus/comgmt-bridge/protocol/admin-service/rows";
import { pinOf } from "@isthmus/comgmt-bridge/site/certificate-pin";
import { probeCapabilities } from "@isthmus/comgmt-bridge/site/probe-capabilities";
import { type KeyRange, readKeyRange } from "@isthmus/comgmt-bridge/site/read-key-range";
import { configuredSite } from "@isthmus/comgmt-bridge/testing/configured-site";
import { asking, clientOf } from "@isthmus/comgmt-bridge/testing/site-under-test";
import { TOKEN } from "@isthmus/comgmt-bridge/testing/strict-admin-service";
import { systemClock } from "@isthmus/shared/clock";
import { runCheck } from "@isthmus/shared/kernel/health";
import { systemRandom } from "@isthmus/shared/random";
import { rejectedCode } from "@isthmus/shared/testing/thrown-code";
import { until } from "@isthmus/shared/testing/until";
import { describe, expect, test } from "vitest";
import type { Fault, FaultRule } from "../simulators/configmgr/faults.ts";
import { type Site, startSite } from "../simulators/configmgr/site.ts";
import type { SiteOptions } from "../simulators/configmgr/site-options.ts";

/** The bridge's client of the AdminService with the simulated site, and with all that goes wrong there. */

const DEVICES = 2_500;
const ACCOUNT = { name: "CORP\\isthmus" };
const LIMITS = { pageRows: 1_000, maxAnswerBytes: 67_108_864 };

function simulated(options: SiteOptions = {}): Promise<Site> {
  return startSite({ devices: DEVICES, siteCode: "CM1", tokens: { [TOKEN]: ACCOUNT }, ...options });
}

/** The ResourceIDs of all devices, as the client reads them page by page. */
async function keysOf(site: Site, range: Partial<KeyRange> = {}): Promise<number[]> {
  using client = clientOf(site, { limits: LIMITS });
  const keys: number[] = [];
  const whole = {
    ...{ of: SYSTEM, keyName: "ResourceId", after: 0, pageRows: 1_000, isOrdered: true },
    ...range,
  };
  for await (const { rows } of readKeyRange(client, whole, asking())) {
    keys.push(...rows.map((row) => readRow(SYSTEM, row).known.ResourceID));
  }
  return keys;
}

/** Strikes the second of the pages of SMS_R_System. */
const secondPage = (fault: Fault): FaultRule => ({
  ...{ fault, path: "SMS_R_System\\?.*\\$top=1000", after: 1, times: "always" },
});

describe("a whole site", () => {
  test("is read to the last device, in one range or in many", async () => {
    await using site = await simulated();
    const keys = await keysOf(site);
    expect(new Set(keys).size).toBe(DEVICES);
    const middle = keys[1_234] ?? 0;
    const [low, high] = [
      await keysOf(site, { through: middle, pageRows: 700 }),
      await keysOf(site, { after: middle, isOrdered: false }),
    ];
    expect([...low, ...high]).toEqual(keys);
  });

  test("shows its typed classes, and nothing of a row is lost", async () => {
    await using site = await simulated();
    using client = clientOf(site, { limits: LIMITS });
    const first = async (of: ClassName) =>
      (await client.rows(of, { top: 1 }, asking())).rows[0] ?? {};
    const device = readRow(DEVICE, await first(DEVICE));
    expect(device.known).toMatchObject({ SiteCode: "CM1", IsClient: true });
    expect(device.others).toHaveProperty("LastHardwareScan");
    const key = device.known.MachineId;
    for (const of of [WORKSTATION_STATUS, inventoryClass("SMS_G_System_PC_BIOS")]) {
      const row = await first(of);
      expect(readRow(inventoryClass(of.name), row).known.ResourceID).toBe(key);
    }
    expect(readRow(CLIENT_STATUS, await first(CLIENT_STATUS)).known.ResourceID).toBe(key);
    expect(readRow(CO_MANAGEMENT_STATE, await first(CO_MANAGEMENT_STATE)).known).toEqual(
      expect.objectContaining({ ResourceID: key, MDMEnrolled: expect.any(Boolean) }),
    );
    expect(readRow(USER, await first(USER)).known.ResourceID).toBeGreaterThan(0);
    const { CollectionID } = readRow(COLLECTION, await first(COLLECTION)).known;
    const filter = compare("CollectionID", "eq", CollectionID);
    const members = await client.rows(MEMBERSHIP, { filter, top: 1 }, asking());
    expect(readRow(MEMBERSHIP, members.rows[0] ?? {}).known.CollectionID).toBe(CollectionID);
  });

  test("takes a CMPivot query, and says when its result is not there yet", async () => {
    await using site = await simulated({ behaviour: { answerMinMs: 60_000, answerMaxMs: 60_001 } });
    using client = clientOf(site);
    const { rows } = await client.rows(DEVICE, { top: 1 }, asking());
    const device = objectPath(DEVICE, Number(rows[0]?.["MachineId"]));
    const query = { InputQuery: "OperatingSystem" };
    const asked = { ...asking("command"), asked: "action" } as const;
    const body = await client.call(`${device}/AdminService.RunCMPivot`, query, asked);
    expect(readOperationId(body)).toBeGreaterThan(0);
    expect(readReturned(body)).not.toBeNull();
  });

  test.each(["ResourceId", "ResourceID"] as const)(
    "is probed, and spells its key %s",
    async (keyName) => {
      await using site = await simulated({ systemKeyName: keyName });
      using client = clientOf(site, { limits: LIMITS });
      expect(await probeCapabilities(client, 1_000, asking())).toEqual({
        ...{ keyName, top: true, greaterThan: true, greaterOrEqual: true, orderBy: true },
        ...{ skip: false, nextLink: false, pageRows: 1_000 },
      });
    },
  );

  test("that gives pages of its own size and a next link is read by keys none the less", async () => {
    await using site = await simulated({ capabilities: { nextLinkRows: 300, skip: true } });
    using client = clientOf(site, { limits: LIMITS });
    expect(await probeCapabilities(client, 1_000, asking())).toMatchObject({
      ...{ nextLink: true, skip: true, pageRows: 300 },
    });
    expect(await keysOf(site)).toHaveLength(DEVICES);
  });

  test("passes check with its CA or with its key alone, but for what it does not have", async () => {
    await using site = await simulated();
    using configured = configuredSite(site, TOKEN);
    const pin = pinOf(new X509Certificate(site.certificate));
    const { caFile: _, ...byKey } = { ...configured.configuration, pin };
    for (const configuration of [configured.configuration, byKey]) {
      const checks = siteChecks(configuration, {
        clock: systemClock,
        random: systemRandom,
        stateFolder: "",
      });
      const results = await Promise.all(checks.map(runCheck));
      // The simulated site has no script.
      const missing = results.filter(({ status }) => status !== "healthy");
      expect(missing.map(({ name, status }) => [name, status]).sort()).toEqual([
        ["site-rights-sms-scripts", "warning"],
      ]);
    }
  });
});

describe("a page that goes wrong ends the range with a code and never shortens it", () => {
  test.each<[string, Fault]>([
    ["page-short", { kind: "short-page", rows: 10 }],
    ["page-short", { kind: "short-page", rows: 0 }],
    ["page-repeated", { kind: "repeated-page" }],
    ["site-interrupted", { kind: "cut", when: "before" }],
    ["site-interrupted", { kind: "cut", when: "after" }],
    ["site-interrupted", { kind: "cut", when: "mid-body" }],
    ["site-unauthorized", { kind: "unauthorized" }],
    ["site-mfa-demanded", { kind: "mfa" }],
    ["site-security-exception", { kind: "security-exception" }],
    ["site-failed", { kind: "status", status: 500 }],
    ["site-unavailable", { kind: "status", status: 503 }],
  ])("%s: %j", async (code, fault) => {
    await using site = await simulated();
    site.fault(secondPage(fault));
    expect(await rejectedCode(() => keysOf(site))).toBe(code);
  });

  test("a fault that passes is got over", async () => {
    await using site = await simulated();
    site.fault({ ...secondPage({ kind: "short-page", rows: 10 }), times: 1 });
    expect(await keysOf(site)).toHaveLength(DEVICES);
    site.fault({ ...secondPage({ kind: "cut", when: "mid-body" }), times: 1 });
    using client = clientOf(site, { limits: { ...LIMITS, retries: 1 } });
    const query = { top: 1_000 };
    for (let count = 0; count < 3; count += 1) {
      expect((await client.rows(SYSTEM, query, asking())).rows).toHaveLength(1_000);
    }
  });
});

test("a dead provider is given up in time, left alone, and used again once it is back", async () => {
  await using site = await simulated();
  const back = site.fault({ fault: { kind: "hang" }, times: "always" });
  const limits = { firstByteTimeoutMs: 1_500, breakerFailures: 2, breakerOpenMs: 100 };
  let now = Date.now();
  using client = clientOf(site, { limits, parts: { clock: { now: () => now } } });
  const ask = () => rejectedCode(() => client.rows(DEVICE, { top: 1 }, asking()));
  expect(await Promise.all([ask(), ask()])).toEqual(["site-timeout", "site-timeout"]);
  // Another class was asked before the whole site is left alone.
  await until(() => client.breaker.kind === "open", "the breaker to open");
  expect(await ask()).toBe("site-circuit-open");
  back();
  now += 100;
  expect([await ask(), client.breaker.kind]).toEqual(["nothing", "closed"]);
});

test("an action that the site did but did not answer for is unknown, and was done once", async () => {
  await using site = await simulated();
  using client = clientOf(site, { limits: { retries: 3 } });
  const { rows } = await client.rows(DEVICE, { top: 1 }, asking());
  site.fault({ fault: { kind: "cut", when: "after" }, method: "POST" });
  const path = `${objectPath(DEVICE, Number(rows[0]?.["MachineId"]))}/AdminService.RunCMPivot`;
  const asked = { ...asking("command"), asked: "action" } as const;
  const code = await rejectedCode(() => client.call(path, { InputQuery: "OS" }, asked));
  expect(code).toBe("site-outcome-unknown");
  expect(site.requests().filter(({ method }) => method === "POST")).toHaveLength(1);
});

test("narrowed rights look like fewer devices: nothing in the answers says so", async () => {
  await using site = await simulated();
  site.narrow(0.5);
  const keys = await keysOf(site);
  expect(keys.length).toBeGreaterThan(0);
  expect(keys.length).toBeLessThan(DEVICES);
});

test("a client never has more under way than it may", async () => {
  await using site = await simulated({ limits: { msPerPage: 5 } });
  using client = clientOf(site, { limits: LIMITS });
  await Promise.all(Array.from({ length: 20 }, () => client.rows(DEVICE, { top: 1 }, asking())));
  expect(site.mostInFlight()).toBe(3);
});
