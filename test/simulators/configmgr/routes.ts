import { type Answer, json } from "./answer.ts";
import { eventRowsOf } from "./client-events.ts";
import type { Device } from "./device.ts";
import {
  type Bound,
  extensionRows,
  getBound,
  postBound,
  recoveryKeysOf,
} from "./device-actions.ts";
import type { EntityClass } from "./entity-class.ts";
import { metadataText } from "./metadata.ts";
import { readQuery } from "./odata-query.ts";
import { notFound, Refusal } from "./odata-refusal.ts";
import { requireRight } from "./request-body.ts";
import { rowWriter } from "./row-text.ts";
import type { Principal } from "./site-options.ts";
import type { SiteState } from "./site-state.ts";
import { postApplication, postStatic, updateApprovalState } from "./wmi-actions.ts";

/** A request behind the door: who asks, and what of a route. */
export interface RoutedRequest {
  readonly principal: Principal;
  readonly method: string;
  readonly route: "v1.0" | "wmi";
  /** Behind the route, decoded, without slashes at its ends. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: unknown;
  /** `https://host/AdminService/wmi`. */
  readonly base: string;
}

/** `Name`, `Name(key)`, `Name.Method`, `Name(key)/more`, `Name/key/more`. Keys stand in quotes or not. */
const ENTITY = /^([A-Za-z_]\w*)(?:\(('[^']*'|[^()']*)\))?(?:\/(.*))?$/;
const STATIC = /^[A-Za-z_]\w*\.[A-Za-z_]\w*$/;
const FUNCTION = /^AdminService\.(\w+)(?:\((?:OperationId=(\d+))?\))?$/;

/** Throws Refusal. */
export function route(state: SiteState, request: RoutedRequest): Answer {
  const { path, method } = request;
  if (path === "") return serviceDocument(state, request);
  if (path === "$metadata") return metadata(state, request);
  if (STATIC.test(path)) {
    if (request.route !== "wmi") throw notFound(`No HTTP resource matches '${path}'.`);
    requireMethod(method, "POST");
    return postStatic(state, request.principal, path, request.body);
  }
  const [, name = "", quotedKey, rest] = ENTITY.exec(path) ?? [];
  const of = state.classes.get(`${request.route}/${name}`);
  if (of === undefined) throw notFound(`No HTTP resource was found that matches '${path}'.`);
  return routeEntity(state, request, of, quotedKey?.replace(/^'(.*)'$/, "$1"), rest);
}

function routeEntity(
  state: SiteState,
  request: RoutedRequest,
  of: EntityClass,
  key: string | undefined,
  rest: string | undefined,
): Answer {
  if (rest === undefined || rest === "") {
    return key === undefined ? rows(state, request, of) : single(state, request, of, key);
  }
  if (key === undefined && of.name === "Device" && rest.startsWith("AdminService."))
    return allExtensionData(state, request, rest);
  if (key !== undefined) return below(state, request, of, key, rest);
  // SMS_Scripts/<guid> is the same as SMS_Scripts('<guid>').
  const [first = "", ...more] = rest.split("/");
  return routeEntity(state, request, of, first, more.length === 0 ? undefined : more.join("/"));
}

function rows(
  { options }: SiteState,
  { method, query, principal }: RoutedRequest,
  of: EntityClass,
): Answer {
  requireMethod(method, "GET");
  requireRight(principal, "read");
  const read = readQuery(query, of, options.capabilities ?? {});
  return { kind: "rows", of, query: read, context: of.name };
}

/** One instance: on the WMI route within `value`, on v1.0 by itself. Lazy properties are there. */
function single(state: SiteState, request: RoutedRequest, of: EntityClass, key: string): Answer {
  const { method, query, principal, base } = request;
  if (method === "DELETE" && of.name === "SMS_Scripts") {
    requireRight(principal, "delete");
    if (!state.scripts.remove(key)) throw notFound("Script not found.");
    return json(204);
  }
  requireMethod(method, "GET");
  requireRight(principal, "read");
  const row = of.byKey?.(key);
  const device = row === undefined ? undefined : of.deviceOf?.(row);
  const isHidden = device !== undefined && !state.isVisible(principal, device);
  if (row === undefined || isHidden) throw notFound(`${of.name}(${key}) was not found.`);
  const { columns } = readQuery(query, of, state.options.capabilities ?? {});
  const written = rowWriter(of, columns, true)(row);
  const context = `"@odata.context":"${base}/$metadata#${of.name}`;
  const body =
    request.route === "wmi"
      ? `{${context}","value":[${written}]}`
      : `{${context}/$entity",${written.slice(1)}`;
  return { kind: "text", status: 200, type: "application/json", text: body };
}

function below(
  state: SiteState,
  request: RoutedRequest,
  of: EntityClass,
  key: string,
  rest: string,
): Answer {
  const { principal, method, body } = request;
  const [, action, operationId] = FUNCTION.exec(rest) ?? [];
  if (of.name === "SMS_Scripts" && action === "UpdateApprovalState") {
    requireMethod(method, "POST");
    return updateApprovalState(state, principal, key, body);
  }
  if (of.name === "Application" && action !== undefined) {
    requireMethod(method, "POST");
    return postApplication(state, principal, key, action, body);
  }
  const bound = boundTo(state, principal, of, key);
  if (action === undefined) return navigation(state, request, bound, rest);
  return method === "POST"
    ? postBound(state, principal, bound, action, body)
    : getBound(
        state,
        principal,
        bound,
        action,
        operationId === undefined ? undefined : Number(operationId),
      );
}

