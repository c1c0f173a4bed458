import { queryBuilder } from "@isthmus/shared/store/query-builder";
import type { SqlValue } from "@isthmus/shared/store/transaction";
import { type RawBuilder, sql } from "kysely";
import type { ComparedValue, Condition, ListQuery, Order } from "../core/list-query.ts";
import { propertiesOf } from "../core/resources.ts";
import { resourceSelects } from "./resource-selects.ts";

/** A statement for `Store.query`. */
export interface CompiledQuery {
  readonly sql: string;
  readonly parameters: readonly SqlValue[];
}

type Sql = RawBuilder<unknown>;

const builder = queryBuilder<Record<string, never>>();

/** The page that a list query asks for, with one row more where there is a next page. Only the named properties are read. */
export function compilePage(
  query: ListQuery,
  properties: readonly string[],
  now: number,
): CompiledQuery {
  const { resource, order, after, top } = query;
  const columns = [...new Set([...properties, ...order.map(({ property }) => property)])];
  const conditions = [
    ...(query.condition === undefined ? [] : [conditionSql(query, query.condition)]),
    ...(after === undefined ? [] : [afterSql(order, after)]),
  ];
  return compile(sql`
    SELECT ${sql.join(columns.map((column) => sql.ref(column)))} FROM (${resourceSelects[resource](now)})
    ${whereSql(conditions)} ORDER BY ${sql.join(order.map(orderSql))} LIMIT ${top + 1}`);
}

/** How many rows the query's condition meets, whatever the page. */
export function compileCount(query: ListQuery, now: number): CompiledQuery {
  const conditions = query.condition === undefined ? [] : [conditionSql(query, query.condition)];
  return compile(sql`
    SELECT count(*) AS n FROM (${resourceSelects[query.resource](now)}) ${whereSql(conditions)}`);
}

function compile(statement: Sql): CompiledQuery {
  const { sql: text, parameters } = statement.compile(builder);
  return { sql: text, parameters: parameters as readonly SqlValue[] };
}

function whereSql(conditions: readonly Sql[]): Sql {
  return conditions.length === 0 ? sql`` : sql`WHERE ${sql.join(conditions, sql` AND `)}`;
}

const OPERATORS = { gt: sql`>`, ge: sql`>=`, lt: sql`<`, le: sql`<=` } as const;

function conditionSql(query: ListQuery, condition: Condition): Sql {
  switch (condition.kind) {
    case "and":
    case "or": {
      const operands = condition.operands.map((operand) => conditionSql(query, operand));
      return sql`(${sql.join(operands, condition.kind === "and" ? sql` AND ` : sql` OR `)})`;
    }
    case "not":
      return sql`NOT (${conditionSql(query, condition.operand)})`;
    case "compare":
      return definite(query, condition.property, compareSql(condition));
    case "startswith":
      return definite(query, condition.property, startsWithSql(condition));
    case "contains":
      return definite(
        query,
        condition.property,
        sql`instr(lower(${sql.ref(condition.property)}), lower(${condition.text})) > 0`,
      );
  }
}

function compareSql({ property, operator, value }: Condition & { kind: "compare" }): Sql {
  const column = sql.ref(property);
  if (operator === "eq") return sql`${column} IS ${value}`;
  if (operator === "ne") return sql`${column} IS NOT ${value}`;
  return sql`${column} ${OPERATORS[operator]} ${value}`;
}

function startsWithSql({ property, text }: { property: string; text: string }): Sql {
  return sql`lower(substr(${sql.ref(property)}, 1, length(${text}))) = lower(${text})`;
}

/** In OData a comparison with null is false, and so its negation true; in SQL both are null. */
function definite(query: ListQuery, property: string, comparison: Sql): Sql {
  const isNullable = propertiesOf(query.resource)[property]?.isNullable === true;
  return isNullable ? sql`coalesce(${comparison}, 0)` : comparison;
}

function orderSql({ property, isDescending }: Order): Sql {
  return isDescending ? sql`${sql.ref(property)} DESC` : sql`${sql.ref(property)} ASC`;
}

/** What follows the row with these sort values: later in the first property, or equal there and later in the next. */
function afterSql(order: readonly Order[], after: readonly ComparedValue[]): Sql {
  const alternatives = order.map((term, index) => {
    const equal = order
      .slice(0, index)
      .map(({ property }, at) => sql`${sql.ref(property)} IS ${after[at] ?? null}`);
    return sql`(${sql.join([...equal, laterSql(term, after[index] ?? null)], sql` AND `)})`;
  });
  return sql`(${sql.join(alternatives, sql` OR `)})`;
}

/** SQLite sorts null before everything else. */
function laterSql({ property, isDescending }: Order, value: ComparedValue): Sql {
  const column = sql.ref(property);
  if (value === null) return isDescending ? sql`0` : sql`${column} IS NOT NULL`;
  return isDescending
    ? sql`(${column} < ${value} OR ${column} IS NULL)`
    : sql`${column} > ${value}`;
}
