import { ConnectorError } from "@isthmus/shared/errors";
import { facetName } from "@isthmus/shared/link/inventory-messages";
import { applicationStates, ERRORS_FACET, STATES_FACET } from "../../core/application-states.ts";
import { csvLine } from "../../core/csv.ts";
import { columnsOf, csvLines, type ExportedRow, inPieces } from "../../core/csv-table.ts";
import type { DeviceFacet } from "../../core/inventory-reads.ts";
import type { ComparedValue, ListQuery } from "../../core/list-query.ts";
import { recordGuid } from "../../core/record-guid.ts";
import type { ResourceName } from "../../core/resources.ts";
import { parseODataQuery } from "../../protocol/odata-query.ts";
import { inOption, QueryOptionError } from "../../protocol/query-option-error.ts";
import { conditionOf, selectionOf } from "../conditions.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { onlyOptions } from "../options.ts";
import { renderRow } from "../render-row.ts";
import { type ApiAnswer, type ApiRequest, parameter, type Route } from "../route.ts";
import { isoTime } from "../shapes.ts";
import {
  APPLICATION_STATE_COLUMNS,
  applicationStateBody,
  applicationStatesAt,
} from "./application-states.ts";
import { deviceOf, timeOf } from "./device-inventory.ts";
import { eventBody, narrowingOf } from "./device-timeline.ts";

/**
 * Whole lists in one answer, as CSV or as lines of JSON. They are read page by page while the client takes them, so that a list of any
 * length needs the memory of one page; what changes meanwhile is seen or not, row by row.
 */

/** Own limits. */
const ROWS_AT_ONCE = 500;
/** What a bridge tells of each of them may be as long as an entry. */
const DEVICES_AT_ONCE = 25;
const EVENTS_AT_ONCE = 500;
export const MAX_EXPORTS = 4;
/** Of one person, so that a slow reader does not keep all others waiting. */
export const MAX_OF_ACTOR = 2;
const MAX_AUDITED_CHARACTERS = 2_048;

const CONTENT_TYPES = {
  csv: "text/csv; charset=utf-8; header=present",
  ndjson: "application/x-ndjson",
} as const;
type Format = keyof typeof CONTENT_TYPES;

/** The rows of a page, made one by one and each time anew: few devices may have millions. */
type Rows = Iterable<ExportedRow>;

/** Rows with the columns that CSV has of them; undefined are those of the first page. */
interface Table {
  readonly columns: readonly string[] | undefined;
  readonly pages: AsyncIterable<Rows>;
}

const LISTS: readonly ResourceName[] = [
  "managedDevices",
  "comanagedDevices",
  "comanagementEligibleDevices",
];
/** Of a class, before its own columns. */
const DEVICE_COLUMNS = [
  ...["managedDeviceId", "deviceName", "configurationManagerSite", "configurationManagerKey"],
  "sinceDateTime",
];
const EVENT_COLUMNS = [
  ...["id", "eventDateTime", "recordedDateTime", "kind", "actor", "title", "details"],
];

/** Before the routes of single entities: `export` is no id. */
export function exportRoutes(api: ApiDependencies): Route[] {
  const underWay: UnderWay = { actors: [] };
  const route = (
    path: string,
    name: string,
    table: (request: ApiRequest) => Promise<Table>,
  ): Route => ({
    method: "get",
    path: `${path}/export`,
    permission: "inventory.export",
    handle: async (request) => {
      const answered = answer(request, name, await table(request), underWay);
      const filled = path.replace(/:(\w+)/g, (_all, parameterName) =>
        parameter(request, parameterName),
      );
      const query = request.query.toString().slice(0, MAX_AUDITED_CHARACTERS);
      await api.records.run("recordExport", { ...request.act, path: `${filled}/export`, query });
      return answered;
    },
  });
  return [
    ...LISTS.map((list) =>
      route(`/${list}`, list, async (request) => listTable(api, list, request)),
    ),
    route("/configurationManagerClasses/:class", "class", async (request) =>
      classTable(api, request),
    ),
    route("/managedDevices/:id/timeline", "timeline", (request) => timelineTable(api, request)),
    route("/managedDevices/:id/applicationStates", "applicationStates", (request) =>
      applicationTable(api, request),
    ),
    route("/configurationManagerApplicationStates", "applicationStates", async (request) =>
      applicationsTable(api, request),
    ),
  ];
}