function boundTo(state: SiteState, principal: Principal, of: EntityClass, key: string): Bound {
  if (of.name === "Collections") {
    if (state.collections.find(key) === undefined) throw notFound("Collection not found.");
    return { kind: "collection", id: key };
  }
  const device = state.fleet.device(Number(key));
  const isDevice = of.name === "Device" || of.name === "SMS_R_System";
  if (!isDevice || device === undefined || !state.isVisible(principal, device))
    throw notFound(`${of.name}(${key}) was not found.`);
  return { kind: "device", device };
}

/** What hangs on a device: on v1.0 the documented lists, on the WMI route its inventory. */
function navigation(
  state: SiteState,
  { method, route: name, query, principal, base }: RoutedRequest,
  bound: Bound,
  rest: string,
): Answer {
  requireMethod(method, "GET");
  requireRight(principal, "read");
  if (bound.kind !== "device") throw notFound(`No HTTP resource matches '${rest}'.`);
  const { device } = bound;
  if (name === "wmi") {
    const of = state.classes.get(`wmi/${rest}`);
    if (of?.keys[0] !== "ResourceID") throw notFound(`No HTTP resource matches '${rest}'.`);
    const read = readQuery(query, of, state.options.capabilities ?? {});
    const filter = { passes: read.filter.passes, ranges: [{ min: device.id, max: device.id }] };
    return { kind: "rows", of, query: { ...read, filter }, context: of.name };
  }
  return json(200, {
    "@odata.context": `${base}/$metadata#Device(${device.id})/${rest}`,
    value: documentedList(state, device, rest, expandOf(query)),
  });
}

function documentedList(
  state: SiteState,
  device: Device,
  name: string,
  expand: string | null,
): readonly unknown[] {
  const isExpanded = (of: string) => {
    if (expand !== null && expand !== of) throw new Refusal(400, `Cannot expand '${expand}'.`);
    return expand === of;
  };
  switch (name) {
    case "ResourceCollectionMembership": {
      const isWhole = isExpanded("Collection");
      return state.collections.of(device).map((collection) => ({
        ...{ CollectionId: collection.id, ResourceId: device.id },
        ...(isWhole && { Collection: { CollectionID: collection.id, Name: collection.name } }),
      }));
    }
    case "AvailableApplications":
      return state.software.availableApplications(device, isExpanded("Application"));
    case "BoundaryGroups": {
      const isWhole = isExpanded("BoundaryGroup");
      return state.software.boundaryGroupsOf(device).map((group) => ({
        ...{ GroupId: group.GroupID, ResourceId: device.id },
        ...(isWhole && { BoundaryGroup: group }),
      }));
    }
    case "RecoveryKeys":
      isExpanded("");
      return recoveryKeysOf(device);
    case "Events":
      isExpanded("");
      if (state.options.hasDeviceEvents === false) throw notFound("No HTTP resource 'Events'.");
      return eventRowsOf(state, device, state.now());
    default:
      throw notFound(`No HTTP resource was found that matches '${name}'.`);
  }
}

function expandOf(query: URLSearchParams): string | null {
  const known = ["$expand", "$select"];
  const foreign = [...query.keys()].find((name) => !known.includes(name));
  if (foreign !== undefined) throw new Refusal(400, `The option '${foreign}' is not supported.`);
  return query.get("$expand");
}

/** `Device/AdminService.GetExtensionData` and `.DeleteExtensionData`: of all devices one may see. */
function allExtensionData(state: SiteState, request: RoutedRequest, rest: string): Answer {
  const { principal, method } = request;
  const devices = [...state.fleet.between(-Infinity, Infinity)].filter(
    (device) => device.change?.extensionData !== undefined && state.isVisible(principal, device),
  );
  if (rest === "AdminService.GetExtensionData" && method === "GET") {
    requireRight(principal, "read");
    return json(200, { value: devices.flatMap(extensionRows) });
  }
  if (rest !== "AdminService.DeleteExtensionData" || method !== "POST")
    throw notFound(`No HTTP resource matches '${rest}'.`);
  requireRight(principal, "delete");
  for (const { id } of devices) state.fleet.change(id, { extensionData: {} });
  return json(200, { value: true });
}

function serviceDocument({ classes }: SiteState, request: RoutedRequest): Answer {
  requireMethod(request.method, "GET");
  const value = [...classes.values()]
    .filter(({ route: of }) => of === request.route)
    .map(({ name }) => ({ name, kind: "EntitySet", url: name }));
  return json(200, { "@odata.context": `${request.base}/$metadata`, value });
}

function metadata({ classes }: SiteState, request: RoutedRequest): Answer {
  requireMethod(request.method, "GET");
  const own = [...classes.values()].filter(({ route: of }) => of === request.route);
  return { kind: "text", status: 200, type: "application/xml", text: metadataText(own) };
}

function requireMethod(method: string, expected: string): void {
  if (method === expected) return;
  throw new Refusal(405, `The requested resource does not support http method '${method}'.`);
}
