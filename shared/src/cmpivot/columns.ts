import { suggestion } from "./nearest-name.ts";
import { QueryError } from "./query-error.ts";
import type { Column, Expression, Item, Query, TableOperator } from "./tree.ts";

/**
 * Which columns a query has after each of its operators. What an entity has is known to the site alone; after `project`, `summarize`,
 * `distinct` and `count` the text says it, so that a name which cannot be there is found before any device is asked.
 *
 * The check is generous: names are compared in any case, `Device` is there always, and where a column is computed without a name of its
 * own nothing is said.
 */

/** Names of columns in their order; undefined where only the site knows them. */
type Known = readonly string[] | undefined;

/**
 * Checks every column that is named, and answers those of the result, undefined where only the site knows them.
 *
 * @throws QueryError `query-column-unknown` with the place of the first.
 */
export function columnsOf({ operators }: Query): Known {
  let known: Known;
  for (const operator of operators) {
    for (const column of columnsReadBy(operator)) requireKnown(column, known, operator.kind);
    known = columnsAfter(operator, known);
  }
  return known;
}

function columnsReadBy(operator: TableOperator): readonly Column[] {
  switch (operator.kind) {
    case "count":
    case "join":
    case "take":
      return [];
    case "distinct":
      return operator.columns;
    case "order":
      return operator.by.flatMap(({ value }) => columnsIn(value));
    case "project":
      return operator.columns.flatMap(({ value }) => columnsIn(value));
    case "summarize":
      return [...operator.aggregates, ...operator.by].flatMap(({ value }) => columnsIn(value));
    case "top":
      return columnsIn(operator.by.value);
    case "where":
      return columnsIn(operator.predicate);
  }
}

function columnsIn(expression: Expression): readonly Column[] {
  switch (expression.kind) {
    case "column":
      return [expression];
    case "call":
      return expression.arguments.flatMap(columnsIn);
    case "negation":
      return columnsIn(expression.operand);
    case "binary":
      return [...columnsIn(expression.left), ...columnsIn(expression.right)];
    default:
      return [];
  }
}

function requireKnown({ name, at }: Column, known: Known, operator: string): void {
  if (known === undefined || isAmong(known, name)) return;
  const there = known.length === 0 ? "none" : known.join(", ");
  throw new QueryError(
    "query-column-unknown",
    at,
    `${operator} names the column ${name}, but before it there are ${there}${suggestion(name, known)}`,
  );
}

function isAmong(known: readonly string[], name: string): boolean {
  const wanted = name.toLowerCase();
  return wanted === "device" || known.some((each) => each.toLowerCase() === wanted);
}

function columnsAfter(operator: TableOperator, known: Known): Known {
  switch (operator.kind) {
    case "count":
      return ["Count"];
    case "distinct":
      return operator.columns.length === 0 ? known : operator.columns.map(({ name }) => name);
    case "join":
      return joined(known, columnsOf(operator.query));
    case "project":
      return namesOf(operator.columns);
    case "summarize":
      return namesOf([...operator.aggregates, ...operator.by]);
    case "order":
    case "take":
    case "top":
    case "where":
      return known;
  }
}

/** What both sides have gets a number on the right side. */
function joined(left: Known, right: Known): Known {
  if (left === undefined || right === undefined) return undefined;
  return [...left, ...right.map((name) => (isAmong(left, name) ? `${name}1` : name))];
}

/** Undefined where one of them is computed and has no name of its own: which name it gets is the site's affair. */
function namesOf(items: readonly Item[]): Known {
  const names = items.map(({ name, value }) =>
    name === undefined && value.kind === "column" ? value.name : name,
  );
  return names.every((name) => name !== undefined) ? names : undefined;
}
