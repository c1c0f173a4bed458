import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { get } from "node:https";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { afterAll, describe, expect, test } from "vitest";
import { AdminServiceClient } from "./configmgr/admin-service-client.ts";
import {
  FIRST,
  NOW,
  OPERATOR,
  type SiteUnderTest,
  siteUnderTest,
} from "./configmgr/site-under-test.ts";

/** The simulated site speaks the AdminService's wire as its documentation and public clients show it. */

const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());
let shared: Promise<SiteUnderTest> | undefined;

/** One site for all tests that change nothing. */
async function quiet(): Promise<SiteUnderTest> {
  shared ??= siteUnderTest({ devices: 5_000 }).then((site) => stack.use(site));
  return await shared;
}

describe("a list", () => {
  test("on v1.0 is a context and values without what a provider adds", async () => {
    const { client, site } = await quiet();
    const { json, headers, status } = await client.get("v1.0/Device?$top=2");
    expect(status).toBe(200);
    expect(headers["content-type"]).toContain("application/json");
    expect(json?.["@odata.context"]).toBe(`${site.url}/AdminService/v1.0/$metadata#Device`);
    const [first] = (json?.value ?? []) as Record<string, unknown>[];
    expect(first).toMatchObject({
      MachineId: FIRST,
      IsClient: 1,
      CNIsOnline: true,
      SiteCode: "CM1",
    });
    expect(Object.keys(first ?? {}).filter((name) => /^__|@odata/.test(name))).toEqual([]);
  });

  test("on the WMI route has a provider's own keys, and properties in the order of their names", async () => {
    const { client } = await quiet();
    const [row = {}] = await client.rows("wmi/SMS_R_System?$top=1");
    const keys = Object.keys(row);
    expect(keys.slice(0, 3)).toEqual([
      "@odata.etag",
      "__LAZYPROPERTIES",
      "__QUALIFIER_SECURITYVERBS",
    ]);
    expect(keys.slice(3)).toEqual(keys.slice(3).toSorted());
    expect(row).toMatchObject({ ResourceId: FIRST, ResourceType: 5, SMSAssignedSites: ["CM1"] });
  });

  test("has every field that tenant attach uploads", async () => {
    const { client } = await quiet();
    const [row = {}] = await client.rows("v1.0/Device?$top=1");
    const fields =
      "SMSID AADTenantID AADDeviceID Name DeviceOS DeviceOSBuild AADPrimaryUserID Model Manufacturer SerialNumber DomainNames SKU";
    for (const field of fields.split(" ")) expect(row[field], field).toBeDefined();
  });

  test.each([
    ...["SMS_R_User", "SMS_Collection", "SMS_FullCollectionMembership", "SMS_CN_ClientStatus"],
    ...["SMS_Client_ComanagementState", "SMS_Application", "SMS_DeploymentInfo", "SMS_Site"],
    ...["SMS_AppDeploymentAssetDetails", "SMS_SoftwareUpdate", "SMS_UpdateComplianceStatus"],
    ...[
      "SMS_BoundaryGroup",
      "SMS_CombinedDeviceResources",
      "SMS_G_System_OPERATING_SYSTEM",
      "SMS_G_System_COMPUTER_SYSTEM",
    ],
    ...["SMS_G_System_PC_BIOS", "SMS_G_System_LOGICAL_DISK", "SMS_G_System_WORKSTATION_STATUS"],
    ...["SMS_G_System_ADD_REMOVE_PROGRAMS_64", "SMS_GH_System_OPERATING_SYSTEM"],
  ])("of %s has rows", async (name) => {
    const { client } = await quiet();
    expect((await client.rows(`wmi/${name}?$top=3`)).length).toBeGreaterThan(0);
  });

  test("of an inventory class carries what a delta needs, and history stands beside it", async () => {
    const { client } = await quiet();
    const path = `?$filter=ResourceID eq ${FIRST}`;
    const [now] = await client.rows(`wmi/SMS_G_System_OPERATING_SYSTEM${path}`);
    const history = await client.rows(`wmi/SMS_GH_System_OPERATING_SYSTEM${path}`);
    expect(now).toMatchObject({ ResourceID: FIRST, GroupID: 1 });
    expect(now?.["TimeStamp"]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(history).toHaveLength(Number(now?.["RevisionID"]) - 1);
  });

  test("of the members of a collection is a part of all", async () => {
    const { client } = await quiet();
    const filter = "$filter=CollectionID eq 'CM100017'";
    const members = await client.rows(`wmi/SMS_FullCollectionMembership?${filter}`);
    const [collection] = await client.rows("wmi/SMS_Collection?$filter=CollectionID eq 'CM100017'");
    expect(collection?.["MemberCount"]).toBe(members.length);
    expect(members.length).toBeGreaterThan(350);
    expect(members.length).toBeLessThan(650);
  });
});

describe("pages by key", () => {
  test("give every device once and in order", async () => {
    const { client } = await quiet();
    const seen: number[] = [];
    for (let last = 0; ; ) {
      const filter = `$filter=ResourceId gt ${last}&$orderby=ResourceId&$top=700`;
      const page = await client.rows(`wmi/SMS_R_System?${filter}&$select=ResourceId,Name`);
      if (page.length === 0) break;
      seen.push(...page.map((row) => Number(row["ResourceId"])));
      last = seen.at(-1) ?? 0;
    }
    expect(seen).toEqual(Array.from({ length: 5_000 }, (_, index) => FIRST + index));
  });

  test("in fixed ranges lie beside each other", async () => {
    const { client } = await quiet();
    const inRange = (from: number, to: number) =>
      client.rows(`v1.0/Device?$filter=MachineId gt ${from} and MachineId le ${to}`);
    expect(await inRange(FIRST + 9, FIRST + 19)).toHaveLength(10);
    expect(await inRange(FIRST + 4_989, FIRST + 5_999)).toHaveLength(10);
  });

  test("of a list of ids give those", async () => {
    const { client } = await quiet();
    const filter = `$filter=ResourceId eq ${FIRST + 7} or ResourceId eq ${FIRST + 3} or ResourceId eq 1`;
    const rows = await client.rows(`wmi/SMS_R_System?${filter}`);
    expect(rows.map((row) => row["ResourceId"])).toEqual([FIRST + 3, FIRST + 7]);
  });

  test("are the same from one request to the next, and from the same seed", async () => {
    const { client } = await quiet();
    await using other = await siteUnderTest({ devices: 5_000 });
    const path = "wmi/SMS_G_System_ADD_REMOVE_PROGRAMS_64?$top=200";
    expect((await client.rows(path)).at(-1)).toEqual((await other.client.rows(path)).at(-1));
    await using third = await siteUnderTest({ devices: 5_000, seed: 2 });
    expect((await client.rows(path)).at(-1)).not.toEqual((await third.client.rows(path)).at(-1));
  });
});

describe("of OData", () => {
  test.each([
    ["Name eq", `$filter=Name eq 'wks-256-0'`, 1],
    ["startswith", "$filter=startswith(Name,'SRV-') and MachineId le 16777315", 7],
    ["startswith with eq true", "$filter=startswith(Name,'SRV-') eq true&$top=4", 4],
    ["endswith", "$filter=endswith(Name,'-77')", 1],
    [
      "dates",
      "$filter=LastHardwareScan gt 2026-01-15T11:00:00Z and LastHardwareScan ge 2026-01-15T11:00:00Z&$top=3",
      3,
    ],
    ["parentheses", "$filter=(IsClient eq 1 or IsClient eq 0) and MachineId le 16777220", 5],
  ])("%s is understood", async (_name, query, count) => {
    const { client } = await quiet();
    const rows = await client.rows(`v1.0/Device?${query}`);
    expect(rows).toHaveLength(count);
  });

  test("order is by any column, both ways", async () => {
    const { client } = await quiet();
    const rows = await client.rows("v1.0/Device?$orderby=Name desc&$top=50&$select=Name");
    const names = rows.map((row) => String(row["Name"]).toLowerCase());
    expect(names).toEqual(names.toSorted().toReversed());
    expect(Object.keys(rows[0] ?? {})).toEqual(["Name"]);
  });

  test.each([
    ["$skip", "v1.0/Device?$skip=10"],
    ["$count", "v1.0/Device?$count=true"],
    ["$search", "v1.0/Device?$search=x"],
    ["$apply", "v1.0/Device?$apply=aggregate($count as N)"],
    ["contains", "v1.0/Device?$filter=contains(Name,'x')"],
    ["ne", "v1.0/Device?$filter=Name ne 'x'"],
    ["a foreign property", "v1.0/Device?$filter=Colour eq 'red'"],
    ["a property in another case", "v1.0/Device?$select=name"],
    ["text against a number", "v1.0/Device?$filter=MachineId eq 'x'"],
    ["a number against text", "v1.0/Device?$filter=Name eq 5"],
    ["an open quote", "v1.0/Device?$filter=Name eq 'x"],
    ["a lazy property in a filter", "wmi/SMS_Scripts?$filter=Script eq 'x'"],
    ["a word for $top", "v1.0/Device?$top=many"],
    ["an unknown expansion", "v1.0/Device?$expand=Everything"],
    ["an option twice", "v1.0/Device?$top=1&$top=2"],
  ])("%s is refused with 400 and OData's error", async (_name, path) => {
    const { client } = await quiet();
    const { status, json } = await client.get(path);
    expect(status).toBe(400);
    expect(json?.error?.message).toMatch(/^The query specified in the URI is not valid/);
  });

  test.each([
    ...["v1.0/device", "wmi/sms_r_system", "wmi/SMS_Nothing", "v1.0/SMS_R_System"],
    ...["v1.0/Device(1)", "wmi/SMS_R_System(99)", "v2/Device", "v1.0/Device(16777216)/Nothing"],
  ])("%s is not found", async (path) => {
    const { client } = await quiet();
    expect((await client.get(path)).status).toBe(404);
  });

  test("what is not documented can be switched on, for a client that probes", async () => {
    const capabilities = { skip: true, count: true, nextLinkRows: 40, contains: true, ne: true };
    await using all = await siteUnderTest({ capabilities });
    const { json } = await all.client.get("v1.0/Device?$count=true&$skip=10&$select=MachineId");
    expect(json?.["@odata.count"]).toBe(100);
    expect(((json?.value ?? []) as object[]).at(0)).toEqual({ MachineId: FIRST + 10 });
    const next = new URL(String(json?.["@odata.nextLink"]));
    const path = decodeURIComponent(next.pathname + next.search).replace("/AdminService/", "");
    expect((await all.client.rows(path)).at(0)).toEqual({ MachineId: FIRST + 50 });
    expect(await all.client.rows("v1.0/Device?$filter=contains(Name,'KS-256-0')")).toHaveLength(1);
    expect((await all.client.get("v1.0/Device?$filter=Name ne 'x'")).status).toBe(200);
  });

  test("the service says what it has", async () => {
    const { client } = await quiet();
    const names = (await client.rows("wmi")).map((row) => row["name"]);
    expect(names).toContain("SMS_G_System_PC_BIOS");
    const { text } = await client.get("v1.0/$metadata");
    expect(text).toContain('<Property Name="CNIsOnline" Type="Edm.Boolean"/>');
  });
});

describe("by key", () => {
  test("v1.0 answers the instance, the WMI route a list of it", async () => {
    const { client } = await quiet();
    expect((await client.get(`v1.0/Device(${FIRST})`)).json).toMatchObject({ MachineId: FIRST });
    const rows = await client.rows(`wmi/SMS_R_System(${FIRST})`);
    expect(rows).toMatchObject([{ ResourceId: FIRST }]);
    expect(await client.rows(`wmi/SMS_Collection('SMS00001')`)).toMatchObject([
      { CollectionID: "SMS00001", CollectionRules: [] },
    ]);
    expect(await client.rows("wmi/SMS_Collection?$top=1")).toMatchObject([
      { CollectionRules: null },
    ]);
  });

  test("a device has its inventory, collections, applications and boundary groups", async () => {
    const { client } = await quiet();
    const of = `v1.0/Device(${FIRST})`;
    const [membership] = await client.rows(
      `${of}/ResourceCollectionMembership?$expand=Collection&$select=Collection`,
    );
    expect(membership).toMatchObject({ Collection: { CollectionID: "SMS00001" } });
    const [application] = await client.rows(`${of}/AvailableApplications?$expand=Application`);
    expect(application?.["Application"]).toBeDefined();
    const [group] = await client.rows(`${of}/BoundaryGroups?$expand=BoundaryGroup`);
    expect(group?.["BoundaryGroup"]).toBeDefined();
    const [event] = await client.rows(`${of}/Events`);
    expect(event).toMatchObject({
      EventTime: expect.any(String),
      ProviderName: expect.any(String),
    });
    expect(await client.rows(`${of}/Events`)).toContainEqual(event);
    const path = `wmi/SMS_R_System(${FIRST})/SMS_G_System_PC_BIOS`;
    expect(await client.rows(path)).toMatchObject([{ ResourceID: FIRST }]);
  });
});

describe("who asks", () => {
  test("needs a token that is known on the token route, and a ticket on the other", async () => {
    await using all = await siteUnderTest();
    using wrong = new AdminServiceClient(
      all.site,
      { authorization: "Bearer wrong" },
      "/AdminService_TokenAuth",
    );
    const refused = await wrong.get("v1.0/Device");
    expect(refused).toMatchObject({ status: 401, headers: { "www-authenticate": "Bearer" } });
    expect((await all.approver.get("v1.0/Device?$top=1")).status).toBe(200);
    await using closed = await siteUnderTest({ negotiate: { accept: neverAccepts } as never });
    using ntlm = new AdminServiceClient(closed.site, { authorization: "NTLM TlRMTVNTUAAB" });
    expect(await ntlm.get("v1.0/Device")).toMatchObject({
      status: 401,
      headers: { "www-authenticate": "Negotiate" },
    });
  });

  test("sees the devices of the own collection only, with 200 and fewer rows", async () => {
    const negotiate = { ...OPERATOR, collection: "PILOT001" };
    await using all = await siteUnderTest({ negotiate });
    all.site.change({ kind: "collection", id: "PILOT001", name: "Pilot", members: [FIRST + 5] });
    expect(await all.client.rows("v1.0/Device")).toMatchObject([{ MachineId: FIRST + 5 }]);
    expect((await all.client.get(`v1.0/Device(${FIRST})`)).status).toBe(404);
    expect(await all.approver.rows("v1.0/Device")).toHaveLength(100);
  });
});

async function neverAccepts() {
  return { error: "GSSError" };
}

describe("as a process", () => {
  test("it says where it is, answers, and takes commands on its standard input", async () => {
    using folder = temporaryFolder();
    const caFile = join(folder.path, "ca.pem");
    const options = {
      ...{ port: 0, devices: 1_000_000, caFile, clock: { startMs: NOW, rate: 1 } },
      negotiate: OPERATOR,
    };
    const address = new URL("../simulators/configmgr/site-process.ts", import.meta.url);
    const file = fileURLToPath(address);
    const process = spawn(globalThis.process.execPath, [file, JSON.stringify(options)]);
    process.stderr.resume();
    const lines = createInterface(process.stdout)[Symbol.asyncIterator]();
    const next = async () => String((await lines.next()).value);
    const url = (await next()).replace("ready ", "");
    const ca = readFileSync(caFile);
    const path = "/AdminService/v1.0/Device?$filter=MachineId%20gt%2017777200";
    const [response] = await once(get(`${url}${path}`, { ca }), "response");
    const text = Buffer.concat(await response.toArray()).toString("utf8");
    expect(JSON.parse(text).value).toHaveLength(15);
    process.stdin.write(`["change",{"kind":"add"}]\n`);
    expect(JSON.parse(await next())).toEqual({ result: FIRST + 1_000_000 });
    process.stdin.write('["resources"]\n');
    const { rssBytes } = JSON.parse(await next()).result;
    expect(rssBytes).toBeLessThan(400 * 1_048_576);
    process.stdin.write("no json\n");
    expect(JSON.parse(await next()).error).toContain("SyntaxError");
    process.kill();
    await once(process, "exit");
  });
});
