import { until } from "@isthmus/shared/testing/until";
import { describe, expect, test } from "vitest";
import type { Fault } from "../simulators/configmgr/faults.ts";
import { AdminServiceClient } from "./configmgr/admin-service-client.ts";
import { FIRST, NOW, OPERATOR, siteUnderTest } from "./configmgr/site-under-test.ts";

/** What moves in the simulated fleet, and what goes wrong with the simulated provider. */

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

describe("a device", () => {
  test("that is renamed, heard of, new or removed is so in every class", async () => {
    await using all = await siteUnderTest();
    all.clock.advance(MINUTE_MS);
    all.site.change({ kind: "rename", resourceId: FIRST, name: 'NEW "NAME"' });
    all.site.change({ kind: "heartbeat", resourceId: FIRST + 1 });
    all.site.change({ kind: "remove", resourceId: FIRST + 2 });
    const added = all.site.change({ kind: "add", change: { name: "ADDED" } });
    expect(added).toBe(FIRST + 100);
    const rows = await all.client.rows("v1.0/Device");
    expect(rows).toHaveLength(100);
    expect(rows[0]).toMatchObject({ MachineId: FIRST, Name: 'NEW "NAME"' });
    expect(rows[1]).toMatchObject({ LastActiveTime: "2026-01-15T12:01:00Z" });
    expect(rows[2]).toMatchObject({ MachineId: FIRST + 3 });
    expect(rows.at(-1)).toMatchObject({ MachineId: added, Name: "ADDED" });
    const filter = `$filter=ResourceID eq ${FIRST + 2} or ResourceID eq ${added}`;
    expect(await all.client.rows(`wmi/SMS_G_System_PC_BIOS?${filter}`)).toHaveLength(1);
    const [system] = await all.client.rows(`wmi/SMS_G_System_COMPUTER_SYSTEM?$top=1`);
    expect(system).toMatchObject({ Name: 'NEW "NAME"' });
    expect(all.site.changes()).toHaveLength(4);
  });

  test("can be given any value of any class", async () => {
    await using all = await siteUnderTest();
    const columns = { SMS_R_System: { SID: "S-1-0-0" }, SMS_G_System_PC_BIOS: { Version: "x" } };
    all.site.change({ kind: "device", resourceId: FIRST, change: { columns } });
    const rows = await all.client.rows("wmi/SMS_R_System?$filter=SID eq 's-1-0-0'");
    expect(rows).toMatchObject([{ ResourceId: FIRST, SID: "S-1-0-0", Active: 1 }]);
    const [bios] = await all.client.rows("wmi/SMS_G_System_PC_BIOS?$top=1");
    expect(bios).toMatchObject({ Version: "x" });
  });

  test("reports inventory: one program is new, the old value is history", async () => {
    await using all = await siteUnderTest();
    const of = `SMS_G_System_ADD_REMOVE_PROGRAMS_64?$filter=ResourceID eq ${FIRST}`;
    const versions = async () =>
      (await all.client.rows(`wmi/${of}`)).map((row) => String(row["Version"]));
    const before = await versions();
    all.site.change({ kind: "inventory", resourceId: FIRST });
    const after = await versions();
    expect(after.filter((version, index) => version !== before[index])).toHaveLength(1);
    const history = await all.client.rows(`wmi/${of.replace("SMS_G_", "SMS_GH_")}`);
    const group = after.findIndex((version, index) => version !== before[index]) + 1;
    const old = history.filter((row) => row["GroupID"] === group);
    expect(old.map((row) => row["Version"])).toContain(before[group - 1]);
  });
});

