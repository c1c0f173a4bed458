import { ConnectorError } from "@isthmus/shared/errors";
import type { ComparedValue, Condition, ListedRow, ListQuery, Order } from "../core/list-query.ts";
import type { Records } from "../core/ports.ts";
import { propertiesOf, type ResourceName } from "../core/resources.ts";
import { type ODataQuery, parseODataQuery } from "../protocol/odata-query.ts";
import { inOption, QueryOptionError } from "../protocol/query-option-error.ts";
import { readSkipToken, writeSkipToken } from "../protocol/skip-token.ts";
import { conditionOf, orderOf, selectionOf, storedValue } from "./conditions.ts";
import { renderRow } from "./render-row.ts";

/** What listing needs, the same for every resource. */
export interface Listing {
  readonly records: Records;
  /** Signs `$skiptoken`. */
  readonly skipTokenKey: Uint8Array;
  /** `https://host:port` as clients reach it. */
  readonly publicUrl: string;
}

/** Where all that the API has stands. */
export const BASE_PATH = "/beta/deviceManagement";

/** Answers one page as OData does: `value`, and where asked for or needed `@odata.count` and `@odata.nextLink`. */
export async function listPage(
  { records, skipTokenKey, publicUrl }: Listing,
  resource: ResourceName,
  parameters: URLSearchParams,
  /** Where the collection stands: the resource's own path, or below another entity. */
  path: string = resource,
  narrowing?: Condition,
): Promise<Readonly<Record<string, unknown>>> {
  const odata = parseODataQuery(parameters);
  const order = inOption("$orderby", () => orderOf(resource, odata.orderBy));
  const condition = bothOf(narrowing, filterOf(resource, odata));
  const identity = JSON.stringify([resource, condition ?? null, order]);
  const { skipToken } = odata;
  const after =
    skipToken === undefined
      ? undefined
      : inOption("$skiptoken", () => readSkipToken(skipTokenKey, identity, skipToken));
  const query: ListQuery = {
    resource,
    order,
    top: odata.top,
    ...(condition === undefined ? {} : { condition }),
    ...(after === undefined ? {} : { after: checkedAfter(order, after) }),
  };
  const selection = inOption("$select", () => selectionOf(resource, odata.select));
  const [rows, count] = await Promise.all([
    records.page(query, selection),
    odata.isCounted ? records.count(query) : undefined,
  ]);
  const shown = rows.slice(0, odata.top);
  const last = rows.length > odata.top ? shown.at(-1) : undefined;
  return {
    "@odata.context": contextOf(publicUrl, resource, odata),
    ...(count === undefined ? {} : { "@odata.count": count }),
    ...(last === undefined
      ? {}
      : {
          "@odata.nextLink": nextLink(
            `${publicUrl}${BASE_PATH}/${path}`,
            parameters,
            writeSkipToken(skipTokenKey, identity, sortValues(order, last)),
          ),
        }),
    value: shown.map((row) => renderRow(resource, row, selection)),
  };
}

/** One entity by its id, or a throw of `not-found`. */
export async function readEntity(
  { records, publicUrl }: Listing,
  resource: ResourceName,
  id: string,
  parameters: URLSearchParams = new URLSearchParams(),
): Promise<Readonly<Record<string, unknown>>> {
  const { select } = parseODataQuery(parameters);
  const selection = inOption("$select", () => selectionOf(resource, select));
  const condition = equals(resource, "id", id);
  const order = [{ property: "id", isDescending: false }];
  const [row] = await records.page({ resource, condition, order, top: 1 }, selection);
  if (row === undefined) throw notFound(id, resource);
  return {
    "@odata.context": `${publicUrl}/beta/$metadata#deviceManagement/${resource}/$entity`,
    ...renderRow(resource, row, selection),
  };
}

export function notFound(id: string, resource: ResourceName): ConnectorError {
  return new ConnectorError("not-found", `There is no entity ${id.slice(0, 200)} in ${resource}`);
}

/** That a property has this value, as it stands in the API. */
export function equals(resource: ResourceName, property: string, value: string): Condition {
  const stored = storedValue(propertiesOf(resource)[property], value);
  return { kind: "compare", property, operator: "eq", value: stored };
}

function filterOf(resource: ResourceName, { filter }: ODataQuery): Condition | undefined {
  return filter && inOption("$filter", () => conditionOf(resource, filter));
}

function bothOf(left: Condition | undefined, right: Condition | undefined): Condition | undefined {
  if (left === undefined || right === undefined) return left ?? right;
  return { kind: "and", operands: [left, right] };
}

function checkedAfter(order: readonly Order[], after: readonly ComparedValue[]): ComparedValue[] {
  if (after.length === order.length) return [...after];
  throw new QueryOptionError("$skiptoken", "odata-skip-token", "The $skiptoken is none of ours");
}

function sortValues(order: readonly Order[], row: ListedRow): ComparedValue[] {
  return order.map(({ property }) => row[property] ?? null);
}

function contextOf(publicUrl: string, resource: ResourceName, { select }: ODataQuery): string {
  const selected = select === undefined ? "" : `(${select.join(",")})`;
  return `${publicUrl}/beta/$metadata#deviceManagement/${resource}${selected}`;
}

/** The address of the next page, with the options of this one. */
export function nextLink(address: string, parameters: URLSearchParams, skipToken: string): string {
  const kept = [...parameters].filter(([name]) => name !== "$skiptoken" && name !== "$count");
  const options = [...kept, ["$skiptoken", skipToken]].map(
    ([name = "", value = ""]) => `${name}=${encodeURIComponent(value)}`,
  );
  return `${address}?${options.join("&")}`;
}
