import { queryBuilder } from "@isthmus/shared/store/query-builder";
import type { SqlValue } from "@isthmus/shared/store/transaction";
import { type RawBuilder, sql } from "kysely";
import type { ComparedValue, Condition, ListQuery, Order } from "../core/list-query.ts";
import { recordIdOfGuid } from "../core/record-guid.ts";
import { propertiesOf, type ResourceName } from "../core/resources.ts";
import type { ResourceArm } from "./resource-arm.ts";
import { armsOf } from "./resource-selects.ts";

/** A statement for `Store.query`. */
export interface CompiledQuery {
  readonly sql: string;
  readonly parameters: readonly SqlValue[];
}

type Sql = RawBuilder<unknown>;

const builder = queryBuilder<Record<string, never>>();

/** What a statement is made for: one arm of a resource. */
interface Scope {
  readonly resource: ResourceName;
  readonly arm: ResourceArm;
}

/**
 * The page that a list query asks for, with one row more where there is a next page. Only the named properties are read. Each arm of the
 * resource, and each way in which a row can follow the last one, is a search of its own that an index may answer; what they find is merged.
 */
export function compilePage(
  query: ListQuery,
  properties: readonly string[],
  now: number,
): CompiledQuery {
  const { resource, order, after, top } = query;
  const columns = [...new Set([...properties, ...order.map(({ property }) => property)])];
  const selected = sql.join(columns.map((column) => sql.ref(column)));
  const searches = armsOf(resource, now).flatMap((arm) => {
    const scope = { resource, arm };
    const conditions = query.condition === undefined ? [] : [conditionSql(scope, query.condition)];
    const ways = after === undefined ? [[]] : waysAfter(scope, order, after).map((way) => [way]);
    return ways.map(
      (way) => sql`SELECT ${selected} FROM (${arm.select}) ${whereSql([...conditions, ...way])}
        ORDER BY ${sql.join(order.map((term) => orderSql(scope, term)))} LIMIT ${top + 1}`,
    );
  });
  const [only] = searches;
  if (searches.length === 1 && only !== undefined) return compile(only);
  if (only === undefined) return compile(sql`SELECT 1 WHERE 0`);
  const all = searches.map((search) => sql`SELECT * FROM (${search})`);
  const merged: Scope = { resource, arm: { select: sql`` } };
  return compile(sql`SELECT * FROM (${sql.join(all, sql` UNION ALL `)})
    ORDER BY ${sql.join(order.map((term) => orderSql(merged, term)))} LIMIT ${top + 1}`);
}

/**
 * Whether a page is better read in two steps: which rows it has, by what they are sorted by alone, and then those rows. What is found without
 * an index is sorted with all that is read of it, and devices have much that is.
 */
export function isReadInTwoSteps({ resource, order }: ListQuery): boolean {
  return armsOf(resource, 0).length > 1 && order[0]?.property !== "id";
}

/** The rows with these ids, in any order. */
export function compileRows(
  resource: ResourceName,
  ids: readonly string[],
  properties: readonly string[],
  now: number,
): CompiledQuery {
  const selected = sql.join([...new Set(["id", ...properties])].map((name) => sql.ref(name)));
  const searches = armsOf(resource, now).map(({ select, recordNumber }) => {
    const wanted = recordNumber === undefined ? ids : ids.flatMap((id) => recordIdOfGuid(id) ?? []);
    return sql`SELECT ${selected} FROM (${select})
      WHERE ${sql.ref(recordNumber ?? "id")} IN (SELECT value FROM json_each(${JSON.stringify(wanted)}))`;
  });
  return compile(sql`${sql.join(searches, sql` UNION ALL `)}`);
}

/** How many rows the query's condition meets, whatever the page. */
export function compileCount(query: ListQuery, now: number): CompiledQuery {
  const { resource, condition } = query;
  const counts = armsOf(resource, now).map((arm) => {
    const conditions = condition === undefined ? [] : [conditionSql({ resource, arm }, condition)];
    return sql`(SELECT count(*) FROM (${arm.select}) ${whereSql(conditions)})`;
  });
  return compile(sql`SELECT ${sql.join(counts, sql` + `)} AS n`);
}

function compile(statement: Sql): CompiledQuery {
  const { sql: text, parameters } = statement.compile(builder);
  return { sql: text, parameters: parameters as readonly SqlValue[] };
}

function whereSql(conditions: readonly Sql[]): Sql {
  return conditions.length === 0 ? sql`` : sql`WHERE ${sql.join(conditions, sql` AND `)}`;
}

const OPERATORS = { gt: sql`>`, ge: sql`>=`, lt: sql`<`, le: sql`<=` } as const;

