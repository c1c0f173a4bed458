import { ProtocolError } from "@isthmus/shared/errors";
import { checkedName, guidText, quoted } from "./path.ts";

/** Query options as AdminService is seen to understand them: `eq gt ge lt le`, `startswith`, `endswith`; nothing else. */

/** Own limit: http.sys refuses a request line and headers over 16,384 bytes together. */
const MAX_QUERY_CHARACTERS = 8_192;
/** Own limit on `$top`. */
const MAX_TOP = 100_000;

export type Operator = "eq" | "gt" | "ge" | "lt" | "le";

/** A literal with its OData type; `at` is ms since the epoch. */
export type Value =
  | string
  | number
  | boolean
  | null
  | { readonly at: number }
  | { readonly guid: string };

export type Filter =
  | {
      readonly kind: "comparison";
      readonly property: string;
      readonly operator: Operator;
      readonly value: Value;
    }
  | {
      readonly kind: "startswith" | "endswith";
      readonly property: string;
      readonly text: string;
    }
  | { readonly kind: "and" | "or"; readonly parts: readonly Filter[] };

export interface Query {
  readonly filter?: Filter;
  readonly select?: readonly string[];
  readonly orderBy?: { readonly property: string; readonly isDescending?: boolean };
  readonly top?: number;
  /** Only where the probe has seen that the service understands it. */
  readonly skip?: number;
}

export function compare(property: string, operator: Operator, value: Value): Filter {
  return { kind: "comparison", property, operator, value };
}

/** `?$filter=...&$top=...`, or nothing. Throws ProtocolError `admin-service-query`, `admin-service-name`, `admin-service-key`. */
export function queryText(query: Query): string {
  const { filter, select, orderBy, top, skip } = query;
  const options = [
    filter && ["$filter", filterText(filter)],
    select && ["$select", select.map(checkedName).join(",")],
    orderBy && ["$orderby", orderText(orderBy)],
    top !== undefined && ["$top", countText(top, MAX_TOP)],
    skip !== undefined && ["$skip", countText(skip, Number.MAX_SAFE_INTEGER)],
  ].filter((option) => option !== undefined && option !== false);
  if (options.length === 0) return "";
  const text = `?${options.map(([name, value]) => `${name}=${encodeURIComponent(value ?? "")}`).join("&")}`;
  if (text.length <= MAX_QUERY_CHARACTERS) return text;
  throw badQuery(`the query has ${text.length} characters, at most ${MAX_QUERY_CHARACTERS}`);
}

/** The filter alone, not yet encoded for a URL. */
export function filterText(filter: Filter): string {
  switch (filter.kind) {
    case "comparison":
      return `${checkedName(filter.property)} ${filter.operator} ${valueText(filter.value)}`;
    case "startswith":
    case "endswith":
      return `${filter.kind}(${checkedName(filter.property)},${quoted(filter.text)})`;
    case "and":
    case "or":
      return joined(filter);
  }
}

function joined({ kind, parts }: Extract<Filter, { readonly kind: "and" | "or" }>): string {
  if (parts.length === 0) throw badQuery(`"${kind}" of nothing is no filter`);
  const texts = parts.map((part) => {
    const isMixed = (part.kind === "and" || part.kind === "or") && part.kind !== kind;
    return isMixed ? `(${filterText(part)})` : filterText(part);
  });
  return texts.join(` ${kind} `);
}

function valueText(value: Value): string {
  if (typeof value === "string") return quoted(value);
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "object") {
    return "guid" in value ? guidText(value.guid) : instantText(value.at);
  }
  if (Number.isSafeInteger(value)) return String(value);
  throw badQuery(`${value} is no whole number`);
}

/** 9999-12-31T23:59:59.999Z, the last that Edm.DateTimeOffset has. */
const LATEST = 253_402_300_799_999;

function instantText(at: number): string {
  // biome-ignore lint/style/noRestrictedGlobals: writes the time it is given, reads no clock
  if (Number.isSafeInteger(at) && at >= 0 && at <= LATEST) return new Date(at).toISOString();
  throw badQuery(`${at} is no time in ms since 1970`);
}

function orderText({ property, isDescending }: NonNullable<Query["orderBy"]>): string {
  return `${checkedName(property)} ${isDescending ? "desc" : "asc"}`;
}

function countText(count: number, max: number): string {
  if (Number.isSafeInteger(count) && count >= 0 && count <= max) return String(count);
  throw badQuery(`a count of rows is 0 to ${max}, not ${count}`);
}

function badQuery(message: string): ProtocolError {
  return new ProtocolError("admin-service-query", message);
}
