import { ConnectorError } from "@isthmus/shared/errors";
import { facetName } from "@isthmus/shared/link/inventory-messages";
import type { DeviceRecord } from "../../core/inventory-reads.ts";
import type { FacetValue } from "../../core/inventory-views.ts";
import { recordGuid } from "../../core/record-guid.ts";
import { updateStatus } from "../../core/update-states.ts";
import { QueryOptionError } from "../../protocol/query-option-error.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { equals, listPage, readEntity } from "../listing.ts";
import { nextPage, placeOf } from "../number-paging.ts";
import { onlyOptions, topOf } from "../options.ts";
import { entityIdOf, findDevice } from "../record-ids.ts";
import { type ApiRequest, parameter, type Route } from "../route.ts";
import { isoTime } from "../shapes.ts";
import { applicationStatesAt } from "./application-states.ts";

/** What a source tells of one device: its classes now and at any time, how they differ, its collections and updates. */

/** Own limits. */
const MAX_DIFFERENCES = 2_000;
const DEFAULT_STATES = 100;

const DEVICE = "/managedDevices/:id";
const EXPLORER = `${DEVICE}/resourceExplorer`;

export function deviceInventoryRoutes(api: ApiDependencies): Route[] {
  const route = (
    path: string,
    body: (api: ApiDependencies, request: ApiRequest) => Promise<unknown>,
  ): Route => ({
    method: "get",
    path,
    permission: "inventory.read",
    handle: async (request) => ({ status: 200, body: await body(api, request) }),
  });
  return [
    route(EXPLORER, classes),
    route(`${EXPLORER}/compare`, comparison),
    route(`${EXPLORER}/:class`, classRows),
    route(`${EXPLORER}/:class/history`, classHistory),
    route(`${DEVICE}/configurationManagerCollections`, collectionsOfDevice),
    route(`${DEVICE}/configurationManagerBoundaryGroups`, boundaryGroupsOfDevice),
    route(`${DEVICE}/softwareUpdateStates`, updateStates),
    route(`${DEVICE}/applicationStates`, deviceApplicationStates),
    route(`${DEVICE}/directoryRecords`, directoryRecords),
    route("/configurationManagerCollections/:id/members", membersOfCollection),
    route("/configurationManagerGroups/:id/members", membersOfGroup),
    route("/configurationManagerSites/:id/events", eventsOfSite),
    route("/configurationManagerSites/:id/waitingDeletions", waitingDeletionsOfSite),
    route("/configurationManagerApplications/:id/deployments", deploymentsOfApplication),
  ];
}

/** Before the routes of single entities, which know no exports: a device by whichever id it has. */
export function deviceEntityRoute(api: ApiDependencies): Route {
  return {
    method: "get",
    path: DEVICE,
    permission: "devices.read",
    handle: async (request) => {
      const id = await entityIdOf(api, "managedDevices", parameter(request, "id"));
      const body = await readEntity(api.listing, "managedDevices", id, request.query);
      return { status: 200, body };
    },
  };
}

/** The device that the path names. Throws `not-found`, `id-ambiguous`. */
export async function deviceOf(api: ApiDependencies, request: ApiRequest): Promise<DeviceRecord> {
  const id = parameter(request, "id");
  const device = await findDevice(api, id);
  if (device !== undefined) return device;
  throw new ConnectorError("not-found", `No source tells of a device ${id.slice(0, 200)}`);
}

async function classes(api: ApiDependencies, request: ApiRequest) {
  onlyOptions(request.query, ["at"]);
  const { recordId } = await deviceOf(api, request);
  const states = await api.inventory.facetsAt(recordId, timeOf(request.query, "at"));
  return {
    value: states.map((state) => ({ ...stateBody(state), rowCount: rowsOf(state).length })),
  };
}

async function classRows(api: ApiDependencies, request: ApiRequest) {
  onlyOptions(request.query, ["at"]);
  const facet = facetOf(request);
  const { recordId } = await deviceOf(api, request);
  const states = await api.inventory.facetsAt(recordId, timeOf(request.query, "at"));
  const state = states.find((each) => each.facet === facet);
  if (state === undefined) {
    throw new ConnectorError("not-found", `The device has no ${facet}, or had none at that time`);
  }
  return { ...stateBody(state), value: rowsOf(state) };
}

