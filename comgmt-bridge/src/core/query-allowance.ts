import type { EntityRead, QueryReads } from "@isthmus/shared/cmpivot/reads";
import { RefusalError } from "@isthmus/shared/errors";
import { allowsArgument } from "./argument-pattern.ts";

/**
 * Which CMPivot queries somebody on premises allows. A query is judged by all it reads, in joined and nested tables too;
 * what no rule names is refused.
 */
export interface QueryAllowance {
  readonly entities: readonly EntityRule[];
  /** Scalar functions and aggregates; all of the language where undefined. */
  readonly functions: readonly string[] | undefined;
  readonly limits: QueryLimits;
}

export interface EntityRule {
  /** An entity in any case, or `*` for every documented entity that takes no argument. */
  readonly entity: string;
  /** For an entity that takes an argument: patterns of which one has to allow it. Without any, no argument is allowed. */
  readonly arguments: readonly string[];
}

/** All at most the language's own. */
export interface QueryLimits {
  readonly maxCharacters: number;
  readonly maxJoins: number;
  readonly maxNesting: number;
  /** How far back a log may be read. */
  readonly maxWindowHours: number;
}

const HOUR_MS = 3_600_000;
const RULE = "guardrails.comgmt-bridge.queries";

/**
 * Lets a query pass or says why not.
 *
 * @throws RefusalError `query-limit-exceeded`, `query-entity-refused`, `query-argument-refused`,
 * `query-function-refused`, each with the key of the guardrails that decided.
 */
export function judgeQuery(query: QueryReads, allowance: QueryAllowance): void {
  judgeLimits(query, allowance.limits);
  for (const read of query.entities) judgeEntity(read, allowance);
  const { functions } = allowance;
  const refused = query.functions.find(
    (name) => functions !== undefined && !functions.includes(name),
  );
  if (refused !== undefined) {
    throw refusal("query-function-refused", "functions", `the function ${refused}() is not listed`);
  }
}

function judgeLimits(query: QueryReads, limits: QueryLimits): void {
  const measured = [
    ["maxCharacters", query.text.length, limits.maxCharacters, "characters"],
    ["maxJoins", query.joins, limits.maxJoins, "joins"],
    ["maxNesting", query.nesting, limits.maxNesting, "levels of parentheses"],
  ] as const;
  for (const [key, got, max, unit] of measured) {
    if (got <= max) continue;
    throw refusal("query-limit-exceeded", `limits.${key}`, `${got} ${unit} exceed ${max}`);
  }
}

function judgeEntity(read: EntityRead, { entities, limits }: QueryAllowance): void {
  const rules = entities.filter((rule) => isAbout(rule, read));
  if (rules.length === 0) {
    const hint = read.suggestion === undefined ? "" : `; did you mean ${read.suggestion}?`;
    const kind = read.isDocumented ? "" : ", which the documentation does not have,";
    const message = `the entity ${read.entity}${kind} is not listed${hint}`;
    throw refusal("query-entity-refused", "entities", message);
  }
  judgeArgument(read, rules);
  const hours = (read.windowMs ?? 0) / HOUR_MS;
  if (hours > limits.maxWindowHours) {
    const message = `${read.text} goes back ${hours} hours, at most ${limits.maxWindowHours} are allowed`;
    throw refusal("query-limit-exceeded", "limits.maxWindowHours", message);
  }
}

function judgeArgument({ argument, text }: EntityRead, rules: readonly EntityRule[]): void {
  if (argument === undefined) return;
  const patterns = rules.flatMap((rule) => rule.arguments);
  if (patterns.some((pattern) => allowsArgument(pattern, argument))) return;
  const allowed = patterns.length === 0 ? "none is" : `allowed are ${patterns.join(", ")}`;
  const message = `no listed argument allows ${text}; ${allowed}`;
  throw refusal("query-argument-refused", "entities", message);
}

function isAbout({ entity }: EntityRule, read: EntityRead): boolean {
  if (entity === "*") return read.isDocumented && read.argument === undefined;
  return entity.toLowerCase() === read.entity.toLowerCase();
}

function refusal(code: string, key: string, message: string): RefusalError {
  return new RefusalError(code, `${RULE}.${key}`, message);
}
