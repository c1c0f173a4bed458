import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RESOURCES } from "../core/resources.ts";
import { isPermitted, type Permission, ROLES } from "../core/roles.ts";
import { ControlPlaneFixture } from "./control-plane-fixture.ts";

const folder = temporaryFolder();
let plane: ControlPlaneFixture;

beforeAll(async () => {
  plane = await ControlPlaneFixture.start(folder.path);
});

afterAll(async () => {
  await plane[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

describe("each role gets what the table says, on each operation", () => {
  const OPERATIONS: readonly (readonly [Permission, string, string, unknown?])[] = [
    ["connectors.read", "GET", "/connectors"],
    ["connectors.read", "GET", "/enrolmentTokens"],
    ["connectors.manage", "POST", "/enrolmentTokens", {}],
    ["connectors.manage", "DELETE", "/enrolmentTokens/x"],
    ["connectors.manage", "PATCH", "/connectors/x", { displayName: "n" }],
    ["connectors.manage", "POST", "/connectors/x/release"],
    ["configurations.read", "GET", "/desiredConfigurations"],
    ["configurations.read", "GET", "/connectors/x/desiredConfiguration"],
    ["configurations.write", "PUT", "/connectors/x/desiredConfiguration", { configuration: {} }],
    ["devices.read", "GET", "/managedDevices"],
    ["devices.write", "POST", "/managedDevices", { groups: 1 }],
    ["devices.write", "PATCH", "/managedDevices/x", { deviceName: "n" }],
    [
      "devices.write",
      "PATCH",
      "/managedDevices/x",
      { deviceName: "n", complianceState: "unknown" },
    ],
    ["devices.setCompliance", "PATCH", "/managedDevices/x", { complianceState: "compliant" }],
    ["devices.write", "DELETE", "/managedDevices/x"],
    ["devices.read", "GET", "/comanagedDevices"],
    ["devices.read", "GET", "/comanagementEligibleDevices"],
    ["inventory.read", "GET", "/configurationManagerCollections"],
    ["inventory.read", "GET", "/configurationManagerSites"],
    ["inventory.read", "GET", "/configurationManagerSiteEvents"],
    ["inventory.read", "GET", "/configurationManagerUsers"],
    ["inventory.read", "GET", "/configurationManagerGroups"],
    ["inventory.read", "GET", "/configurationManagerApplications"],
    ["inventory.read", "GET", "/configurationManagerDeployments"],
    ["inventory.read", "GET", "/configurationManagerSoftwareUpdates"],
    ["inventory.read", "GET", "/configurationManagerScripts"],
    ["inventory.read", "GET", "/configurationManagerBoundaryGroups"],
    ["inventory.read", "GET", "/configurationManagerCollections/x/members"],
    ["inventory.read", "GET", "/configurationManagerGroups/x/members"],
    ["inventory.read", "GET", "/configurationManagerSites/x/events"],
    ["inventory.read", "GET", "/configurationManagerApplications/x/deployments"],
    ["inventory.read", "GET", "/managedDevices/x/configurationManagerCollections"],
    ["inventory.read", "GET", "/managedDevices/x/configurationManagerBoundaryGroups"],
    ["inventory.read", "GET", "/managedDevices/x/softwareUpdateStates"],
    ["inventory.read", "GET", "/managedDevices/x/applicationStates"],
    ["inventory.read", "GET", "/managedDevices/x/directoryRecords"],
    ["inventory.read", "GET", "/managedDevices/x/resourceExplorer"],
    ["inventory.read", "GET", "/managedDevices/x/resourceExplorer/compare"],
    ["inventory.read", "GET", "/managedDevices/x/resourceExplorer/C"],
    ["inventory.read", "GET", "/managedDevices/x/resourceExplorer/C/history"],
    ["inventory.read", "GET", "/managedDevices/x/timeline"],
    ["inventory.export", "GET", "/managedDevices/export"],
    ["inventory.export", "GET", "/managedDevices/x/applicationStates/export"],
    ["inventory.export", "GET", "/configurationManagerApplicationStates/export"],
    ["inventory.export", "GET", "/comanagedDevices/export"],
    ["inventory.export", "GET", "/comanagementEligibleDevices/export"],
    ["inventory.export", "GET", "/configurationManagerClasses/C/export"],
    ["inventory.export", "GET", "/managedDevices/x/timeline/export"],
    ["tunnel.read", "GET", "/microsoftTunnelSites"],
    ["tunnel.read", "GET", "/microsoftTunnelConfigurations"],
    ["tunnel.read", "GET", "/microsoftTunnelServers"],
    ["tunnel.read", "GET", "/microsoftTunnelHealthThresholds"],
    ["tunnel.read", "POST", "/microsoftTunnelServers/x/getHealthMetrics", {}],
    ["tunnel.read", "POST", "/microsoftTunnelServers/x/getHealthMetricTimeSeries", {}],
    ["tunnel.write", "POST", "/microsoftTunnelServers/x/createServerLogCollectionRequest"],
    ["tunnel.write", "POST", "/microsoftTunnelSites/x/requestUpgrade"],
    ["tunnel.write", "PATCH", "/microsoftTunnelHealthThresholds/x", {}],
    ["tunnel.write", "DELETE", "/microsoftTunnelHealthThresholds/x"],
    ["tunnel.write", "POST", "/microsoftTunnelSites", {}],
    ["tunnel.write", "DELETE", "/microsoftTunnelConfigurations/x"],
    ["tunnel.write", "PATCH", "/microsoftTunnelServers/x", { microsoftTunnelSiteId: null }],
    ["certificates.read", "GET", "/certificateProfiles"],
    ["certificates.read", "GET", "/issuedCertificates"],
    ["certificates.read", "GET", "/issuanceFailures"],
    ["certificates.read", "GET", "/certificateDeliveries"],
    ["certificates.revoke", "POST", "/issuedCertificates/x.1/revoke", {}],
    ["certificates.issue", "POST", "/managedDevices/x/pkcsCertificates", {}],
    ["pfx.read", "GET", "/userPfxCertificates"],
    ["pfx.read", "GET", "/userPfxCertificates('x')"],
    ["pfx.write", "POST", "/userPfxCertificates", {}],
    ["pfx.write", "PATCH", "/userPfxCertificates('x')", {}],
    ["pfx.write", "DELETE", "/userPfxCertificates(x)"],
    ["pfx.write", "POST", "/managedDevices/x/userPfxCertificates", {}],
    ["challenges.read", "GET", "/scepChallenges"],
    ["challenges.create", "POST", "/scepChallenges", {}],
    ["actions.read", "GET", "/configurationManagerClientOperations"],
    ["actions.read", "GET", "/configurationManagerDeviceStates"],
    ["actions.run", "GET", "/configurationManagerScriptResults"],
    ["commands.read", "GET", "/commands"],
    ["commands.create", "POST", "/commands", {}],
    ["commands.cancel", "POST", "/commands/x/cancel"],
    ["audit.read", "GET", "/auditEvents"],
    ["accounts.read", "GET", "/administrators"],
    ["accounts.manage", "POST", "/administrators", {}],
    ["accounts.manage", "PATCH", "/administrators/x", {}],
  ];

  test.each(ROLES)("%s", async (role) => {
    const client = await plane.client(role);
    for (const [permission, method, path, body] of OPERATIONS) {
      const { status } = await client.answer(method, path, body);
      const isForbidden = status === 403;
      expect([method, path, isForbidden]).toEqual([method, path, !isPermitted([role], permission)]);
    }
  });

  test("every resource is among the operations", () => {
    const listed = OPERATIONS.map(([, , path]) => path.split("/")[1]);
    // These stand below collections, devices and groups alone.
    listed.push("configurationManagerMembers", "configurationManagerMemberships");
    listed.push("configurationManagerGroupMembers");
    expect(Object.keys(RESOURCES).filter((name) => !listed.includes(name))).toEqual([]);
  });
});
