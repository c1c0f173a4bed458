import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ApiClient, ControlPlaneFixture } from "./control-plane-fixture.ts";
import { clientFacets, TOLD_AT, ToldSite } from "./told-site.ts";

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
      },
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
      { displayName: "Disk", approvalState: "approved", hash: "AB", scriptVersion: "1" },
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
