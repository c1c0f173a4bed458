import { createHash, randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { storedScript } from "../simulators/configmgr/scripts.ts";
import type { AdminServiceClient, WireRow } from "./configmgr/admin-service-client.ts";
import { FIRST, NOW, OPERATOR, siteUnderTest } from "./configmgr/site-under-test.ts";

/** What can be asked of devices through the simulated site, and what they then did. */

const SCRIPT = "0E6A5B63-2C9D-4B0C-8D3C-0D5A7A2D9A11";
const WITH_PARAMETERS = "0E6A5B63-2C9D-4B0C-8D3C-0D5A7A2D9A12";
const scripts = [
  { guid: SCRIPT, name: "Name", text: "hostname", isApproved: true, output: 'It is "{name}"' },
  {
    ...{ guid: WITH_PARAMETERS, name: "Echo", text: "param($Text)\n$Text", isApproved: true },
    parameters: [{ name: "Text", isRequired: true }, { name: "Loud" }],
  },
  { guid: "0E6A5B63-2C9D-4B0C-8D3C-0D5A7A2D9A13", name: "Waiting", text: "whoami" },
];
const MINUTE_MS = 60_000;

describe("a script", () => {
  test("runs on a device once, and its output comes when the device has answered", async () => {
    await using all = await siteUnderTest({ scripts });
    const action = `v1.0/Device(${FIRST})/AdminService.RunScript`;
    const { status, json } = await all.client.post(action, { ScriptGuid: SCRIPT });
    expect(status).toBe(200);
    const id = Number(json?.value);
    const results = `wmi/SMS_ScriptsExecutionStatus?$filter=ClientOperationId eq ${id}`;
    expect(await all.client.rows(results)).toEqual([]);
    expect(all.site.executions()).toEqual([]);
    const task = `wmi/SMS_ScriptsExecutionTask?$filter=ClientOperationId eq ${id}`;
    expect(await all.client.rows(task)).toMatchObject([{ TotalClients: 1, UnknownClients: 1 }]);
    all.clock.advance(MINUTE_MS);
    const [device = {}] = await all.client.rows(`v1.0/Device?$filter=MachineId eq ${FIRST}`);
    expect(await all.client.rows(`${results} and ResourceId eq ${FIRST}`)).toMatchObject([
      { ScriptExecutionState: 1, ScriptExitCode: 0, ScriptOutput: `It is \\"${device["Name"]}\\"` },
    ]);
    expect(await all.client.rows(task)).toMatchObject([{ CompletedClients: 1, UnknownClients: 0 }]);
    expect(all.site.executions()).toMatchObject([
      { operationId: id, resourceId: FIRST, kind: "script", what: SCRIPT },
    ]);
    expect(all.site.repeated().size).toBe(0);
  });

  test("that a client asked for twice is seen to have run twice", async () => {
    await using all = await siteUnderTest({ scripts });
    const action = `v1.0/Device(${FIRST})/AdminService.RunScript`;
    await all.client.post(action, { ScriptGuid: SCRIPT });
    await all.client.post(action, { ScriptGuid: SCRIPT });
    all.clock.advance(MINUTE_MS);
    expect([...all.site.repeated().values()]).toEqual([2]);
  });

  test("with another property is refused with 400, not approved with 403 and an empty body", async () => {
    await using all = await siteUnderTest({ scripts });
    const action = `v1.0/Device(${FIRST})/AdminService.RunScript`;
    const extra = { ScriptGuid: SCRIPT, ScriptParameters: [] };
    expect((await all.client.post(action, extra)).status).toBe(400);
    const waiting = await all.client.post(action, { ScriptGuid: scripts[2]?.guid });
    expect(waiting).toMatchObject({ status: 403, text: "" });
    const unknown = `v1.0/Device(${FIRST})/AdminService.ScriptResult(OperationId=1)`;
    expect((await all.client.get(unknown)).status).toBe(400);
  });

  test("takes parameters by InitiateClientOperationEx, checked by hash and definition", async () => {
    await using all = await siteUnderTest({ scripts });
    const [script = {}] = await all.client.rows(`wmi/SMS_Scripts/${WITH_PARAMETERS}`);
    const run = (xml: string) =>
      all.client.post("wmi/SMS_ClientOperation.InitiateClientOperationEx", {
        ...{ Type: 135, TargetCollectionID: "", TargetResourceIDs: [FIRST, FIRST + 1] },
        ...{ RandomizationWindow: 0, Param: Buffer.from(xml).toString("base64") },
      });
    const good = scriptContent(script, { Text: "a < b" });
    const { status, json } = await run(good);
    expect(status).toBe(201);
    expect(json).toMatchObject({ ReturnValue: 0, OperationID: expect.any(Number) });
    const hash = String(script["ScriptHash"]);
    const wrong = [
      good.replace(hash, "0".repeat(64)),
      good.replace("a &lt; b", "c"),
      scriptContent(script, { Text: "x", Foreign: "y" }),
      scriptContent(script, { Loud: "x" }),
      scriptContent({ ...script, ScriptVersion: "2" }, { Text: "x" }),
      scriptContent({ ...script, ScriptGuid: randomUUID() }, { Text: "x" }),
      "<nothing/>",
    ];
    for (const xml of wrong) expect((await run(xml)).status, xml).toBe(500);
    all.clock.advance(MINUTE_MS);
    const executions = all.site.executions();
    expect(executions.map(({ resourceId }) => resourceId).toSorted()).toEqual([FIRST, FIRST + 1]);
    expect(executions[0]?.parameters).toEqual({ Text: "a < b" });
  });

  test("is created with its bytes, seen whole by key only, and approved by another than its author", async () => {
    await using all = await siteUnderTest();
    const bytes = storedScript("hostname");
    const guid = randomUUID();
    const made = await all.client.post("wmi/SMS_Scripts.CreateScripts", {
      ...{ ParamsDefinition: "", ScriptName: "New", Author: "CORP\\nobody", ScriptVersion: "1" },
      ...{ Script: bytes.toString("base64"), ScriptType: 0, ParameterlistXML: "" },
      ScriptGuid: guid,
    });
    expect(made.status).toBe(201);
    const [listed] = await all.client.rows("wmi/SMS_Scripts?$filter=ScriptName eq 'New'");
    expect(listed).toMatchObject({ Script: null, ApprovalState: 0, Author: OPERATOR.name });
    expect(listed?.["__LAZYPROPERTIES"]).toContain("Script");
    const [whole] = await all.client.rows(`wmi/SMS_Scripts('${guid}')`);
    expect(Buffer.from(String(whole?.["Script"]), "base64")).toEqual(bytes);
    const digest = createHash("sha256").update(bytes).digest("hex").toUpperCase();
    expect(whole?.["ScriptHash"]).toBe(digest);
    const approve = `wmi/SMS_Scripts/${guid}/AdminService.UpdateApprovalState`;
    const body = { Approver: "CORP\\approver", ApprovalState: "3", Comment: "fine" };
    expect((await all.client.post(approve, body)).status).toBe(500);
    expect((await all.approver.post(approve, body)).status).toBe(201);
    const [approved] = await all.client.rows("v1.0/Script?$filter=ScriptName eq 'New'");
    expect(approved).toMatchObject({ ApprovalState: 3, Approver: "CORP\\approver" });
    expect((await all.client.send("DELETE", `wmi/SMS_Scripts('${guid}')`)).status).toBe(204);
    expect((await all.client.get(`wmi/SMS_Scripts('${guid}')`)).status).toBe(404);
  });
});

describe("a client notification", () => {
  test("goes to named devices or a collection, and its counters tell how far it is", async () => {
    await using all = await siteUnderTest({ behaviour: { failingShare: 0.3 } });
    const body = { Type: 8, TargetCollectionID: "SMS00001", RandomizationWindow: 0 };
    const { json } = await all.client.post(INITIATE, { ...body, TargetResourceIDs: [] });
    const status = async () => (await all.client.rows(statusOf(json)))[0];
    expect(await status()).toMatchObject({ State: 0, TotalClients: 100, UnknownClients: 100 });
    all.clock.advance(MINUTE_MS);
    const done = await status();
    expect(done).toMatchObject({ State: 2, UnknownClients: 0, IsExpired: false });
    expect(Number(done?.["CompletedClients"]) + Number(done?.["FailedClients"])).toBe(100);
    expect(all.site.executions()).toHaveLength(100);
  });

  test("for inventory moves the device's scan, its revision and its history", async () => {
    await using all = await siteUnderTest();
    const stamp = `wmi/SMS_G_System_WORKSTATION_STATUS?$filter=ResourceID eq ${FIRST}`;
    const [before = {}] = await all.client.rows(stamp);
    await all.client.post(INITIATE, to(FIRST, 12));
    all.clock.advance(MINUTE_MS);
    const [after = {}] = await all.client.rows(stamp);
    expect(after["RevisionID"]).toBe(Number(before["RevisionID"]) + 1);
    expect(Date.parse(String(after["LastHardwareScan"]))).toBeGreaterThan(NOW);
    const moved = "v1.0/Device?$filter=LastHardwareScan gt 2026-01-15T12:00:00Z";
    expect(await all.client.rows(moved)).toHaveLength(1);
  });

  test("waits for a device that is offline, runs when it comes, and not after its end", async () => {
    await using all = await siteUnderTest({ onlineShare: 0 });
    await all.client.post(INITIATE, to(FIRST, 8));
    const { json } = await all.client.post(INITIATE, to(FIRST + 1, 8));
    all.clock.advance(MINUTE_MS);
    expect(await all.client.rows(statusOf(json))).toMatchObject([{ OfflineClients: 1, State: 0 }]);
    all.site.change({ kind: "online", resourceId: FIRST, isOnline: true });
    all.clock.advance(MINUTE_MS);
    expect(all.site.executions()).toMatchObject([{ resourceId: FIRST }]);
    all.clock.advance(60 * MINUTE_MS);
    all.site.change({ kind: "online", resourceId: FIRST + 1, isOnline: true });
    all.clock.advance(MINUTE_MS);
    expect(all.site.executions()).toHaveLength(1);
    expect(await all.client.rows(statusOf(json))).toMatchObject([{ IsExpired: true, State: 0 }]);
  });

  test("reaches a device that is offline late where the site is told so", async () => {
    const behaviour = { offlineAnswersAfterMs: 10 * MINUTE_MS };
    await using all = await siteUnderTest({ onlineShare: 0.5, behaviour });
    const body = { Type: 8, TargetCollectionID: "SMS00001", RandomizationWindow: 0 };
    await all.client.post(INITIATE, body);
    all.clock.advance(MINUTE_MS);
    const early = all.site.executions().length;
    expect(early).toBeGreaterThan(20);
    expect(early).toBeLessThan(80);
    all.clock.advance(10 * MINUTE_MS);
    expect(all.site.executions()).toHaveLength(100);
    expect(all.site.repeated().size).toBe(0);
  });

  test("of an unknown type, to nobody, or with another property is refused", async () => {
    await using all = await siteUnderTest();
    expect((await all.client.post(INITIATE, to(FIRST, 4_711))).status).toBe(500);
    const nobody = { Type: 8, TargetCollectionID: "CM1FFFFF", RandomizationWindow: 0 };
    expect((await all.client.post(INITIATE, nobody)).status).toBe(500);
    expect((await all.client.post(INITIATE, { ...to(FIRST, 8), Param: "" })).status).toBe(400);
    expect((await all.client.get(INITIATE)).status).toBe(405);
  });

  test("that was cancelled does not run any more", async () => {
    await using all = await siteUnderTest();
    const { json } = await all.client.post(INITIATE, to(FIRST, 8));
    const cancel = "wmi/SMS_ClientOperation.CancelClientOperation";
    const { status } = await all.client.post(cancel, { OperationID: json?.["OperationID"] });
    expect(status).toBe(201);
    all.clock.advance(MINUTE_MS);
    expect(all.site.executions()).toEqual([]);
  });
});

describe("an application", () => {
  test("is installed and uninstalled by SMSID", async () => {
    await using all = await siteUnderTest();
    const [device = {}] = await all.client.rows("v1.0/Device?$top=1");
    const available = `v1.0/Device(${FIRST})/AvailableApplications?$expand=Application`;
    const [first = {}] = await all.client.rows(available);
    const state = async () =>
      (await all.client.rows(available)).find(
        (row) => row["ApplicationId"] === first["ApplicationId"],
      )?.["Status"];
    const act = (action: string, Devices: unknown[]) =>
      all.client.post(`v1.0/Application(${first["ApplicationId"]})/AdminService.${action}`, {
        Devices,
      });
    expect((await act("InstallApplication", [device["SMSID"]])).status).toBe(200);
    expect(await state()).toBe("Installing");
    all.clock.advance(MINUTE_MS);
    expect(await state()).toBe("Installed");
    await act("UninstallApplication", [device["SMSID"]]);
    all.clock.advance(MINUTE_MS);
    expect(await state()).toBe("Not installed");
    expect((await act("InstallApplication", ["GUID:none"])).status).toBe(404);
    expect((await act("ReinstallApplication", [device["SMSID"]])).status).toBe(404);
  });
});

describe("custom properties", () => {
  test("are set, read for one device and for all, and deleted", async () => {
    await using all = await siteUnderTest();
    const of = `v1.0/Device(${FIRST})/AdminService`;
    const ExtensionData = { AssetTag: "0580255", Location: "Dublin" };
    expect((await all.client.post(`${of}.SetExtensionData`, { ExtensionData })).status).toBe(200);
    const extra = await all.client.post(`${of}.SetExtensionData`, { ExtensionData, More: 1 });
    expect(extra.status).toBe(400);
    const expected = [
      { ResourceID: FIRST, PropertyName: "AssetTag", PropertyValue: "0580255" },
      { ResourceID: FIRST, PropertyName: "Location", PropertyValue: "Dublin" },
    ];
    expect(await all.client.rows(`${of}.GetExtensionData`)).toEqual(expected);
    expect(await all.client.rows("v1.0/Device/AdminService.GetExtensionData")).toEqual(expected);
    const deleted = await all.client.post("v1.0/Device/AdminService.DeleteExtensionData", {});
    expect(deleted.status).toBe(200);
    expect(await all.client.rows(`${of}.GetExtensionData`)).toEqual([]);
  });
});

describe("a live query", () => {
  test("of one device answers 404 until its result is there", async () => {
    await using all = await siteUnderTest();
    const of = `v1.0/Device(${FIRST})/AdminService`;
    const InputQuery =
      "OperatingSystem | where Caption like '%Windows%' | project Caption, Version";
    const { json } = await all.client.post(`${of}.RunCMPivot`, { InputQuery });
    const { OperationId } = (json?.value ?? {}) as WireRow;
    const result = `${of}.CMPivotResult(OperationId=${OperationId})`;
    expect((await all.client.get(result)).status).toBe(404);
    all.clock.advance(MINUTE_MS);
    const answer = await all.client.get(result);
    expect(answer.status).toBe(200);
    expect(answer.json?.value).toMatchObject({
      MoreResult: false,
      Result: [{ Device: expect.any(String), Caption: expect.stringContaining("Windows") }],
    });
    const status = `v1.0/SMS_CMPivotStatus?$filter=ClientOperationId eq ${OperationId}`;
    expect(await all.client.rows(status)).toMatchObject([
      { State: 3, ErrorMessage: "", ScriptOutput: expect.stringMatching(/^<result .*<e _i="0"/) },
    ]);
  });

  test("of a collection has its number at the top and is put together from all that answered", async () => {
    await using all = await siteUnderTest();
    const rows = await pivot(
      all,
      "Device | summarize count() by Manufacturer | order by count_ desc",
    );
    const counts = rows.map((row) => Number(row["count_"]));
    expect(counts).toEqual(counts.toSorted((a, b) => b - a));
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(100);
    expect(await pivot(all, "Device | count")).toEqual([{ Count: 100 }]);
    expect(await pivot(all, "Bios | take 7")).toHaveLength(7);
    const names = (await pivot(all, "Device | top 5 by Name asc")).map((row) => row["Name"]);
    expect(names).toEqual(names.toSorted());
    expect(names).toHaveLength(5);
    const disks = "LogicalDisk | where (DeviceID == 'D:' or DeviceID == 'x') and Size >= 1";
    expect((await pivot(all, disks)).length).toBeLessThan(60);
    expect(await pivot(all, "Device | distinct Device // all")).toHaveLength(100);
  });

  test("that a client cannot send whole is cut without a word", async () => {
    await using all = await siteUnderTest({ devices: 1 });
    const rows = await pivot(all, "EventLog('System')");
    expect(rows.length).toBeLessThan(2_000);
    expect(Buffer.byteLength(JSON.stringify(rows))).toBeLessThanOrEqual(131_072 + 2 * rows.length);
  });

  test.each([
    ...["", "Nothing", "Device | where", "Device | where Name === 'x'", "Device | render x"],
    ...["Device | where (Name == 'x'", "Device | take many", "Device | summarize avg(Size)"],
    ...["Device | where Name == 'x", "Device |"],
  ])("'%s' is refused with 400", async (InputQuery) => {
    await using all = await siteUnderTest({ devices: 1 });
    const action = `v1.0/Device(${FIRST})/AdminService.RunCMPivot`;
    expect((await all.client.post(action, { InputQuery })).status).toBe(400);
  });
});

const INITIATE = "wmi/SMS_ClientOperation.InitiateClientOperation";

function to(resourceId: number, Type: number) {
  return { Type, TargetCollectionID: "", RandomizationWindow: 0, TargetResourceIDs: [resourceId] };
}

function statusOf(json: WireRow | undefined): string {
  return `wmi/SMS_ClientOperationStatus(${json?.["OperationID"]})`;
}

async function pivot(
  all: { readonly client: AdminServiceClient; readonly clock: { advance(ms: number): void } },
  InputQuery: string,
): Promise<readonly WireRow[]> {
  const of = "v1.0/Collections('SMS00001')/AdminService";
  const { json } = await all.client.post(`${of}.RunCMPivot`, { InputQuery });
  all.clock.advance(MINUTE_MS);
  const id = json?.["OperationId"];
  const result = await all.client.get(`${of}.CMPivotResult(OperationId=${id})`);
  return result.json?.["Result"] as WireRow[];
}

/** As the console makes it; hash of the parameters over UTF-16LE, in lower case. */
function scriptContent(script: WireRow, parameters: Readonly<Record<string, string>>): string {
  const group = randomUUID();
  const list = Object.entries(parameters).map(
    ([name, value]) =>
      `<ScriptParameter ParameterGroupGuid="${group}" ParameterGroupName="PG_${group}" ParameterName="${name}" ParameterType="" ParameterValue="${value.replaceAll("<", "&lt;")}"/>`,
  );
  const block = `<ScriptParameters>${list.join("")}</ScriptParameters>`;
  const hash = createHash("sha256").update(Buffer.from(block, "utf16le")).digest("hex");
  return (
    `<ScriptContent ScriptGuid='${script["ScriptGuid"]}'><ScriptVersion>${script["ScriptVersion"]}</ScriptVersion>` +
    `<ScriptType>${script["ScriptType"]}</ScriptType><ScriptHash ScriptHashAlg='SHA256'>${script["ScriptHash"]}</ScriptHash>` +
    `${block}<ParameterGroupHash ParameterHashAlg='SHA256'>${hash}</ParameterGroupHash></ScriptContent>`
  );
}