function answer(request: ApiRequest, name: string, table: Table, underWay: UnderWay): ApiAnswer {
  const format = formatOf(request.query);
  return {
    status: 200,
    stream: {
      contentType: CONTENT_TYPES[format],
      headers: { "content-disposition": `attachment; filename="${name}.${format}"` },
      chunks: counted(
        underWay,
        request.act.actor,
        format === "csv" ? csvOf(table) : linesOf(table),
      ),
    },
  };
}

/** Who exports now, once for each export. */
interface UnderWay {
  readonly actors: string[];
}

/** Few at a time: each keeps the reading thread busy. Throws `too-many-exports`, retryable. */
async function* counted(
  underWay: UnderWay,
  actor: string,
  chunks: AsyncIterable<string>,
): AsyncGenerator<string> {
  const { actors } = underWay;
  const own = actors.filter((each) => each === actor).length;
  if (actors.length >= MAX_EXPORTS || own >= MAX_OF_ACTOR) {
    const message = `${actors.length} exports are under way already, ${own} of them yours`;
    throw new ConnectorError("too-many-exports", message, { isRetryable: true });
  }
  actors.push(actor);
  try {
    yield* chunks;
  } finally {
    actors.splice(actors.indexOf(actor), 1);
  }
}

async function* linesOf({ pages }: Table): AsyncGenerator<string> {
  for await (const page of pages) {
    for (const rows of inPieces(page, ROWS_AT_ONCE)) {
      yield rows.map((row) => `${JSON.stringify(row)}\n`).join("");
    }
  }
}

/** The header goes with the first rows: what cannot be read has a status of its own. */
async function* csvOf({ columns: given, pages }: Table): AsyncGenerator<string> {
  let columns = given;
  let header: string | undefined;
  for await (const page of pages) {
    columns ??= columnsOf(DEVICE_COLUMNS, page);
    if (header === undefined) {
      header = csvLine(columns);
      yield header;
    }
    for (const rows of inPieces(page, ROWS_AT_ONCE)) yield csvLines(rows, columns);
  }
  if (header === undefined) yield csvLine(columns ?? DEVICE_COLUMNS);
}

function formatOf(query: URLSearchParams): Format {
  const format = query.get("format") ?? "csv";
  if (format === "csv" || format === "ndjson") return format;
  throw new QueryOptionError("format", "odata-format", "format is csv or ndjson");
}

/** A list with its `$filter` and `$select`, in the order of ids. */
function listTable(
  { records }: ApiDependencies,
  resource: ResourceName,
  request: ApiRequest,
): Table {
  onlyOptions(request.query, ["format", "$filter", "$select"]);
  const odata = new URLSearchParams([...request.query].filter(([name]) => name !== "format"));
  const { filter, select } = parseODataQuery(odata);
  const columns = inOption("$select", () => selectionOf(resource, select));
  const query: ListQuery = {
    resource,
    order: [{ property: "id", isDescending: false }],
    top: ROWS_AT_ONCE,
    ...(filter === undefined
      ? {}
      : { condition: inOption("$filter", () => conditionOf(resource, filter)) }),
  };
  return { columns, pages: listPages() };

  async function* listPages(): AsyncGenerator<Rows> {
    let after: readonly ComparedValue[] | undefined;
    do {
      const page = { ...query, ...(after === undefined ? {} : { after }) };
      const rows = await records.page(page, columns);
      const shown = rows.slice(0, ROWS_AT_ONCE);
      yield shown.map((row) => renderRow(resource, row, columns));
      after = rows.length > ROWS_AT_ONCE ? [shown.at(-1)?.["id"] ?? null] : undefined;
    } while (after !== undefined);
  }
}

/** A class over all devices, a line for each of its rows. */
function classTable({ inventory }: ApiDependencies, request: ApiRequest): Table {
  onlyOptions(request.query, ["format", "$select"]);
  const name = facetName.safeParse(parameter(request, "class"));
  if (!name.success) throw new ConnectorError("not-found", "There is no class of that name");
  const facet = name.data;
  const select = request.query.get("$select")?.split(",");
  const columns = select && [...DEVICE_COLUMNS, ...select.map((column) => column.trim())];
  return { columns, pages: classPages() };

  async function* classPages(): AsyncGenerator<Rows> {
    let after = 0;
    for (;;) {
      const devices = await inventory.facetOfDevices({ facet, after, limit: DEVICES_AT_ONCE });
      const last = devices.at(-1);
      if (last === undefined) return;
      yield ofEach(devices, classRows);
      after = last.recordId;
    }
  }
}

