import type { ResourceName } from "../../core/resources.ts";
import type { Permission } from "../../core/roles.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { equals, type Listing, listPage, readEntity } from "../listing.ts";
import { entityIdOf } from "../record-ids.ts";
import { type ApiRequest, parameter, type Route } from "../route.ts";

/** Who may read what. */
const READING: Readonly<Record<ResourceName, Permission>> = {
  comanagedDevices: "devices.read",
  comanagementEligibleDevices: "devices.read",
  configurationManagerCollections: "inventory.read",
  configurationManagerMembers: "inventory.read",
  configurationManagerMemberships: "inventory.read",
  configurationManagerSites: "inventory.read",
  configurationManagerSiteEvents: "inventory.read",
  configurationManagerUsers: "inventory.read",
  configurationManagerGroups: "inventory.read",
  configurationManagerGroupMembers: "inventory.read",
  configurationManagerApplications: "inventory.read",
  configurationManagerDeployments: "inventory.read",
  configurationManagerSoftwareUpdates: "inventory.read",
  configurationManagerScripts: "inventory.read",
  configurationManagerBoundaryGroups: "inventory.read",
  configurationManagerClientOperations: "actions.read",
  configurationManagerDeviceStates: "actions.read",
  configurationManagerScriptResults: "actions.run",
  connectors: "connectors.read",
  enrolmentTokens: "connectors.read",
  managedDevices: "devices.read",
  microsoftTunnelSites: "tunnel.read",
  microsoftTunnelConfigurations: "tunnel.read",
  microsoftTunnelServers: "tunnel.read",
  microsoftTunnelHealthThresholds: "tunnel.read",
  certificateProfiles: "certificates.read",
  issuedCertificates: "certificates.read",
  userPfxCertificates: "pfx.read",
  certificateDeliveries: "certificates.read",
  issuanceFailures: "certificates.read",
  commands: "commands.read",
  scepChallenges: "challenges.read",
  desiredConfigurations: "configurations.read",
  auditEvents: "audit.read",
  administrators: "accounts.read",
};

/** Resources that make sense below another entity alone. */
const BELOW_ONLY: readonly ResourceName[] = [
  "configurationManagerGroupMembers",
  "configurationManagerMembers",
  "configurationManagerMemberships",
];

/** Lists and single entities of every resource, and those that stand below another entity. */
export function readingRoutes(api: ApiDependencies): Route[] {
  const { listing } = api;
  const resources = (Object.keys(READING) as ResourceName[]).filter(
    (resource) => !BELOW_ONLY.includes(resource),
  );
  const plain = resources.flatMap((resource) => [
    listRoute(listing, resource),
    entityRoute(api, resource),
  ]);
  return [
    ...plain,
    belowRoute(api, "connectors", "commands", "connectorId"),
    belowRoute(api, "connectors", "desiredConfigurations", "connectorId"),
    belowRoute(api, "managedDevices", "issuedCertificates", "managedDeviceId"),
    belowRoute(api, "managedDevices", "certificateDeliveries", "managedDeviceId"),
    belowRoute(api, "microsoftTunnelSites", "microsoftTunnelServers", "microsoftTunnelSiteId"),
    tunnelConfigurationOfSite(listing),
    configurationOfConnector(listing),
  ];
}

function listRoute(listing: Listing, resource: ResourceName): Route {
  return {
    method: "get",
    path: `/${resource}`,
    permission: READING[resource],
    handle: async ({ query }) => ({ status: 200, body: await listPage(listing, resource, query) }),
  };
}

function entityRoute(api: ApiDependencies, resource: ResourceName): Route {
  return {
    method: "get",
    path: `/${resource}/:id`,
    permission: READING[resource],
    handle: async (request) => {
      const id = await entityIdOf(api, resource, parameter(request, "id"));
      return { status: 200, body: await readEntity(api.listing, resource, id, request.query) };
    },
  };
}

/** `/connectors/{id}/commands`: those whose `property` is the id. */
function belowRoute(
  api: ApiDependencies,
  above: ResourceName,
  resource: ResourceName,
  property: string,
): Route {
  return {
    method: "get",
    path: `/${above}/:id/${resource}`,
    permission: READING[resource],
    handle: async (request) => {
      const id = parameter(request, "id");
      const narrowing = equals(resource, property, id);
      const path = `${above}/${encodeURIComponent(id)}/${resource}`;
      const body = await listPage(api.listing, resource, request.query, path, narrowing);
      // What was removed may have left something; of what never was, an empty list would say that it is there.
      if ((body["value"] as readonly unknown[]).length === 0) {
        await readEntity(api.listing, above, await entityIdOf(api, above, id));
      }
      return { status: 200, body };
    },
  };
}

function tunnelConfigurationOfSite(listing: Listing): Route {
  return {
    method: "get",
    path: "/microsoftTunnelSites/:id/microsoftTunnelConfiguration",
    permission: READING.microsoftTunnelConfigurations,
    handle: async (request) => {
      const site = await readEntity(listing, "microsoftTunnelSites", parameter(request, "id"));
      const id = String(site["microsoftTunnelConfigurationId"] ?? "");
      return { status: 200, body: await readEntity(listing, "microsoftTunnelConfigurations", id) };
    },
  };
}

/** The newest version, signed or not. */
function configurationOfConnector(listing: Listing): Route {
  return {
    method: "get",
    path: "/connectors/:id/desiredConfiguration",
    permission: READING.desiredConfigurations,
    handle: async (request) => ({
      status: 200,
      body: await newestConfiguration(listing, request),
    }),
  };
}

async function newestConfiguration(listing: Listing, request: ApiRequest) {
  const id = parameter(request, "id");
  const connector = await readEntity(listing, "connectors", id);
  const version = String(connector["configurationVersion"]);
  return await readEntity(listing, "desiredConfigurations", `${id}.${version}`, request.query);
}
