import type {
  Binary,
  Expression,
  Item,
  Literal,
  Ordering,
  Query,
  Source,
  TableOperator,
} from "./tree.ts";

/** What is not printed as it is, so that a person sees every character: it could turn or hide what stands beside it. */
const UNSEEN = /[\p{C}\p{Z}]/gu;
/** Chains of these need no parentheses, however the site groups them. */
const LEFT_TO_RIGHT: ReadonlySet<string> = new Set(["and", "or", "+", "-", "*", "/", "%"]);

/**
 * The canonical text of a query: one line, one spelling, and parentheses wherever one operator stands within another,
 * so that the site cannot group it in another way than it was judged. Parsed again it gives the same tree.
 */
export function printQuery({ source, operators }: Query): string {
  return [printSource(source), ...operators.map(printOperator)].join(" | ");
}

/** An entity as it is read, with its arguments. */
export function printSource({ entity, arguments: list }: Source): string {
  return list.length === 0 ? entity : `${entity}(${list.map(printLiteral).join(", ")})`;
}

function printOperator(operator: TableOperator): string {
  switch (operator.kind) {
    case "count":
      return "count";
    case "distinct":
      return `distinct ${operator.columns.map(({ name }) => name).join(", ") || "*"}`;
    case "join": {
      const kind = operator.joinKind === undefined ? "" : `kind=${operator.joinKind} `;
      return `join ${kind}(${printQuery(operator.query)})`;
    }
    case "order":
      return `order by ${operator.by.map(printOrdering).join(", ")}`;
    case "project":
      return `project ${printItems(operator.columns)}`;
    case "summarize": {
      const by = operator.by.length === 0 ? [] : [`by ${printItems(operator.by)}`];
      const aggregates = operator.aggregates.length === 0 ? [] : [printItems(operator.aggregates)];
      return ["summarize", ...aggregates, ...by].join(" ");
    }
    case "take":
      return `take ${operator.rows}`;
    case "top":
      return `top ${operator.rows} by ${printOrdering(operator.by)}`;
    case "where":
      return `where ${printExpression(operator.predicate)}`;
  }
}

function printOrdering({ value, direction }: Ordering): string {
  const text = printExpression(value);
  return direction === undefined ? text : `${text} ${direction}`;
}

function printItems(items: readonly Item[]): string {
  return items
    .map(({ name, value }) => {
      const text = printExpression(value);
      return name === undefined ? text : `${name}=${text}`;
    })
    .join(", ");
}

function printExpression(expression: Expression): string {
  switch (expression.kind) {
    case "column":
      return expression.name;
    case "call":
      return `${expression.name}(${expression.arguments.map(printExpression).join(", ")})`;
    case "negation": {
      const { operand } = expression;
      return operand.kind === "number" ? `-${operand.text}` : `-(${printExpression(operand)})`;
    }
    case "binary": {
      const left = printExpression(expression.left);
      const right = printExpression(expression.right);
      return [
        leftNeedsParentheses(expression) ? `(${left})` : left,
        expression.operator,
        expression.right.kind === "binary" ? `(${right})` : right,
      ].join(" ");
    }
    default:
      return printLiteral(expression);
  }
}

/** Whether the left side of an operation is printed in parentheses. */
export function leftNeedsParentheses({ operator, left }: Binary): boolean {
  if (left.kind !== "binary") return false;
  return left.operator !== operator || !LEFT_TO_RIGHT.has(operator);
}

function printLiteral(literal: Literal): string {
  switch (literal.kind) {
    case "string":
      return `'${escaped(literal.value)}'`;
    case "bool":
      return String(literal.value);
    case "datetime":
      return `datetime(${literal.text})`;
    case "number":
    case "timespan":
      return literal.text;
  }
}

const ESCAPED: ReadonlyMap<string, string> = new Map([
  ["\\", "\\\\"],
  ["'", "\\'"],
  ["\t", "\\t"],
  ["\r", "\\r"],
  ["\n", "\\n"],
]);

function escaped(value: string): string {
  return value
    .replace(/[\\'\t\r\n]/g, (character) => ESCAPED.get(character) ?? character)
    .replace(UNSEEN, (character) => (character === " " ? " " : inUnits(character)));
}

function inUnits(character: string): string {
  return Array.from(
    { length: character.length },
    (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`,
  ).join("");
}
