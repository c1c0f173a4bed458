/**
 * What the language has, from "CMPivot overview" and "Changes to CMPivot" of the Configuration Manager documentation.
 * Whatever is not here is refused: the site would, or it would mean something nobody has described.
 */

/** Table operators. `render` draws charts in the console and is no part of what a service may ask for. */
export const TABLE_OPERATORS = [
  "count",
  "distinct",
  "join",
  "order by",
  "project",
  "summarize",
  "take",
  "top",
  "where",
] as const;

/** The documentation refers to the kinds of Kusto's join operator, and shows the default and `leftouter`. */
export const JOIN_KINDS = [
  "innerunique",
  "inner",
  "leftouter",
  "rightouter",
  "fullouter",
  "leftanti",
  "rightanti",
  "leftsemi",
  "rightsemi",
] as const;
export type JoinKind = (typeof JOIN_KINDS)[number];

export const STRING_OPERATORS = [
  "like",
  "!like",
  "contains",
  "!contains",
  "startswith",
  "!startswith",
  "endswith",
  "!endswith",
] as const;
export const COMPARISONS = ["==", "!=", "<", ">", "<=", ">="] as const;
export const SUMS = ["+", "-"] as const;
export const PRODUCTS = ["*", "/", "%"] as const;

export type BinaryOperator =
  | "and"
  | "or"
  | (typeof COMPARISONS)[number]
  | (typeof STRING_OPERATORS)[number]
  | (typeof SUMS)[number]
  | (typeof PRODUCTS)[number];

/** What a value is as far as the text tells; a column may be anything. */
export type ValueType = "any" | "bool" | "number" | "string" | "datetime" | "timespan";

export interface FunctionSignature {
  readonly minArguments: number;
  readonly maxArguments: number;
  readonly result: ValueType;
  /** Types of the arguments from the first on; those without one may be anything. */
  readonly takes?: readonly ValueType[];
}

function signature(
  counts: number | readonly [number, number],
  result: ValueType,
  takes: readonly ValueType[] = [],
): FunctionSignature {
  const [minArguments, maxArguments] = typeof counts === "number" ? [counts, counts] : counts;
  return { minArguments, maxArguments, result, takes };
}

export const SCALAR_FUNCTIONS: ReadonlyMap<string, FunctionSignature> = new Map([
  ["ago", signature(1, "datetime", ["timespan"])],
  ["bin", signature(2, "any")],
  ["case", signature([3, 63], "any")],
  ["datetime_add", signature(3, "datetime", ["string", "number", "datetime"])],
  ["datetime_diff", signature(3, "number", ["string", "datetime", "datetime"])],
  ["iif", signature(3, "any", ["bool"])],
  ["indexof", signature([2, 5], "number")],
  ["isnotnull", signature(1, "bool")],
  ["isnull", signature(1, "bool")],
  ["now", signature([0, 1], "datetime", ["timespan"])],
  ["strcat", signature([1, 64], "string")],
  ["strlen", signature(1, "number")],
  ["substring", signature([2, 3], "string", ["any", "number", "number"])],
  ["tostring", signature(1, "string")],
]);

export const AGGREGATES: ReadonlyMap<string, FunctionSignature> = new Map([
  ["avg", signature(1, "any")],
  ["count", signature(0, "number")],
  ["countif", signature(1, "number", ["bool"])],
  ["dcount", signature(1, "number")],
  ["max", signature(1, "any")],
  ["maxif", signature(2, "any", ["any", "bool"])],
  ["min", signature(1, "any")],
  ["minif", signature(2, "any", ["any", "bool"])],
  ["percentile", signature(2, "any", ["any", "number"])],
  ["sum", signature(1, "any")],
  ["sumif", signature(2, "any", ["any", "bool"])],
]);

/** Other names of a function; the canonical text has the one of the overview. */
export const FUNCTION_ALIASES: ReadonlyMap<string, string> = new Map([["iff", "iif"]]);

/** The first argument of `datetime_add` and `datetime_diff`. */
export const DATE_PARTS: readonly string[] = [
  "year",
  "quarter",
  "month",
  "week",
  "day",
  "hour",
  "minute",
  "second",
  "millisecond",
];

/** Units of a timespan literal, as in `1h`, in milliseconds. */
export const TIMESPAN_UNITS: ReadonlyMap<string, number> = new Map([
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
  ["ms", 1],
]);

/** What people who know Kusto will try, and what to write in its place. */
export const ELSEWHERE: ReadonlyMap<string, string> = new Map([
  ["=~", "write ==, which ignores case here"],
  ["!~", "write !=, which ignores case here"],
  ["<>", "write !="],
  [";", "a query is one statement"],
  ["in", "write one == for each value, with or between them"],
  ["!in", "write one != for each value, with and between them"],
  ["in~", "write one == for each value, with or between them"],
  ["between", "write two comparisons with and between them"],
  ["has", "write contains"],
  ["!has", "write !contains"],
  ["hasprefix", "write startswith"],
  ["hassuffix", "write endswith"],
  ["contains_cs", "there is no comparison that heeds case; write contains"],
  ["startswith_cs", "there is no comparison that heeds case; write startswith"],
  ["endswith_cs", "there is no comparison that heeds case; write endswith"],
  ["matches", "there are no regular expressions; write like with % and _"],
  ["sort", "write order by"],
  ["limit", "write take"],
  ["filter", "write where"],
  ["extend", "write project with all columns that are wanted"],
  ["let", "a query is one statement without variables"],
  ["union", "ask one query for each entity"],
  ["search", "name the entity, and write where with contains"],
  ["nulls", "rows are ordered by asc or desc alone"],
  ["on", "a join is always on the Device column, so leave it out"],
]);