/** When the class was what: each state can be read by its beginning, `?at=`. */
async function classHistory(api: ApiDependencies, request: ApiRequest) {
  onlyOptions(request.query, ["$top", "$skiptoken"]);
  const facet = facetOf(request);
  const { recordId } = await deviceOf(api, request);
  const top = topOf(request.query, DEFAULT_STATES);
  const paging = { ...api.listing, identity: JSON.stringify(["history", recordId, facet]) };
  const place = placeOf(paging, request.query);
  const after = place === undefined ? {} : { before: place };
  const page = await api.inventory.facetHistory({ recordId, facet, limit: top, ...after });
  const id = encodeURIComponent(parameter(request, "id"));
  const path = `managedDevices/${id}/resourceExplorer/${facet}/history`;
  return {
    ...nextPage(paging, path, request.query, page.before),
    value: page.values.map((state) => ({ ...stateBody(state), revision: state.revision })),
  };
}

/** How the whole record differs between two times; to now where `to` is left out. */
async function comparison(api: ApiDependencies, request: ApiRequest) {
  onlyOptions(request.query, ["from", "to", "volatile"]);
  const from = timeOf(request.query, "from");
  if (from === undefined) {
    throw new QueryOptionError("from", "odata-time", "from is needed: a time to compare with");
  }
  const to = timeOf(request.query, "to") ?? request.act.now;
  const withVolatile = request.query.get("volatile") === "true";
  const { recordId } = await deviceOf(api, request);
  const limit = MAX_DIFFERENCES;
  const found = await api.inventory.differences({ recordId, from, to, limit, withVolatile });
  return {
    fromDateTime: isoTime(from),
    toDateTime: isoTime(to),
    isTruncated: found.isCut,
    value: found.fields.map(({ facet, path, before, after }) => ({
      class: facet,
      path,
      before: before ?? null,
      after: after ?? null,
    })),
  };
}

async function collectionsOfDevice(api: ApiDependencies, request: ApiRequest) {
  const { recordId } = await deviceOf(api, request);
  const resource = "configurationManagerMemberships";
  const path = `managedDevices/${encodeURIComponent(parameter(request, "id"))}/configurationManagerCollections`;
  const narrowing = equals(resource, "deviceRecordId", recordGuid(recordId));
  return await listPage(api.listing, resource, request.query, path, narrowing);
}

/** As its site lists them, by name; the id is that of the group in the list of all. */
async function boundaryGroupsOfDevice(api: ApiDependencies, request: ApiRequest) {
  onlyOptions(request.query, []);
  const { recordId } = await deviceOf(api, request);
  const { source, groups, isCut } = await api.inventory.boundaryGroupsOf(recordId);
  return {
    isTruncated: isCut,
    value: groups.map((group) => ({
      id: group.recordId === null ? null : recordGuid(group.recordId),
      displayName: group.name,
      configurationManagerSite: source,
      key: group.key,
    })),
  };
}

/** The computer account of a device, with what its domain says of it. */
async function directoryRecords(api: ApiDependencies, request: ApiRequest) {
  onlyOptions(request.query, []);
  const { recordId } = await deviceOf(api, request);
  const joined = await api.inventory.joinedBySid(recordId);
  const value = joined.map(async (record) => {
    const facets = await api.inventory.facetsAt(record.id, undefined);
    return {
      id: recordGuid(record.id),
      displayName: record.name ?? null,
      configurationManagerSite: record.source,
      key: record.key,
      facets: Object.fromEntries(facets.map((state) => [state.facet, state.value])),
    };
  });
  return { value: await Promise.all(value) };
}

/** Graph has no such list; states are those of SMS_UpdateComplianceStatus, each with the number that the site has for it. */
async function updateStates(api: ApiDependencies, request: ApiRequest) {
  onlyOptions(request.query, []);
  const { recordId } = await deviceOf(api, request);
  const states = await api.inventory.updateStates(recordId);
  return {
    value: states.map((each) => {
      const { state, words, compliance, enforcementWords } = updateStatus(
        each.status,
        each.enforcement,
      );
      return {
        softwareUpdateId: each.recordId === null ? null : recordGuid(each.recordId),
        key: each.key,
        displayName: each.displayName,
        articleId: each.articleId,
        state,
        stateDescription: words,
        status: each.status,
        complianceState: compliance,
        enforcementState: each.enforcement,
        enforcementStateDescription: enforcementWords ?? null,
      };
    }),
  };
}

