import { ProtocolError } from "@isthmus/shared/errors";
import { TIMELINE_KINDS, type TimelineEvent, type TimelineKind } from "../../core/timeline.ts";
import { type ODataFilter, parseFilter } from "../../protocol/odata-filter.ts";
import { inOption, QueryOptionError } from "../../protocol/query-option-error.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { nextPage, placeOf } from "../number-paging.ts";
import { onlyOptions, topOf } from "../options.ts";
import { type ApiRequest, parameter, type Route } from "../route.ts";
import { isoTime } from "../shapes.ts";
import { deviceOf } from "./device-inventory.ts";

/** `managedDevices/{id}/timeline`: what happened to a device, the last thing that was learnt first. */

const DEFAULT_TOP = 100;
const MAX_SEARCH_CHARACTERS = 256;

export function deviceTimelineRoutes(api: ApiDependencies): Route[] {
  return [
    {
      method: "get",
      path: "/managedDevices/:id/timeline",
      permission: "inventory.read",
      handle: async (request) => ({ status: 200, body: await timeline(api, request) }),
    },
  ];
}

async function timeline(api: ApiDependencies, request: ApiRequest) {
  const { query } = request;
  onlyOptions(query, ["$top", "$search", "$filter", "$skiptoken"]);
  const narrowing = narrowingOf(query);
  const { recordId } = await deviceOf(api, request);
  const identity = JSON.stringify(["timeline", recordId, narrowing]);
  const paging = { ...api.listing, identity };
  const before = placeOf(paging, query);
  const page = await api.inventory.timeline({
    ...narrowing,
    recordId,
    limit: topOf(query, DEFAULT_TOP),
    ...(before === undefined ? {} : { before }),
  });
  const path = `managedDevices/${encodeURIComponent(parameter(request, "id"))}/timeline`;
  return { ...nextPage(paging, path, query, page.before), value: page.events.map(eventBody) };
}

export function eventBody(event: TimelineEvent) {
  return {
    id: String(event.id),
    eventDateTime: isoTime(event.at),
    recordedDateTime: isoTime(event.recordedAt),
    kind: event.kind,
    actor: event.actor ?? null,
    title: event.title,
    details: event.detail ?? null,
  };
}

export interface TimelineNarrowing {
  readonly kinds?: readonly TimelineKind[];
  readonly search?: string;
  readonly from?: number;
  readonly until?: number;
}

/** From `$search` and `$filter`; throws ProtocolError `odata-*`. */
export function narrowingOf(query: URLSearchParams): TimelineNarrowing {
  const search = query.get("$search")?.replace(/^"(.*)"$/, "$1");
  if (search !== undefined && search.length > MAX_SEARCH_CHARACTERS) {
    const message = `$search has over ${MAX_SEARCH_CHARACTERS} characters`;
    throw new QueryOptionError("$search", "odata-too-long", message);
  }
  const filter = query.get("$filter");
  const narrowing = filter === null ? {} : inOption("$filter", () => narrowingBy(filter));
  return search === undefined || search === "" ? narrowing : { ...narrowing, search };
}

function narrowingBy(filter: string): TimelineNarrowing {
  let narrowing: TimelineNarrowing = {};
  for (const term of conjunction(parseFilter(filter))) {
    narrowing = { ...narrowing, ...narrowed(narrowing, term) };
  }
  return narrowing;
}

function conjunction(filter: ODataFilter): readonly ODataFilter[] {
  return filter.kind === "and" ? filter.operands.flatMap(conjunction) : [filter];
}

/** One time or some kinds; several terms about the same narrow each other. */
function narrowed(present: TimelineNarrowing, term: ODataFilter): TimelineNarrowing {
  if (
    term.kind === "compare" &&
    term.property === "eventDateTime" &&
    term.literal.type === "time"
  ) {
    const time = term.literal.value;
    if (term.operator === "ge") return { from: Math.max(present.from ?? 0, time) };
    if (term.operator === "gt") return { from: Math.max(present.from ?? 0, time + 1) };
    const until = present.until ?? Number.MAX_SAFE_INTEGER;
    if (term.operator === "lt") return { until: Math.min(until, time) };
    if (term.operator === "le") return { until: Math.min(until, time + 1) };
  }
  const kinds = term.kind === "or" ? term.operands.map(kindOf) : [kindOf(term)];
  const known = present.kinds;
  return { kinds: known === undefined ? kinds : kinds.filter((kind) => known.includes(kind)) };
}

function kindOf(term: ODataFilter): TimelineKind {
  const isKind =
    term.kind === "compare" && term.property === "kind" && term.operator === "eq" && term.literal;
  const kind = TIMELINE_KINDS.find((known) => isKind && known === isKind.value);
  if (kind !== undefined) return kind;
  const place = "at" in term ? ` (not so at character ${term.at} of $filter)` : "";
  throw new ProtocolError(
    "odata-property-type",
    `A timeline is filtered by eventDateTime (ge, gt, le, lt) and by kind eq, joined by and; kinds are ${TIMELINE_KINDS.join(", ")}${place}`,
  );
}