/** `isNegated`: below a `not`, where SQL's null must not stand for false. */
function conditionSql(scope: Scope, condition: Condition, isNegated = false): Sql {
  switch (condition.kind) {
    case "and":
    case "or": {
      const operands = condition.operands.map((each) => conditionSql(scope, each, isNegated));
      return sql`(${sql.join(operands, condition.kind === "and" ? sql` AND ` : sql` OR `)})`;
    }
    case "not":
      return sql`NOT (${conditionSql(scope, condition.operand, true)})`;
    case "compare":
      return definite(scope, condition.property, isNegated, compareSql(scope, condition));
    case "startswith":
      return definite(scope, condition.property, isNegated, startsWithSql(scope, condition));
    case "contains":
      return definite(
        scope,
        condition.property,
        isNegated,
        sql`instr(lower(${sql.ref(condition.property)}), lower(${condition.text})) > 0`,
      );
  }
}

/** In OData a comparison with null is false, and so its negation true; in SQL both are null. */
function definite({ resource }: Scope, property: string, isNegated: boolean, comparison: Sql): Sql {
  const isNullable = propertiesOf(resource)[property]?.isNullable === true;
  return isNegated && isNullable ? sql`coalesce(${comparison}, 0)` : comparison;
}

function columnSql({ resource }: Scope, property: string): Sql {
  const ignoresCase = propertiesOf(resource)[property]?.ignoresCase === true;
  return ignoresCase ? sql`${sql.ref(property)} COLLATE NOCASE` : sql.ref(property);
}

function compareSql(
  scope: Scope,
  { property, operator, value }: Condition & { readonly kind: "compare" },
): Sql {
  const { arm } = scope;
  const column = columnSql(scope, property);
  if (operator === "eq" && property === "id" && arm.recordNumber !== undefined) {
    return sql`${sql.ref(arm.recordNumber)} = ${recordIdOfGuid(String(value)) ?? 0}`;
  }
  if (operator === "eq") return equalSql(column, value);
  if (operator === "ne") return sql`${column} IS NOT ${value}`;
  return sql`${column} ${OPERATORS[operator]} ${value}`;
}

/** Not IS for a value: an index without the rows that are null would not be used. */
function equalSql(column: Sql, value: ComparedValue): Sql {
  return value === null ? sql`${column} IS NULL` : sql`${column} = ${value}`;
}

/** Where the column's own order ignores case, its index finds the beginning. */
function startsWithSql(
  scope: Scope,
  { property, text }: { readonly property: string; readonly text: string },
): Sql {
  const column = columnSql(scope, property);
  const begins = sql`lower(substr(${sql.ref(property)}, 1, length(${text}))) = lower(${text})`;
  if (propertiesOf(scope.resource)[property]?.ignoresCase !== true) return begins;
  return sql`(${column} >= ${text} AND ${column} < ${`${text}\u{10ffff}`} AND ${begins})`;
}

function orderSql(scope: Scope, { property, isDescending }: Order): Sql {
  const { recordNumber } = scope.arm;
  const column =
    property === "id" && recordNumber !== undefined
      ? sql.ref(recordNumber)
      : columnSql(scope, property);
  return isDescending ? sql`${column} DESC` : sql`${column} ASC`;
}

/** What follows the row with these sort values, a condition for each way: later in the first property, or equal there and later in the next. */
function waysAfter(scope: Scope, order: readonly Order[], after: readonly ComparedValue[]): Sql[] {
  return order.flatMap((term, index) => {
    const equal = order
      .slice(0, index)
      .map(({ property }, at) => equalSql(columnSql(scope, property), after[at] ?? null));
    const later = laterSqls(scope, term, after[index] ?? null);
    return later.map((way) => sql`(${sql.join([...equal, way], sql` AND `)})`);
  });
}

/** SQLite sorts null before everything else. */
function laterSqls(scope: Scope, { property, isDescending }: Order, value: ComparedValue): Sql[] {
  const { recordNumber } = scope.arm;
  if (property === "id" && recordNumber !== undefined && value !== null) {
    return laterRecord(sql.ref(recordNumber), isDescending, String(value));
  }
  const column = columnSql(scope, property);
  if (value === null) return isDescending ? [] : [sql`${column} IS NOT NULL`];
  if (!isDescending) return [sql`${column} > ${value}`];
  const isNullable = propertiesOf(scope.resource)[property]?.isNullable === true;
  return [sql`${column} < ${value}`, ...(isNullable ? [sql`${column} IS NULL`] : [])];
}

/** Every GUID of a record is on the same side of an id that is none. */
function laterRecord(number: Sql, isDescending: boolean, id: string): Sql[] {
  const given = recordIdOfGuid(id);
  if (given !== undefined) {
    return [isDescending ? sql`${number} < ${given}` : sql`${number} > ${given}`];
  }
  const guid = sql`printf('00000000-0000-4000-8000-%012x', ${number})`;
  return [isDescending ? sql`${guid} < ${id}` : sql`${guid} > ${id}`];
}