describe("the fleet", () => {
  test("lives by the clock alone where it is told so", async () => {
    const natural = { heartbeatEveryMs: DAY_MS, inventoryEveryMs: 7 * DAY_MS };
    await using all = await siteUnderTest({ natural });
    const since = "v1.0/Device?$filter=LastDDR ge 2026-01-15T12:00:00Z";
    expect(await all.client.rows(since)).toHaveLength(0);
    all.clock.advance(DAY_MS / 2);
    const half = (await all.client.rows(since)).length;
    expect(half).toBeGreaterThan(20);
    expect(half).toBeLessThan(80);
    all.clock.advance(DAY_MS / 2 + 1_000);
    expect(await all.client.rows(since)).toHaveLength(100);
  });

  test("changes by a script, the same one for the same seed", async () => {
    const weights = { heartbeat: 5, inventory: 3, rename: 1, add: 1, remove: 1, online: 1 };
    const changes = { changesPerSecond: 2, weights, seed: 9 };
    await using all = await siteUnderTest({ changes });
    await using other = await siteUnderTest({ changes });
    all.clock.advance(MINUTE_MS);
    other.clock.advance(MINUTE_MS);
    expect(await all.client.rows("v1.0/Device")).toEqual(await other.client.rows("v1.0/Device"));
    const made = all.site.changes();
    expect(made).toHaveLength(120);
    expect(new Set(made.map(({ kind }) => kind)).size).toBe(6);
  });

  test("is as it was after a restored backup, but devices did what they did", async () => {
    await using all = await siteUnderTest();
    const backup = all.site.backup();
    const name = (await all.client.rows("v1.0/Device?$top=1"))[0]?.["Name"];
    all.site.change({ kind: "rename", resourceId: FIRST, name: "LATER" });
    const added = all.site.change({ kind: "add" });
    const initiate = "wmi/SMS_ClientOperation.InitiateClientOperation";
    const body = { Type: 8, TargetCollectionID: "", TargetResourceIDs: [FIRST] };
    const { json } = await all.client.post(initiate, body);
    all.clock.advance(MINUTE_MS);
    all.site.restore(backup);
    // The connections of before are cut.
    using again = new AdminServiceClient(all.site);
    const rows = await again.rows("v1.0/Device");
    expect(rows).toHaveLength(100);
    expect(rows[0]).toMatchObject({ Name: name });
    const operation = `wmi/SMS_ClientOperationStatus(${json?.["OperationID"]})`;
    expect((await again.get(operation)).status).toBe(404);
    expect(all.site.executions()).toHaveLength(1);
    expect(all.site.change({ kind: "add" })).toBe(added);
  });

  test("is seen in part where rights are narrowed, with 200", async () => {
    await using all = await siteUnderTest({ devices: 1_000 });
    all.site.narrow(0.9);
    const seen = (await all.client.rows("v1.0/Device?$select=MachineId")).length;
    expect(seen).toBeGreaterThan(850);
    expect(seen).toBeLessThan(950);
    expect(await all.client.rows("wmi/SMS_CN_ClientStatus")).toHaveLength(seen);
    all.site.narrow(1);
    expect(await all.client.rows("v1.0/Device")).toHaveLength(1_000);
  });
});

describe("a fault", () => {
  const PATH = "v1.0/Device?$top=10&$select=MachineId&$filter=MachineId gt ";

  test.each<[string, Fault, number, string]>([
    ["500 with a SecurityException", { kind: "security-exception" }, 500, "SecurityException"],
    ["403 where a second factor is demanded", { kind: "mfa" }, 403, ""],
    ["401", { kind: "unauthorized" }, 401, ""],
    ["any status", { kind: "status", status: 503 }, 503, ""],
  ])("%s strikes once and is over", async (_name, fault, status, text) => {
    await using all = await siteUnderTest();
    all.site.fault({ fault, path: "Device" });
    const struck = await all.client.get(`${PATH}0`);
    expect(struck.status).toBe(status);
    expect(struck.text).toContain(text);
    expect((await all.client.get(`${PATH}0`)).status).toBe(200);
    expect(all.site.requests().map((each) => each.fault)).toEqual([fault.kind, undefined]);
  });

  test("ends the connection within the body, so that no JSON is whole", async () => {
    await using all = await siteUnderTest();
    all.site.fault({ fault: { kind: "cut", when: "mid-body" } });
    await expect(all.client.get(`${PATH}0`)).rejects.toThrow();
    expect(await all.client.rows(`${PATH}0`)).toHaveLength(10);
  });

  test("loses the answer of what was done, or the request before", async () => {
    await using all = await siteUnderTest();
    const initiate = "wmi/SMS_ClientOperation.InitiateClientOperation";
    const body = { Type: 8, TargetCollectionID: "", TargetResourceIDs: [FIRST] };
    all.site.fault({ fault: { kind: "cut", when: "before" }, method: "POST" });
    await expect(all.client.post(initiate, body)).rejects.toThrow();
    all.site.fault({ fault: { kind: "cut", when: "after" }, method: "POST" });
    await expect(all.client.post(initiate, body)).rejects.toThrow();
    expect(await all.client.rows("wmi/SMS_ClientOperation")).toHaveLength(1);
  });

  test("leaves a request without an answer, while others are served", async () => {
    await using all = await siteUnderTest();
    all.site.fault({ fault: { kind: "hang" }, path: "SMS_Site" });
    const hung = all.client.get("wmi/SMS_Site");
    const refused = expect(hung).rejects.toThrow();
    expect(await all.client.rows(`${PATH}0`)).toHaveLength(10);
    all.site.cutConnections();
    await refused;
  });

  test("gives a short page, or one that was given before", async () => {
    await using all = await siteUnderTest();
    const page = async (after: number) =>
      (await all.client.rows(`${PATH}${after}`)).map((row) => Number(row["MachineId"]));
    all.site.fault({ fault: { kind: "short-page", rows: 4 }, after: 1 });
    const first = await page(0);
    expect(await page(FIRST + 9)).toHaveLength(4);
    expect(await page(0)).toEqual(first);
    all.site.fault({ fault: { kind: "repeated-page" } });
    expect(await page(FIRST + 9)).toEqual(first);
    expect(await page(FIRST + 9)).toHaveLength(10);
  });

  test("comes by the clock and until it is taken back", async () => {
    const fault: Fault = { kind: "status", status: 503 };
    const rule = { fault, times: "always", from: NOW + MINUTE_MS, until: NOW + 2 * MINUTE_MS };
    await using all = await siteUnderTest({ faults: [{ ...rule, times: "always" as const }] });
    const status = async () => (await all.client.get(`${PATH}0`)).status;
    expect(await status()).toBe(200);
    all.clock.advance(MINUTE_MS);
    expect([await status(), await status()]).toEqual([503, 503]);
    all.clock.advance(MINUTE_MS);
    expect(await status()).toBe(200);
    const takeBack = all.site.fault({ fault, times: "always" });
    expect(await status()).toBe(503);
    takeBack();
    expect(await status()).toBe(200);
  });

  test("of the clock shows in the answer's date and in new stamps", async () => {
    await using all = await siteUnderTest();
    all.site.skewClock(-5 * MINUTE_MS);
    all.site.change({ kind: "heartbeat", resourceId: FIRST });
    const { headers } = await all.client.get("wmi/SMS_Site");
    expect(Date.parse(String(headers["date"]))).toBe(NOW - 5 * MINUTE_MS);
  });
});

