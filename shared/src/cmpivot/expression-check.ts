import {
  AGGREGATES,
  COMPARISONS,
  DATE_PARTS,
  type FunctionSignature,
  SCALAR_FUNCTIONS,
  STRING_OPERATORS,
  type ValueType,
} from "./language.ts";
import { suggestion } from "./nearest-name.ts";
import { QueryError } from "./query-error.ts";
import type { Binary, Call, Expression } from "./tree.ts";

/** Where an expression stands: anywhere, after `where`, or as what `summarize` computes. */
export type Place = "value" | "predicate" | "aggregate";

/**
 * Checks the arguments and types of an expression. Columns may have any type: only the site knows them.
 *
 * @throws QueryError `query-arguments-wrong`, `query-aggregate-misplaced`, `query-type-wrong`.
 */
export function checkExpression(expression: Expression, place: Place): void {
  if (place === "aggregate") return void checkAggregate(expression);
  const type = typeOf(expression);
  if (place === "predicate") requireType(expression, type, "bool", "where");
}

function checkAggregate(expression: Expression): void {
  const signature = expression.kind === "call" ? AGGREGATES.get(expression.name) : undefined;
  if (expression.kind === "call" && signature !== undefined) {
    checkArguments(expression, signature);
    return;
  }
  throw new QueryError(
    "query-aggregate-misplaced",
    expression.at,
    `summarize needs an aggregate such as count() or max(...) here; one of ${[...AGGREGATES.keys()].join(", ")}`,
  );
}

function typeOf(expression: Expression): ValueType {
  switch (expression.kind) {
    case "column":
      return "any";
    case "call":
      return typeOfCall(expression);
    case "negation": {
      const type = typeOf(expression.operand);
      if (["any", "number", "timespan"].includes(type)) return type;
      throw wrongType(expression, `- cannot stand before a ${type}`);
    }
    case "binary":
      return typeOfBinary(expression);
    default:
      return expression.kind;
  }
}

function typeOfCall(call: Call): ValueType {
  const signature = SCALAR_FUNCTIONS.get(call.name);
  if (signature === undefined) {
    const message = `${call.name}() computes one value of many rows; it belongs after summarize`;
    throw new QueryError("query-aggregate-misplaced", call.at, message);
  }
  checkArguments(call, signature);
  if (call.name === "case") checkCase(call);
  if (call.name === "datetime_add" || call.name === "datetime_diff") checkDatePart(call);
  return signature.result;
}

function checkArguments({ name, arguments: list, at }: Call, signature: FunctionSignature): void {
  const { minArguments: min, maxArguments: max, takes = [] } = signature;
  if (list.length < min || list.length > max) {
    const wanted = min === max ? `${min}` : `${min} to ${max}`;
    const message = `${name}() takes ${wanted} arguments, but ${list.length} came`;
    throw new QueryError("query-arguments-wrong", at, message);
  }
  for (const [index, argument] of list.entries()) {
    requireType(
      argument,
      typeOf(argument),
      takes[index] ?? "any",
      `argument ${index + 1} of ${name}()`,
    );
  }
}

/** `case(predicate, value, predicate, value, ..., otherwise)` */
function checkCase({ arguments: list, at }: Call): void {
  if (list.length % 2 === 0) {
    const message =
      "case() takes pairs of a predicate and a value, and then the value for all else";
    throw new QueryError("query-arguments-wrong", at, message);
  }
  for (const [index, argument] of list.slice(0, -1).entries()) {
    if (index % 2 === 0) requireType(argument, typeOf(argument), "bool", "a predicate of case()");
  }
}

function checkDatePart({ name, arguments: [part] }: Call): void {
  if (part?.kind === "string" && DATE_PARTS.includes(part.value.toLowerCase())) return;
  const hint = part?.kind === "string" ? suggestion(part.value, DATE_PARTS) : "";
  const message = `the first argument of ${name}() is one of ${DATE_PARTS.join(", ")}, in quotation marks${hint}`;
  throw new QueryError("query-arguments-wrong", part?.at ?? { line: 1, column: 1 }, message);
}

function typeOfBinary(binary: Binary): ValueType {
  const { operator } = binary;
  const left = typeOf(binary.left);
  const right = typeOf(binary.right);
  if (operator === "and" || operator === "or") {
    requireType(binary.left, left, "bool", `the left side of ${operator}`);
    requireType(binary.right, right, "bool", `the right side of ${operator}`);
    return "bool";
  }
  if (isOneOf(STRING_OPERATORS, operator)) {
    requireType(binary.left, left, "string", `the left side of ${operator}`);
    requireType(binary.right, right, "string", `the right side of ${operator}`);
    return "bool";
  }
  if (isOneOf(COMPARISONS, operator)) {
    const isOrder = operator !== "==" && operator !== "!=";
    if (!isOrder || left === right || left === "any" || right === "any") return "bool";
    throw wrongType(
      binary,
      `a ${left} and a ${right} are in no order, so ${operator} has no answer`,
    );
  }
  const result = ARITHMETIC[operator].find(
    ([one, other]) => (left === one || left === "any") && (right === other || right === "any"),
  )?.[2];
  if (result === undefined) throw wrongType(binary, `no ${operator} of a ${left} and a ${right}`);
  return left === "any" || right === "any" ? "any" : result;
}

type Rule = readonly [left: ValueType, right: ValueType, result: ValueType];

const ARITHMETIC: Readonly<Record<"+" | "-" | "*" | "/" | "%", readonly Rule[]>> = {
  "+": [
    ["number", "number", "number"],
    ["timespan", "timespan", "timespan"],
    ["datetime", "timespan", "datetime"],
    ["timespan", "datetime", "datetime"],
  ],
  "-": [
    ["number", "number", "number"],
    ["timespan", "timespan", "timespan"],
    ["datetime", "timespan", "datetime"],
    ["datetime", "datetime", "timespan"],
  ],
  "*": [
    ["number", "number", "number"],
    ["timespan", "number", "timespan"],
    ["number", "timespan", "timespan"],
  ],
  "/": [
    ["number", "number", "number"],
    ["timespan", "timespan", "number"],
    ["timespan", "number", "timespan"],
  ],
  "%": [["number", "number", "number"]],
};

function isOneOf<One extends string>(all: readonly One[], value: string): value is One {
  return (all as readonly string[]).includes(value);
}

function requireType(
  expression: Expression,
  type: ValueType,
  wanted: ValueType,
  where: string,
): void {
  if (type === wanted || type === "any" || wanted === "any") return;
  const what = wanted === "bool" ? "something that is true or false" : `a ${wanted}`;
  throw wrongType(expression, `${where} has to be ${what}, but is a ${type}`);
}

function wrongType({ at }: Expression, message: string): QueryError {
  return new QueryError("query-type-wrong", at, message);
}
