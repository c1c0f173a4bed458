import { until } from "@isthmus/shared/testing/until";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { RESOURCES } from "../core/resources.ts";
import { ActedSite } from "../testing/acted-site.ts";
import { DEVICES } from "../testing/action-fixture.ts";
import { recordsOf, told } from "../testing/inventory-fixture.ts";
import { clientFacets } from "../testing/told-site.ts";

/** Names of Microsoft Graph (beta), letter by letter: what answers has exactly these, and what is ours is named here as well. */

/** Of managedDevice, those that Configuration Manager knows something of. */
const MANAGED_DEVICE =
  "id deviceName operatingSystem osVersion userPrincipalName complianceState enrolledDateTime lastSyncDateTime managementAgent managementState manufacturer model serialNumber azureADDeviceId configurationManagerClientEnabledFeatures configurationManagerClientHealthState configurationManagerClientInformation deviceActionResults";
const OURS_OF_DEVICES =
  "groups complianceReason lastModifiedDateTime coManagementFlags osDescription isOnline configurationManagerSite configurationManagerKey syncedDeviceId";

const ENABLED_FEATURES =
  "inventory modernApps resourceAccess deviceConfiguration compliancePolicy windowsUpdateForBusiness endpointProtection officeApps";
const HEALTH_STATE = "state errorCode lastSyncDateTime";
const CLIENT_INFORMATION = "clientIdentifier isBlocked clientVersion";
const ACTION_RESULT =
  "@odata.type actionName actionState startDateTime lastUpdatedDateTime actionDeliveryStatus errorCode";

const ELIGIBLE_DEVICE =
  "id deviceName deviceType clientRegistrationStatus ownerType managementAgents managementState referenceId mdmStatus osVersion serialNumber manufacturer model osDescription entitySource userId upn userEmail userName status";

/** Words that answers may have in place of each. */
const VALUES: Readonly<Record<string, string>> = {
  complianceState: "unknown compliant noncompliant conflict error inGracePeriod configManager",
  managementAgent:
    "eas mdm easMdm intuneClient easIntuneClient configurationManagerClient configurationManagerClientMdm configurationManagerClientMdmEas unknown jamf googleCloudDevicePolicyController microsoft365ManagedMdm msSense intuneAosp google unknownFutureValue",
  managementState:
    "managed retirePending retireFailed wipePending wipeFailed unhealthy deletePending retireIssued wipeIssued wipeCanceled retireCanceled discovered",
  deviceType:
    "desktop windowsRT winMO6 nokia windowsPhone mac winCE winEmbedded iPhone iPad iPod android iSocConsumer unix macMDM holoLens surfaceHub androidForWork androidEnterprise windows10x androidnGMS chromeOS linux visionOS tvOS blackberry palm unknown cloudPC",
  clientRegistrationStatus:
    "notRegistered registered revoked keyConflict approvalPending certificateReset notRegisteredPendingEnrollment unknown",
  ownerType: "unknown company personal",
  status:
    "comanaged eligible eligibleButNotAzureAdJoined needsOsUpdate ineligible scheduledForEnrollment unknownFutureValue",
  state: "unknown installed healthy installFailed updateFailed communicationError",
  actionState: "none pending canceled active done failed notSupported",
  actionDeliveryStatus:
    "unknown pendingDelivery deliveredToConnectorService failedToDeliverToConnectorService deliveredToOnPremisesServer",
};

const ACTIONS =
  "refreshMachinePolicy refreshUserPolicy wakeUpClient appEvaluation quickScan fullScan windowsDefenderUpdateSignatures";

type Entity = Readonly<Record<string, unknown>>;
let site: ActedSite;

beforeAll(async () => {
  site = await ActedSite.start();
  const { lease } = await site.bridge.lease("CM1", "configmgr");
  const facets = {
    ...clientFacets("PC0"),
    volatile: { CNIsOnline: true, LastActiveTime: "2026-03-01T07:00:00Z" },
  };
  const noClient = { identity: { Name: "BARE" }, stable: { Client: 0 } };
  const old = clientFacets("OLD", { stable: { BuildExt: "10.0.10240.1", MDMEnrolled: 0 } });
  const mac = clientFacets("MAC", { stable: { OperatingSystemNameandVersion: "Apple Mac OS X" } });
  const others = Object.entries({ "901": noClient, "902": old, "903": mac });
  await site.bridge.inventory(
    recordsOf(
      lease,
      told(DEVICES[0] ?? "", 500, facets),
      ...others.map(([key, each], at) => told(key, 501 + at, each)),
    ),
  );
  await until(async () => (await all("/comanagementEligibleDevices")).some(isMac), "the devices");
});
afterAll(() => site[Symbol.asyncDispose]());
beforeEach(() => site.holdLease());