describe("limits", () => {
  test("let so many requests in and no more; the others wait", async () => {
    await using all = await siteUnderTest({ limits: { maxInFlight: 4, msPerPage: 5 } });
    const paths = Array.from({ length: 20 }, () => "v1.0/Device?$top=1");
    const answers = await Promise.all(paths.map((path) => all.client.get(path)));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    expect(all.site.mostInFlight()).toBe(4);
  });

  test("are not used up by clients that gave up waiting", async () => {
    await using all = await siteUnderTest({ limits: { maxInFlight: 1 } });
    all.site.fault({ fault: { kind: "hang" } });
    using hanging = new AdminServiceClient(all.site);
    using waiting = new AdminServiceClient(all.site);
    const gone = [hanging, waiting].map((client) =>
      expect(client.get("wmi/SMS_Site")).rejects.toThrow(),
    );
    await until(() => all.site.requests().length === 1, "the request that hangs");
    waiting[Symbol.dispose]();
    hanging[Symbol.dispose]();
    await Promise.all(gone);
    expect((await all.client.get("wmi/SMS_Site")).status).toBe(200);
  });

  test("refuse an address that asks too often", async () => {
    await using all = await siteUnderTest({ limits: { requestsPerSecond: 0 } });
    expect(await all.client.get("wmi/SMS_Site")).toMatchObject({
      status: 429,
      headers: { "retry-after": "1" },
    });
    all.site.limit({});
    expect((await all.client.get("wmi/SMS_Site")).status).toBe(200);
  });

  test("make pages take their time", async () => {
    await using all = await siteUnderTest({ limits: { rowsPerSecond: 1_000 } });
    const began = performance.now();
    expect(await all.client.rows("v1.0/Device")).toHaveLength(100);
    expect(performance.now() - began).toBeGreaterThan(95);
  });
});

test("who lacks the right is refused with 403", async () => {
  await using all = await siteUnderTest({ negotiate: { ...OPERATOR, rights: ["read"] } });
  const initiate = "wmi/SMS_ClientOperation.InitiateClientOperation";
  const body = { Type: 8, TargetCollectionID: "", TargetResourceIDs: [FIRST] };
  expect((await all.client.post(initiate, body)).status).toBe(403);
  const run = `v1.0/Device(${FIRST})/AdminService.RunCMPivot`;
  expect((await all.client.post(run, { InputQuery: "Device" })).status).toBe(403);
  expect((await all.client.get("v1.0/Device?$top=1")).status).toBe(200);
});
