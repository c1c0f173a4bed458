import { ENTITY_NAMES, entityOf } from "./entities.ts";
import { checkExpression, type Place } from "./expression-check.ts";
import { MAX_COLUMNS, MAX_JOINS, MAX_NESTING } from "./limits.ts";
import { suggestion } from "./nearest-name.ts";
import { nestingOf } from "./nesting.ts";
import { QueryError, type QueryErrorCode } from "./query-error.ts";
import type { Expression, Item, Query, Source, TableOperator } from "./tree.ts";

/**
 * Checks what the grammar leaves open: arguments, types as far as the text tells them, aggregates where they belong, and
 * the limits of the site.
 *
 * @throws QueryError
 */
export function validateQuery(query: Query): void {
  if (nestingOf(query) > MAX_NESTING) {
    throw fault(
      "query-nested-too-deeply",
      query.source,
      `its canonical text has more than ${MAX_NESTING} parentheses within each other`,
    );
  }
  const joins = countJoins(query);
  if (joins > MAX_JOINS) {
    throw fault("query-too-many-joins", query.source, `${joins} joins exceed ${MAX_JOINS}`);
  }
  checkQuery(query);
}

function countJoins({ operators }: Query): number {
  let joins = 0;
  for (const operator of operators) {
    if (operator.kind === "join") joins += 1 + countJoins(operator.query);
  }
  return joins;
}

/** @returns the number of columns, undefined where only the site knows it. */
function checkQuery({ source, operators }: Query): number | undefined {
  checkSource(source);
  let columns: number | undefined;
  for (const operator of operators) {
    columns = checkOperator(operator, columns);
    if (columns !== undefined && columns > MAX_COLUMNS) {
      const message = `${columns} columns after ${operator.kind} exceed ${MAX_COLUMNS}`;
      throw fault("query-too-many-columns", source, message);
    }
  }
  return columns;
}

function checkSource(source: Source): void {
  const { entity, arguments: list } = source;
  const known = entityOf(entity);
  if (known?.parameters === undefined) {
    if (list.length === 0) return;
    const names = ENTITY_NAMES.filter((name) => entityOf(name)?.parameters !== undefined);
    const message = `${entity} is no entity that takes arguments${suggestion(entity, names)}`;
    throw fault("query-arguments-wrong", source, message);
  }
  const [text, window, ...more] = list;
  const { text: what, hasWindow } = known.parameters;
  const isGood =
    text?.kind === "string" &&
    text.value.trim() !== "" &&
    (window === undefined ||
      (hasWindow && window.kind === "timespan" && window.milliseconds > 0)) &&
    more.length === 0;
  if (isGood) return;
  const form = hasWindow ? `${entity}('...', 24h), the timespan as wanted` : `${entity}('...')`;
  throw fault("query-arguments-wrong", source, `${entity} needs the ${what}: write ${form}`);
}

function checkOperator(operator: TableOperator, columns: number | undefined): number | undefined {
  switch (operator.kind) {
    case "count":
      return 1;
    case "distinct":
      return operator.columns.length || columns;
    case "join":
      return sum(columns, checkQuery(operator.query));
    case "order":
      for (const { value } of operator.by) checkExpression(value, "value");
      return columns;
    case "project":
      checkItems(operator.columns, "value");
      return operator.columns.length;
    case "summarize": {
      const seen = new Set<string>();
      checkItems(operator.aggregates, "aggregate", seen);
      checkItems(operator.by, "value", seen);
      return operator.aggregates.length + operator.by.length;
    }
    case "take":
      return columns;
    case "top":
      checkExpression(operator.by.value, "value");
      return columns;
    case "where":
      checkExpression(operator.predicate, "predicate");
      return columns;
  }
}

/** Columns of both sides of a join, Device once; unknown where one side is. */
function sum(left: number | undefined, right: number | undefined): number | undefined {
  return left === undefined || right === undefined ? undefined : left + right;
}

function checkItems(items: readonly Item[], place: Place, seen = new Set<string>()): void {
  for (const { name, value } of items) {
    checkExpression(value, place);
    const column = name ?? (value.kind === "column" ? value.name : undefined);
    if (column === undefined) continue;
    if (seen.has(column)) {
      throw fault("query-column-repeated", value, `the column ${column} is there already`);
    }
    seen.add(column);
  }
}

function fault(code: QueryErrorCode, { at }: Source | Expression, message: string): QueryError {
  return new QueryError(code, at, message);
}