const sorted = (names: string) => names.split(" ").sort();
const namesOf = (value: unknown) => Object.keys(value as object).sort();
const trigger = (action: string, status: number, list = "managedDevices") =>
  site.admin.post(
    `/${list}/${site.deviceId}/triggerConfigurationManagerAction`,
    { configurationManagerAction: { action } },
    status,
  );

/** Every word of an answer that Graph has a list for is in that list. */
function expectWords(value: Entity): void {
  for (const [name, word] of Object.entries(value)) {
    const words = VALUES[name === "managementAgents" ? "managementAgent" : name];
    if (words !== undefined)
      expect([name, words.split(" ")]).toEqual([name, expect.arrayContaining([word])]);
  }
}

const isMac = ({ deviceName }: Entity) => deviceName === "MAC";

async function all(path: string): Promise<readonly Entity[]> {
  return (await site.admin.get(path)).value;
}

test.each(["managedDevices", "comanagedDevices"] as const)(
  "%s has the names of managedDevice",
  async (list) => {
    expect(namesOf(RESOURCES[list])).toEqual(sorted(`${MANAGED_DEVICE} ${OURS_OF_DEVICES}`));
    await trigger("quickScan", 204);
    const devices = await all(`/${list}`);
    expect(devices.length).toBeGreaterThan(0);
    for (const device of devices) {
      expect(namesOf(device)).toEqual(sorted(`${MANAGED_DEVICE} ${OURS_OF_DEVICES}`));
      expectWords(device);
    }
    const device = devices.find(({ deviceName }) => deviceName === "PC0") ?? {};
    expect(namesOf(device["configurationManagerClientEnabledFeatures"])).toEqual(
      sorted(ENABLED_FEATURES),
    );
    expect(namesOf(device["configurationManagerClientHealthState"])).toEqual(sorted(HEALTH_STATE));
    expectWords(device["configurationManagerClientHealthState"] as Entity);
    expect(namesOf(device["configurationManagerClientInformation"])).toEqual(
      sorted(CLIENT_INFORMATION),
    );
    const [result] = device["deviceActionResults"] as readonly Entity[];
    expect(namesOf(result)).toEqual(sorted(ACTION_RESULT));
    expect(result).toMatchObject({
      "@odata.type": "#microsoft.graph.configurationManagerActionResult",
    });
    expectWords(result ?? {});
  },
);

test("comanagementEligibleDevices has the names and words of comanagementEligibleDevice, and one of ours", async () => {
  const devices = await all("/comanagementEligibleDevices");
  expect(devices.length).toBeGreaterThan(3);
  expect(new Set(devices.map(({ status }) => status)).size).toBeGreaterThan(2);
  for (const device of devices) {
    expect(namesOf(device)).toEqual(sorted(`${ELIGIBLE_DEVICE} configurationManagerSite`));
    expectWords(device);
    const one = await site.admin.get(`/comanagementEligibleDevices/${device["id"]}`);
    expect(one.status).toBe(device["status"]);
  }
});

test("triggerConfigurationManagerAction takes the seven actions by their names, below both lists, and no other spelling", async () => {
  for (const action of ACTIONS.split(" ")) {
    for (const list of ["managedDevices", "comanagedDevices"]) {
      expect([action, list, await trigger(action, 204, list)]).toEqual([action, list, ""]);
    }
    await trigger(action.charAt(0).toUpperCase() + action.slice(1), 400);
  }
  const named = (await all("/managedDevices"))
    .flatMap((device) => device["deviceActionResults"] as readonly Entity[])
    .map(({ actionName }) => actionName);
  expect(named.sort()).toEqual(sorted(ACTIONS));
});

test("lists that Graph does not have begin with configurationManager", () => {
  const lists = Object.keys(RESOURCES).filter((name) => name.startsWith("configurationManager"));
  expect(lists.sort()).toEqual(
    [
      ...["Applications", "BoundaryGroups", "ClientOperations", "Collections", "Deployments"],
      ...["DeviceStates", "GroupMembers", "Groups", "Members", "Memberships", "Scripts"],
      ...["ScriptResults", "SiteEvents", "Sites", "SoftwareUpdates", "Users"],
    ]
      .map((name) => `configurationManager${name}`)
      .sort(),
  );
});
