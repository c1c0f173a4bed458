import { ProtocolError } from "@isthmus/shared/errors";
import { type ODataFilter, parseFilter } from "./odata-filter.ts";
import { inOption, QueryOptionError } from "./query-option-error.ts";

/** Our own limits on one page. */
export const DEFAULT_TOP = 100;
export const MAX_TOP = 1_000;
export const MAX_ORDER_TERMS = 3;
export const MAX_SELECTED = 64;
const MAX_SKIP_TOKEN_CHARACTERS = 2_048;

const NAME = /^[A-Za-z_][A-Za-z0-9_/]{0,127}$/;
const KNOWN_OPTIONS = ["$filter", "$select", "$top", "$orderby", "$count", "$skiptoken"] as const;

export interface OrderTerm {
  readonly property: string;
  readonly isDescending: boolean;
}

/** The query options of one list request, parsed; whether the properties exist is not yet known. */
export interface ODataQuery {
  readonly filter?: ODataFilter;
  readonly select?: readonly string[];
  readonly top: number;
  readonly orderBy: readonly OrderTerm[];
  readonly isCounted: boolean;
  /** Opaque here; see `skip-token.ts`. */
  readonly skipToken?: string;
}

/**
 * Parses the query string of a list request (OData 4.01 URL conventions, section 5). Options of OData that are not spoken
 * are refused, not ignored: a dropped `$filter` of another spelling would answer with too much.
 * Throws QueryOptionError `odata-*`.
 */
export function parseODataQuery(parameters: URLSearchParams): ODataQuery {
  for (const name of new Set(parameters.keys())) {
    if (!KNOWN_OPTIONS.some((known) => known === name)) {
      throw new QueryOptionError(
        name.slice(0, 64),
        "odata-unknown-option",
        `Query option '${name.slice(0, 64)}' is none of ${KNOWN_OPTIONS.join(", ")}${name === "" ? " (in a shell's double quotes $ is written \\$)" : ""}`,
      );
    }
  }
  const filter = single(parameters, "$filter");
  const select = single(parameters, "$select");
  const skipToken = single(parameters, "$skiptoken");
  if (skipToken !== undefined && skipToken.length > MAX_SKIP_TOKEN_CHARACTERS) {
    throw new QueryOptionError("$skiptoken", "odata-skip-token", "The $skiptoken is none of ours");
  }
  return {
    ...(filter === undefined ? {} : { filter: inOption("$filter", () => parseFilter(filter)) }),
    ...(select === undefined ? {} : { select: inOption("$select", () => parseSelect(select)) }),
    top: parseTop(single(parameters, "$top")),
    orderBy: inOption("$orderby", () => parseOrderBy(single(parameters, "$orderby"))),
    isCounted: inOption("$count", () => parseCount(single(parameters, "$count"))),
    ...(skipToken === undefined ? {} : { skipToken }),
  };
}

function single(parameters: URLSearchParams, name: string): string | undefined {
  const values = parameters.getAll(name);
  if (values.length > 1) {
    const message = `Query option ${name} stands more than once`;
    throw new QueryOptionError(name, "odata-repeated-option", message);
  }
  return values[0];
}

function parseSelect(text: string): string[] {
  const names = text.split(",", MAX_SELECTED + 1).map((name) => name.trim());
  if (names.length > MAX_SELECTED) {
    throw new ProtocolError(
      "odata-too-many-terms",
      `$select names over ${MAX_SELECTED} properties`,
    );
  }
  for (const name of names) checkName(name, "$select");
  return names;
}

/** Throws QueryOptionError `odata-top`. */
export function parseTop(text: string | undefined, defaultTop = DEFAULT_TOP): number {
  if (text === undefined) return defaultTop;
  const top = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (!(top >= 1 && top <= MAX_TOP)) {
    const message = `$top must be a number from 1 to ${MAX_TOP}`;
    throw new QueryOptionError("$top", "odata-top", message);
  }
  return top;
}

function parseOrderBy(text: string | undefined): OrderTerm[] {
  if (text === undefined) return [];
  const terms = text.split(",", MAX_ORDER_TERMS + 1);
  if (terms.length > MAX_ORDER_TERMS) {
    throw new ProtocolError("odata-too-many-terms", `$orderby has over ${MAX_ORDER_TERMS} terms`);
  }
  return terms.map((term) => {
    const [property = "", direction = "asc", ...rest] = term.trim().split(/[ \t]+/);
    checkName(property, "$orderby");
    if ((direction !== "asc" && direction !== "desc") || rest.length > 0) {
      throw new ProtocolError("odata-syntax", "A term of $orderby ends with asc or desc");
    }
    return { property, isDescending: direction === "desc" };
  });
}

function parseCount(text: string | undefined): boolean {
  if (text === undefined || text === "false") return false;
  if (text === "true") return true;
  throw new ProtocolError("odata-syntax", "$count is true or false");
}

function checkName(name: string, option: string): void {
  if (!NAME.test(name)) {
    throw new ProtocolError("odata-syntax", `${option} names a property that cannot be one`);
  }
}
