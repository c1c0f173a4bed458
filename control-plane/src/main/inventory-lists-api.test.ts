import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { clientFacets, TOLD_AT, ToldSite } from "../testing/told-site.ts";
import { type ApiClient, ControlPlaneFixture } from "./control-plane-fixture.ts";

const folder = temporaryFolder();
let plane: ControlPlaneFixture;
let admin: ApiClient;
let site: ToldSite;

beforeAll(async () => {
  plane = await ControlPlaneFixture.start(folder.path);
  admin = await plane.client();
  site = await ToldSite.start(plane, admin);
  await site.tell("device", { "2": clientFacets("WKS-2") });
  await until(async () => (await list("managedDevices")).length === 1, "the device");
});

afterAll(async () => {
  await site[Symbol.asyncDispose]();
  await plane[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

interface Listed {
  readonly id: string;
  readonly [property: string]: unknown;
}

async function list(path: string): Promise<Listed[]> {
  return (await admin.get(`/${path}`)).value;
}

async function deviceId(): Promise<string> {
  const [device] = await list("managedDevices");
  return device?.id ?? "none";
}

describe("other kinds of records", () => {
  test("are lists with the properties that the site has of them", async () => {
    await site.tell("script", {
      "5F1A2B3C-7D4E-4C55-9A61-0C2D4E6F8A10": {
        identity: { ScriptName: "Disk", ScriptVersion: "1", Author: "CORP\\a" },
        stable: { ApprovalState: 3, ScriptHash: "AB", ScriptHashAlgorithm: "SHA256" },
        content: {
          sha256: "ab",
          parameters: [
            { name: "Days", type: "System.Int32", isRequired: true, isHidden: false, minimum: 1 },
            { name: "Key", isHidden: true, defaultValue: "secret", values: ["a", "b"] },
          ],
        },
      },
      "5F1A2B3C-7D4E-4C55-9A61-0C2D4E6F8A11": { identity: { ScriptName: "Unread" }, content: {} },
    });
    await site.tell("application", {
      A: {
        identity: { LocalizedDisplayName: "Browser", Manufacturer: "C", SoftwareVersion: "1.0" },
        stable: { IsDeployed: true, NumberOfDeployments: 1 },
      },
    });
    await site.tell("deployment", {
      "{D}": {
        identity: {
          DeploymentName: "Browser to all",
          CollectionID: "SMS00001",
          TargetName: "Browser",
        },
        stable: { DeploymentIntent: 2 },
      },
    });
    await site.tell("software-update", {
      "77": { identity: { LocalizedDisplayName: "KB", ArticleID: "500" }, stable: { Severity: 8 } },
    });
    await site.tell("boundary-group", {
      "9": { identity: { Name: "Berlin" }, stable: { MemberCount: 3 } },
    });
    await site.tell("user", {
      "8": {
        identity: { Name: "CORP\\u (U)", UserPrincipalName: "u@corp.test", SID: "S-1" },
        stable: { SecurityGroupName: ["G"] },
      },
    });
    await site.tell(
      "device",
      {
        "2": {
          updateCompliance: [
            { CI_ID: 77, Status: 2 },
            { CI_ID: 78, Status: 3 },
          ],
        },
      },
      TOLD_AT + 1,
    );
    const updates = async () =>
      await list(`managedDevices/${await deviceId()}/softwareUpdateStates`);
    await until(async () => (await updates()).length === 2, "the states of updates");
    expect(await updates()).toMatchObject([
      { key: "77", displayName: "KB", articleId: "500", state: "required" },
      { key: "78", displayName: null, softwareUpdateId: null, state: "installed" },
    ]);
    expect(await list("configurationManagerScripts")).toMatchObject([
      {
        ...{ displayName: "Disk", approvalState: "approved", hash: "AB", scriptVersion: "1" },
        parameters: [
          { name: "Days", type: "System.Int32", isRequired: true, minimum: 1, defaultValue: null },
          { name: "Key", isHidden: true, defaultValue: null, values: ["a", "b"] },
        ],
      },
      { displayName: "Unread", parameters: null },
    ]);
    const [application] = await list("configurationManagerApplications");
    expect(application).toMatchObject({
      displayName: "Browser",
      isDeployed: true,
      numberOfDeployments: 1,
    });
    expect(
      await list(`configurationManagerApplications/${application?.id}/deployments`),
    ).toMatchObject([{ intent: "available", collectionId: "SMS00001" }]);
    expect(await list("configurationManagerSoftwareUpdates")).toMatchObject([{ severity: 8 }]);
    expect(await list("configurationManagerBoundaryGroups")).toMatchObject([{ memberCount: 3 }]);
    expect(await list("configurationManagerUsers")).toMatchObject([
      { userPrincipalName: "u@corp.test", securityIdentifier: "S-1", groups: ["G"] },
    ]);
    expect(await list("configurationManagerGroups")).toEqual([]);
  });
});

describe("other sources", () => {
  test("an agent's device is a managed device, and a domain's computer is told beside the device that has its SID", async () => {
    const identity = { Name: "WKS-2", SID: "S-1-5-21-9" };
    await site.tell(
      "device",
      { "2": { identity: { ...identity, SMSUniqueIdentifier: "GUID:2" } } },
      TOLD_AT + 2,
    );
    await using agents = await ToldSite.start(plane, admin, "agents", "agents");
    await using domain = await ToldSite.start(plane, admin, "corp.example", "active-directory");
    await agents.tell("device", {
      "linux-7": {
        identity: { Name: "linux-7" },
        stable: { operatingSystem: "Debian GNU/Linux 12" },
      },
    });
    await domain.tell("device", {
      "guid-1": { identity, stable: { operatingSystem: "Windows 11" } },
    });
    const records = async () => await list(`managedDevices/${await deviceId()}/directoryRecords`);
    await until(async () => (await records()).length === 1, "the computer account");
    expect(await records()).toMatchObject([
      {
        configurationManagerSite: "corp.example",
        key: "guid-1",
        facets: { stable: { operatingSystem: "Windows 11" } },
      },
    ]);
    await until(async () => (await list("managedDevices")).length === 2, "the agent's device");
    expect((await list("managedDevices"))[1]).toMatchObject({
      deviceName: "linux-7",
      operatingSystem: "Linux",
      managementAgent: "unknown",
      complianceState: "unknown",
      configurationManagerClientHealthState: null,
      configurationManagerSite: "agents",
    });
    expect(await list("comanagementEligibleDevices")).toHaveLength(1);
    const sites = await list("configurationManagerSites");
    expect(sites.map(({ sourceType }) => sourceType)).toEqual([
      "configmgr",
      "agents",
      "active-directory",
    ]);
  });

  test("a device that is gone from its source is gone here, with all that stood below it", async () => {
    const id = await deviceId();
    await site.remove("device", "2");
    await until(
      async () => !(await list("managedDevices")).some((device) => device.id === id),
      "the deletion",
    );
    for (const path of ["", "/resourceExplorer", "/timeline", "/softwareUpdateStates"]) {
      await admin.get(`/managedDevices/${id}${path}`, 404);
    }
    const { error } = await admin.patch(`/managedDevices/${id}`, { deviceName: "x" }, 404);
    expect(error.innerError.code).toBe("device-unknown");
  });
});

describe("a number that JavaScript cannot hold", () => {
  test("is a rounded one in a list, and keeps nothing else out of it", async () => {
    await site.tell("collection", {
      CM100001: { identity: { Name: "A" }, volatile: { MemberCount: 9_007_199_254_740_992 } },
      CM100002: { identity: { Name: "B" }, volatile: { MemberCount: 3 } },
    });
    await until(
      async () => (await list("configurationManagerCollections")).length === 2,
      "the collections",
    );
    expect(await list("configurationManagerCollections?$orderby=displayName")).toMatchObject([
      { displayName: "A", memberCount: 9_007_199_254_740_992 },
      { displayName: "B", memberCount: 3 },
    ]);
  });
});

test("a time that is none leaves the device in the list", async () => {
  const facets = {
    identity: { Name: "WKS-9" },
    volatile: { LastActiveTime: 9_000_000_000_000_000 },
  };
  await site.tell("device", { "9": facets });
  const named = () => list("managedDevices?$filter=deviceName eq 'WKS-9'");
  await until(async () => (await named()).length === 1, "the device");
  expect(await named()).toMatchObject([{ lastSyncDateTime: null }]);
});

test("a device has the boundary groups that its site names for it, found among those of the same site", async () => {
  await using other = await ToldSite.start(plane, admin, "CM2");
  await other.tell("boundary-group", { "9": { identity: { Name: "Oslo, north" } } });
  await site.tell("boundary-group", { "10": { identity: { Name: "Oslo, north" } } });
  await site.tell("device", {
    "20": {
      ...clientFacets("WKS-20"),
      boundaryGroups: { BoundaryGroups: "Berlin,Oslo, north,New" },
    },
  });
  const path = "managedDevices/20/configurationManagerBoundaryGroups";
  await until(async () => (await admin.answer("GET", `/${path}`)).status === 200, "the device");
  await until(async () => (await list(path)).length === 3, "the boundary groups");
  const all = await list("configurationManagerBoundaryGroups");
  const idOf = (key: string) =>
    all.find((each) => each["key"] === key && each["configurationManagerSite"] === "CM1")?.id;
  expect(await list(path)).toEqual([
    { id: idOf("9"), displayName: "Berlin", configurationManagerSite: "CM1", key: "9" },
    { id: idOf("10"), displayName: "Oslo, north", configurationManagerSite: "CM1", key: "10" },
    { id: null, displayName: "New", configurationManagerSite: "CM1", key: null },
  ]);
  expect(idOf("10")).toBeDefined();
});