/** Now, or at a time. */
async function deviceApplicationStates(api: ApiDependencies, request: ApiRequest) {
  onlyOptions(request.query, ["at"]);
  const { recordId } = await deviceOf(api, request);
  return { value: await applicationStatesAt(api, recordId, timeOf(request.query, "at")) };
}

async function membersOfCollection(api: ApiDependencies, request: ApiRequest) {
  const { listing } = api;
  const id = await entityIdOf(api, "configurationManagerCollections", parameter(request, "id"));
  await readEntity(listing, "configurationManagerCollections", id);
  const resource = "configurationManagerMembers";
  const path = `configurationManagerCollections/${id}/members`;
  const narrowing = equals(resource, "collectionRecordId", id);
  return await listPage(listing, resource, request.query, path, narrowing);
}

async function membersOfGroup(api: ApiDependencies, request: ApiRequest) {
  const { listing } = api;
  const id = await entityIdOf(api, "configurationManagerGroups", parameter(request, "id"));
  await readEntity(listing, "configurationManagerGroups", id);
  const resource = "configurationManagerGroupMembers";
  const path = `configurationManagerGroups/${id}/members`;
  return await listPage(
    listing,
    resource,
    request.query,
    path,
    equals(resource, "groupRecordId", id),
  );
}

async function eventsOfSite({ listing }: ApiDependencies, request: ApiRequest) {
  const id = parameter(request, "id");
  await readEntity(listing, "configurationManagerSites", id);
  const resource = "configurationManagerSiteEvents";
  const path = `configurationManagerSites/${id}/events`;
  const narrowing = equals(resource, "configurationManagerSite", id);
  return await listPage(listing, resource, request.query, path, narrowing);
}

/** Too many deletions at once wait for somebody who says at the bridge that they are true: what they are called is known here alone. */
async function waitingDeletionsOfSite(
  { listing, inventory }: ApiDependencies,
  request: ApiRequest,
) {
  onlyOptions(request.query, []);
  const id = parameter(request, "id");
  await readEntity(listing, "configurationManagerSites", id);
  const kinds = await inventory.waitingDeletions(id);
  return {
    value: kinds.map((each) => ({
      kind: each.kind,
      waitingCount: each.waiting,
      recordCount: each.of,
      sinceDateTime: isoTime(each.since),
      reportedDateTime: isoTime(each.toldAt),
      approvedDateTime: isoTime(each.approvedAt ?? null),
      records: each.first.map(({ key, recordId, name }) => ({
        id: recordId === null ? null : recordGuid(recordId),
        key,
        displayName: name,
      })),
    })),
  };
}

/** SMS_DeploymentInfo names its target by the name alone. */
async function deploymentsOfApplication(api: ApiDependencies, request: ApiRequest) {
  const { listing } = api;
  const id = await entityIdOf(api, "configurationManagerApplications", parameter(request, "id"));
  const application = await readEntity(listing, "configurationManagerApplications", id);
  const resource = "configurationManagerDeployments";
  const path = `configurationManagerApplications/${id}/deployments`;
  const site = String(application["configurationManagerSite"]);
  return await listPage(listing, resource, request.query, path, {
    kind: "and",
    operands: [
      equals(resource, "targetName", String(application["displayName"])),
      equals(resource, "configurationManagerSite", site),
    ],
  });
}

function facetOf(request: ApiRequest): string {
  const name = facetName.safeParse(parameter(request, "class"));
  if (name.success) return name.data;
  throw new ConnectorError("not-found", "There is no class of that name");
}

function stateBody({ facet, at, until }: FacetValue) {
  return { id: facet, sinceDateTime: isoTime(at), untilDateTime: isoTime(until ?? null) };
}

/** Rows of a class; what is one object is one row. */
function rowsOf({ value }: FacetValue): readonly unknown[] {
  return Array.isArray(value) ? value : [value];
}

/** A time of the query in ms; it may be a date alone. Throws `odata-time`. */
export function timeOf(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  const isTime = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?$/.test(text);
  const time = isTime ? Date.parse(text) : Number.NaN;
  if (Number.isFinite(time) && time >= 0) return time;
  throw new QueryOptionError(name, "odata-time", `${name} is no time such as 2026-01-31T12:00:00Z`);
}