/** The applications of a device, now or at a time. */
async function applicationTable(api: ApiDependencies, request: ApiRequest): Promise<Table> {
  onlyOptions(request.query, ["format", "at"]);
  const { recordId } = await deviceOf(api, request);
  const rows = await applicationStatesAt(api, recordId, timeOf(request.query, "at"));
  return { columns: APPLICATION_STATE_COLUMNS, pages: onePage() };

  async function* onePage(): AsyncGenerator<Rows> {
    yield rows;
  }
}

/** The applications of all devices that have any. */
function applicationsTable({ inventory }: ApiDependencies, request: ApiRequest): Table {
  onlyOptions(request.query, ["format"]);
  return { columns: [...DEVICE_COLUMNS, ...APPLICATION_STATE_COLUMNS], pages: statePages() };

  async function* statePages(): AsyncGenerator<Rows> {
    const limit = DEVICES_AT_ONCE;
    let after = 0;
    for (;;) {
      const devices = await inventory.facetOfDevices({ facet: STATES_FACET, after, limit });
      const last = devices.at(-1);
      if (last === undefined) return;
      // Whoever has codes has states, so no more devices than these have any.
      const failed = await inventory.facetOfDevices({ facet: ERRORS_FACET, after, limit });
      const codes = new Map(failed.map(({ recordId, text }) => [recordId, text]));
      yield ofEach(devices, (device) => statesOf(device, codes.get(device.recordId)));
      after = last.recordId;
    }
  }
}

/** Made as they are taken, of one device at a time. */
function ofEach(
  devices: readonly DeviceFacet[],
  rows: (device: DeviceFacet) => Iterable<ExportedRow>,
): Rows {
  return {
    *[Symbol.iterator]() {
      for (const device of devices) yield* rows(device);
    },
  };
}

function deviceCells(device: DeviceFacet) {
  return {
    managedDeviceId: recordGuid(device.recordId),
    deviceName: device.deviceName,
    configurationManagerSite: device.source,
    configurationManagerKey: device.key,
  };
}

function* classRows(device: DeviceFacet): Generator<ExportedRow> {
  const cells = { ...deviceCells(device), sinceDateTime: isoTime(device.at) };
  for (const row of rowsOf(device.text)) yield { ...row, ...cells };
}

function* statesOf(device: DeviceFacet, errors: string | undefined): Generator<ExportedRow> {
  const cells = deviceCells(device);
  const codes: unknown = errors === undefined ? undefined : JSON.parse(errors);
  for (const state of applicationStates(JSON.parse(device.text), codes)) {
    yield { ...cells, ...applicationStateBody(state, device.at) };
  }
}

/** Rows of a class; a list of plain values has one column. */
function rowsOf(text: string): readonly ExportedRow[] {
  const value: unknown = JSON.parse(text);
  const rows: readonly unknown[] = Array.isArray(value) ? value : [value];
  return rows.map((row) =>
    typeof row === "object" && row !== null ? (row as ExportedRow) : { value: row },
  );
}

/** The timeline of a device with its `$search` and `$filter`, the last thing that was learnt first. */
async function timelineTable(api: ApiDependencies, request: ApiRequest): Promise<Table> {
  onlyOptions(request.query, ["format", "$search", "$filter"]);
  const narrowing = narrowingOf(request.query);
  const { recordId } = await deviceOf(api, request);
  return { columns: EVENT_COLUMNS, pages: timelinePages() };

  async function* timelinePages(): AsyncGenerator<Rows> {
    let before: number | undefined;
    do {
      const after = before === undefined ? {} : { before };
      const query = { ...narrowing, ...after, recordId, limit: EVENTS_AT_ONCE };
      const page = await api.inventory.timeline(query);
      yield page.events.map(eventBody);
      before = page.before;
    } while (before !== undefined);
  }
}
