import type { Condition } from "../../core/list-query.ts";
import { recordGuid } from "../../core/record-guid.ts";
import type { ResourceName } from "../../core/resources.ts";
import { isPermitted, type Permission } from "../../core/roles.ts";
import { OPERATIONS } from "../ask-site-action.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { equals, listPage, notFound, readEntity } from "../listing.ts";
import { findDevice } from "../record-ids.ts";
import { type ApiRequest, parameter, type Route } from "../route.ts";
import { operationOf } from "../site-operation.ts";

/** What was asked of sites: lists, single operations, the devices of one, and cancelling. */

interface Below {
  readonly name: string;
  readonly resource: ResourceName;
  readonly permission: Permission;
}

const BELOW: readonly Below[] = [
  {
    name: "deviceStates",
    resource: "configurationManagerDeviceStates",
    permission: "actions.read",
  },
  {
    name: "scriptResults",
    resource: "configurationManagerScriptResults",
    permission: "actions.run",
  },
];

export function clientOperationRoutes(api: ApiDependencies): Route[] {
  return [
    ...BELOW.map((below) => belowRoute(api, `/${OPERATIONS}`, below)),
    cancelRoute(api, `/${OPERATIONS}`),
    ...operationRoutes(api, "clientOperations"),
    ...operationRoutes(api, "queries", equals(OPERATIONS, "kind", "query")),
    {
      method: "get",
      path: "/managedDevices/:id/clientOperations",
      permission: "actions.read",
      handle: (request) => listOfDevice(api, request),
    },
  ];
}

function operationRoutes(api: ApiDependencies, name: string, only?: Condition): Route[] {
  const path = `/configurationManagerSites/:source/${name}`;
  return [
    {
      method: "get",
      path,
      permission: "actions.read",
      handle: (request) => listOfSite(api, request, name, only),
    },
    {
      method: "get",
      path: `${path}/:operationId`,
      permission: "actions.read",
      handle: async (request) => ({ status: 200, body: await operationOf(api, request) }),
    },
    ...BELOW.map((below) => belowRoute(api, path, below)),
    cancelRoute(api, path),
  ];
}

function cancelRoute(api: ApiDependencies, path: string): Route {
  return {
    method: "post",
    path: `${path}/:operationId/cancel`,
    permission: "actions.read",
    handle: (request) => cancel(api, request),
  };
}

async function listOfSite(
  { listing }: ApiDependencies,
  request: ApiRequest,
  name: string,
  only: Condition | undefined,
) {
  const source = parameter(request, "source");
  await readEntity(listing, "configurationManagerSites", source);
  const ofSite = equals(OPERATIONS, "configurationManagerSite", source);
  const narrowing: Condition =
    only === undefined ? ofSite : { kind: "and", operands: [ofSite, only] };
  const path = `configurationManagerSites/${encodeURIComponent(source)}/${name}`;
  return {
    status: 200,
    body: await listPage(listing, OPERATIONS, request.query, path, narrowing),
  };
}

/** What stands below an operation, which is found below its site and by its id alone. */
function belowRoute(api: ApiDependencies, path: string, below: Below): Route {
  return {
    method: "get",
    path: `${path}/:operationId/${below.name}`,
    permission: below.permission,
    handle: async (request) => {
      const { id } = await operationOf(api, request, new URLSearchParams());
      const narrowing = equals(below.resource, "clientOperationId", String(id));
      const source = encodeURIComponent(parameter(request, "source"));
      const above = path.slice(1).replace(":source", source);
      const address = `${above}/${String(id)}/${below.name}`;
      return {
        status: 200,
        body: await listPage(api.listing, below.resource, request.query, address, narrowing),
      };
    },
  };
}

/** Each operation that reached the device, with how it fares there. */
async function listOfDevice(api: ApiDependencies, request: ApiRequest) {
  const id = parameter(request, "id");
  const device = await findDevice(api, id);
  if (device === undefined) throw notFound(id, "managedDevices");
  const resource = "configurationManagerDeviceStates";
  const narrowing = equals(resource, "managedDeviceId", recordGuid(device.recordId));
  const path = `managedDevices/${encodeURIComponent(id)}/clientOperations`;
  return {
    status: 200,
    body: await listPage(api.listing, resource, request.query, path, narrowing),
  };
}

/** 200 where it was withdrawn before it left, 202 where the bridge has to be asked. */
async function cancel(api: ApiDependencies, request: ApiRequest) {
  const operation = await operationOf(api, request, new URLSearchParams());
  const id = String(operation["id"]);
  const outcome = await api.records.run("cancelSiteAction", {
    ...request.act,
    id,
    source: String(operation["configurationManagerSite"]),
    cancelId: api.random.bytes(16).toString("hex"),
    mayCancelOthers: isPermitted(request.session.roles, "commands.cancel"),
  });
  api.unsigned.nudge();
  api.actionFollowers.tell([id]);
  const body = await readEntity(api.listing, OPERATIONS, id);
  return { status: outcome === "withdrawn" ? 200 : 202, body };
}
