import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { clientFacets, TOLD_AT, ToldSite } from "../testing/told-site.ts";
import { type ApiClient, ControlPlaneFixture } from "./control-plane-fixture.ts";

const ENTRA = "11111111-2222-4333-8444-555555555555";
/** What the bridge itself told of its source. */
const BRIDGE = { $filter: "side eq 'bridge'" };
const folder = temporaryFolder();
let plane: ControlPlaneFixture;
let admin: ApiClient;
let site: ToldSite;

beforeAll(async () => {
  plane = await ControlPlaneFixture.start(folder.path);
  admin = await plane.client();
  site = await ToldSite.start(plane, admin);
  const volatile = { LastActiveTime: "2026-03-01T07:00:00Z", CNIsOnline: true };
  await site.tell("device", {
    "1": {
      ...clientFacets("WKS-1"),
      volatile,
      collections: ["SMS00001", "CM100016"],
      clientBlock: { IsBlocked: false },
    },
    "2": {
      ...clientFacets("WKS-2", { stable: { ComgmtPolicyPresent: 0, MDMEnrolled: 0 } }),
      collections: ["SMS00001"],
      health: { ClientActiveStatus: 1 },
      clientBlock: { IsBlocked: true },
    },
    "3": clientFacets("SRV-3", {
      stable: {
        Client: 0,
        ClientVersion: null,
        OperatingSystemNameandVersion: "Windows NT Server 10.0",
      },
    }),
    "4": clientFacets("WKS-4", { identity: { AADDeviceID: ENTRA }, stable: { MDMEnrolled: 0 } }),
  });
  await site.tell("collection", {
    SMS00001: { identity: { Name: "All Systems", IsBuiltIn: true }, volatile: { MemberCount: 2 } },
    CM100016: { identity: { Name: "Pilot", LimitToCollectionID: "SMS00001" } },
  });
  await site.event("scan.ended", "A scan of devices ended");
  await until(
    async () => (await list("configurationManagerSiteEvents", BRIDGE)).length > 0,
    "the records",
  );
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

const query = (options: Readonly<Record<string, string>>) =>
  Object.entries(options)
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
    .join("&");

async function list(
  path: string,
  options: Readonly<Record<string, string>> = {},
): Promise<Listed[]> {
  return (await admin.get(`/${path}?${query(options)}`)).value;
}

async function idOf(deviceName: string): Promise<string> {
  const [device] = await list("managedDevices", { $filter: `deviceName eq '${deviceName}'` });
  return device?.id ?? "none";
}

describe("a device of Configuration Manager among managedDevices", () => {
  test("has Graph's properties", async () => {
    const device = await admin.get(`/managedDevices/${await idOf("WKS-1")}`);
    expect(device).toMatchObject({
      deviceName: "WKS-1",
      operatingSystem: "Windows",
      osVersion: "10.0.22631.3007",
      osDescription: "Microsoft Windows NT Workstation 10.0",
      userPrincipalName: "wks-1@corp.test",
      serialNumber: "SN-WKS-1",
      manufacturer: "Contoso",
      model: "Laptop 5",
      managementAgent: "configurationManagerClientMdm",
      managementState: "managed",
      complianceState: "configManager",
      lastSyncDateTime: "2026-03-01T07:00:00.000Z",
      enrolledDateTime: new Date(TOLD_AT).toISOString(),
      isOnline: true,
      coManagementFlags: 8193 | 8 | 16,
      configurationManagerSite: "CM1",
      configurationManagerKey: "1",
      deviceActionResults: [],
      groups: [],
    });
    expect(device.configurationManagerClientEnabledFeatures).toEqual({
      ...{ inventory: false, modernApps: false, resourceAccess: false, compliancePolicy: false },
      ...{ endpointProtection: false, officeApps: false },
      ...{ deviceConfiguration: true, windowsUpdateForBusiness: true },
    });
    expect(device.configurationManagerClientInformation).toEqual({
      clientIdentifier: "GUID:WKS-1",
      clientVersion: "5.00.9141.1011",
      isBlocked: false,
    });
    expect(device.syncedDeviceId).toBe(device.id);
  });

  test("says whether the site blocks its client, and null where the site says no such thing", async () => {
    const devices = await list("managedDevices", { $orderby: "deviceName" });
    const blocks = devices.map((device) => [
      device["deviceName"],
      (device["configurationManagerClientInformation"] as { isBlocked: unknown } | null)?.isBlocked,
    ]);
    expect(blocks).toEqual([
      ["SRV-3", undefined],
      ["WKS-1", false],
      ["WKS-2", true],
      ["WKS-4", null],
    ]);
  });

  test("tells of its client's health as the site judges it, or by the time of its last contact", async () => {
    const states = await list("managedDevices", { $orderby: "deviceName" });
    const state = (name: string) =>
      states.find((device) => device["deviceName"] === name)?.[
        "configurationManagerClientHealthState"
      ];
    expect(state("WKS-1")).toMatchObject({ lastSyncDateTime: "2026-03-01T07:00:00.000Z" });
    expect(state("WKS-2")).toEqual({ state: "healthy", errorCode: 0, lastSyncDateTime: null });
    expect(state("SRV-3")).toMatchObject({ state: "unknown" });
    expect(state("WKS-4")).toMatchObject({ state: "installed" });
  });

  test.each([
    ["managementAgent eq 'configurationManagerClientMdm'", ["WKS-1"]],
    ["managementAgent eq 'configurationManagerClient'", ["WKS-2", "WKS-4"]],
    ["serialNumber eq 'sn-wks-2'", ["WKS-2"]],
    ["startswith(deviceName,'wks')", ["WKS-1", "WKS-2", "WKS-4"]],
    [
      "startswith(deviceName,'wks') and not (managementAgent eq 'configurationManagerClient')",
      ["WKS-1"],
    ],
    ["not startswith(serialNumber,'SN-WKS')", ["SRV-3"]],
    ["contains(deviceName,'RV')", ["SRV-3"]],
    ["azureADDeviceId eq null", ["SRV-3", "WKS-1", "WKS-2"]],
    [`azureADDeviceId eq '${ENTRA.toUpperCase()}'`, ["WKS-4"]],
    ["isOnline eq true", ["WKS-1"]],
    ["not (isOnline eq true)", ["SRV-3", "WKS-2", "WKS-4"]],
    ["lastSyncDateTime ge 2026-03-01T07:00:00Z", ["WKS-1"]],
    ["not (lastSyncDateTime ge 2026-03-01T07:00:00Z)", ["SRV-3", "WKS-2", "WKS-4"]],
    ["operatingSystem eq 'windows'", ["SRV-3", "WKS-1", "WKS-2", "WKS-4"]],
  ])("$filter=%s", async (filter, expected) => {
    const options = {
      $filter: `configurationManagerSite eq 'CM1' and ${filter}`,
      $orderby: "deviceName",
      $count: "true",
    };
    const page = await admin.get(`/managedDevices?${query(options)}`);
    expect(page.value.map((device: Listed) => device["deviceName"])).toEqual(expected);
    expect(page["@odata.count"]).toBe(expected.length);
  });

  test("is changed and removed where it is, and not here", async () => {
    const id = await idOf("WKS-1");
    for (const [method, body] of [
      ["PATCH", { deviceName: "x" }],
      ["DELETE", undefined],
    ] as const) {
      const { status, body: answer } = await admin.answer(method, `/managedDevices/${id}`, body);
      expect([status, answer.error.innerError.code]).toEqual([409, "device-synced"]);
      expect(answer.error.message).toContain("CM1 tells of device");
    }
    const made = await admin.answer("POST", "/managedDevices", { id });
    expect(made.status).toBe(409);
  });
});

describe("administrators' devices and synced ones in one list", () => {
  test("pages of any order give each device once", async () => {
    for (let n = 0; n < 5; n++) {
      await admin.post(
        "/managedDevices",
        { id: `own-${n}`, deviceName: n % 2 === 0 ? `WKS-1${n}` : null },
        201,
      );
    }
    const all = (await list("managedDevices", { $top: "1000" })).map(({ id }) => id).sort();
    expect(all.length).toBeGreaterThanOrEqual(9);
    for (const $orderby of [
      "id",
      "id desc",
      "deviceName",
      "deviceName desc",
      "lastSyncDateTime desc",
      "managementAgent,deviceName desc",
    ]) {
      const found: string[] = [];
      let path = `/managedDevices?${query({ $orderby, $top: "2" })}`;
      for (;;) {
        const page = await admin.get(path);
        found.push(...page.value.map(({ id }: Listed) => id));
        const next: string | undefined = page["@odata.nextLink"];
        if (next === undefined) break;
        path = next.slice(`${plane.url}/beta/deviceManagement`.length);
      }
      const whole = (await list("managedDevices", { $orderby, $top: "1000" })).map(({ id }) => id);
      expect([$orderby, found]).toEqual([$orderby, whole]);
      expect([...found].sort()).toEqual(all);
    }
  });

  test("an entry with the Entra id of a synced device is that device, under its own id", async () => {
    const synced = await idOf("WKS-4");
    const body = {
      id: "laptop-4",
      azureADDeviceId: ENTRA,
      complianceState: "compliant",
      groups: ["g"],
    };
    const made = await admin.post("/managedDevices", body, 201);
    expect(made).toMatchObject({
      id: "laptop-4",
      deviceName: "WKS-4",
      complianceState: "compliant",
      groups: ["g"],
      serialNumber: "SN-WKS-4",
      managementAgent: "configurationManagerClient",
      syncedDeviceId: synced,
    });
    expect(await idOf("WKS-4")).toBe("laptop-4");
    expect(await admin.get(`/managedDevices/${synced}`)).toMatchObject({ id: "laptop-4" });
    expect(await list("managedDevices", { $filter: "deviceName eq 'WKS-4'" })).toHaveLength(1);
    expect(await admin.get("/managedDevices/laptop-4/resourceExplorer")).toEqual(
      await admin.get(`/managedDevices/${synced}/resourceExplorer`),
    );
    const renamed = await admin.patch("/managedDevices/laptop-4", { deviceName: "Laptop" });
    expect(renamed).toMatchObject({ deviceName: "Laptop", serialNumber: "SN-WKS-4" });
    expect((await admin.answer("DELETE", "/managedDevices/laptop-4")).status).toBe(204);
    expect(await idOf("WKS-4")).toBe(synced);
  });

  test("an entry may name the device that it is, once", async () => {
    const syncedDeviceId = await idOf("SRV-3");
    await admin.post("/managedDevices", { id: "server", syncedDeviceId }, 201);
    expect(await admin.get("/managedDevices/server")).toMatchObject({ deviceName: "SRV-3" });
    const { error } = await admin.post("/managedDevices", { id: "other", syncedDeviceId }, 409);
    expect(error.innerError.code).toBe("synced-device-in-use");
    const none = "00000000-0000-4000-8000-00000000ffff";
    await admin.post("/managedDevices", { id: "other", syncedDeviceId: none }, 404);
    await admin.patch("/managedDevices/server", { syncedDeviceId: null });
    expect(await admin.get("/managedDevices/server")).toMatchObject({ deviceName: null });
    expect((await admin.answer("DELETE", "/managedDevices/server")).status).toBe(204);
  });

  test("devices are never joined by name", async () => {
    await admin.post("/managedDevices", { id: "namesake", deviceName: "WKS-2" }, 201);
    expect(await list("managedDevices", { $filter: "deviceName eq 'WKS-2'" })).toHaveLength(2);
    expect((await admin.answer("DELETE", "/managedDevices/namesake")).status).toBe(204);
  });
});

describe("co-management", () => {
  test("comanagedDevices are those that are", async () => {
    const devices = await list("comanagedDevices");
    expect(devices.map((device) => device["deviceName"])).toEqual(["WKS-1"]);
  });

  test("comanagementEligibleDevices say of each what is missing", async () => {
    const devices = await list("comanagementEligibleDevices");
    expect(devices.map((device) => [device["deviceName"], device["status"]])).toEqual([
      ["WKS-1", "comanaged"],
      ["WKS-2", "eligibleButNotAzureAdJoined"],
      ["SRV-3", "ineligible"],
      ["WKS-4", "scheduledForEnrollment"],
    ]);
    expect(devices[0]).toMatchObject({
      deviceType: "desktop",
      clientRegistrationStatus: "notRegistered",
      ownerType: "company",
      managementAgents: "configurationManagerClientMdm",
      managementState: "managed",
      referenceId: devices[0]?.id,
      mdmStatus: "Enrolled",
      upn: "wks-1@corp.test",
    });
    const [scheduled] = await list("comanagementEligibleDevices", {
      $filter: "status eq 'scheduledForEnrollment'",
    });
    expect(scheduled?.["deviceName"]).toBe("WKS-4");
    expect(await admin.get(`/comanagementEligibleDevices/${scheduled?.id}`)).toMatchObject({
      status: "scheduledForEnrollment",
    });
  });
});

describe("collections", () => {
  test("have their members, and devices their collections", async () => {
    const collections = await list("configurationManagerCollections", { $orderby: "displayName" });
    expect(collections).toMatchObject([
      {
        collectionId: "SMS00001",
        displayName: "All Systems",
        isBuiltIn: true,
        memberCount: 2,
        knownMemberCount: 2,
      },
      {
        collectionId: "CM100016",
        displayName: "Pilot",
        limitingCollectionId: "SMS00001",
        knownMemberCount: 1,
      },
    ]);
    const members = await list(`configurationManagerCollections/${collections[0]?.id}/members`, {
      $select: "deviceName,managementAgent",
    });
    expect(members.map((device) => device["deviceName"])).toEqual(["WKS-1", "WKS-2"]);
    const ofDevice = await list(
      `managedDevices/${await idOf("WKS-1")}/configurationManagerCollections`,
      { $orderby: "displayName" },
    );
    expect(ofDevice.map((each) => each["collectionId"])).toEqual(["SMS00001", "CM100016"]);
    await admin.get("/configurationManagerCollections/none/members", 404);
    await admin.get("/managedDevices/none/configurationManagerCollections", 404);
  });

  test("the site says who reads it, how many records there are and what happened", async () => {
    const found = await admin.get("/configurationManagerSites/CM1");
    expect(found).toMatchObject({
      sourceType: "configmgr",
      isRead: true,
      leaseHolderDisplayName: "comgmt-bridge",
      counts: { device: 4, collection: 2 },
      refusedRecords: 0,
    });
    expect(found.lastEvents[0]).toEqual({
      eventDateTime: new Date(TOLD_AT).toISOString(),
      side: "bridge",
      event: "scan.ended",
      message: "A scan of devices ended",
    });
    const events = await list("configurationManagerSites/CM1/events", BRIDGE);
    expect(events).toMatchObject([{ side: "bridge", event: "scan.ended" }]);
  });
});
