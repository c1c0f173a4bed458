import { leftNeedsParentheses } from "./printer.ts";
import type { Expression, Query, TableOperator } from "./tree.ts";

/** How deep parentheses stand within each other in the canonical text of a query; 0 without any. */
export function nestingOf({ operators }: Query): number {
  return deepest(operators.map(nestingOfOperator));
}

function nestingOfOperator(operator: TableOperator): number {
  switch (operator.kind) {
    case "count":
    case "distinct":
    case "take":
      return 0;
    case "join":
      return 1 + nestingOf(operator.query);
    case "order":
      return deepest(operator.by.map(({ value }) => nestingOfExpression(value)));
    case "project":
      return deepest(operator.columns.map(({ value }) => nestingOfExpression(value)));
    case "summarize":
      return deepest(
        [...operator.aggregates, ...operator.by].map(({ value }) => nestingOfExpression(value)),
      );
    case "top":
      return nestingOfExpression(operator.by.value);
    case "where":
      return nestingOfExpression(operator.predicate);
  }
}

function nestingOfExpression(expression: Expression): number {
  switch (expression.kind) {
    case "call":
      return 1 + deepest(expression.arguments.map(nestingOfExpression));
    case "negation":
      // The sign counts as one, the parentheses behind it as another, as when they are read.
      return 2 + nestingOfExpression(expression.operand);
    case "binary": {
      const left = nestingOfExpression(expression.left);
      const right = nestingOfExpression(expression.right);
      return Math.max(
        left + (leftNeedsParentheses(expression) ? 1 : 0),
        right + (expression.right.kind === "binary" ? 1 : 0),
      );
    }
    default:
      return 0;
  }
}

function deepest(depths: readonly number[]): number {
  return Math.max(0, ...depths);
}
