import {
  AGGREGATES,
  type BinaryOperator,
  COMPARISONS,
  FUNCTION_ALIASES,
  PRODUCTS,
  SCALAR_FUNCTIONS,
  STRING_OPERATORS,
  SUMS,
} from "./language.ts";
import { suggestion } from "./nearest-name.ts";
import { QueryError } from "./query-error.ts";
import type { TokenReader } from "./token-reader.ts";
import type { Expression, Literal } from "./tree.ts";

/**
 * ```
 * or         = and { "or" and }
 * and        = equality { "and" equality }
 * equality   = relation [ ( "==" | "!=" ) relation ]
 * relation   = sum [ ( "<" | ">" | "<=" | ">=" ) sum ]
 * sum        = product { ( "+" | "-" ) product }
 * product    = text { ( "*" | "/" | "%" ) text }
 * text       = unary [ ( "like" | "!like" | "contains" | ... ) unary ]
 * unary      = [ "-" ] primary
 * primary    = literal | column | function "(" [ or { "," or } ] ")" | "(" or ")"
 * ```
 * The levels are those of Kusto, whose text operators bind closest.
 */
const LEVELS: readonly {
  readonly operators: readonly BinaryOperator[];
  readonly repeats: boolean;
}[] = [
  { operators: ["or"], repeats: true },
  { operators: ["and"], repeats: true },
  { operators: COMPARISONS.slice(0, 2), repeats: false },
  { operators: COMPARISONS.slice(2), repeats: false },
  { operators: SUMS, repeats: true },
  { operators: PRODUCTS, repeats: true },
  { operators: STRING_OPERATORS, repeats: false },
];

/** @throws QueryError for what is no expression of the language. */
export function readExpression(reader: TokenReader): Expression {
  return readLevel(reader, 0);
}

function readLevel(reader: TokenReader, depth: number): Expression {
  const level = LEVELS[depth];
  if (level === undefined) return readUnary(reader);
  let left = readLevel(reader, depth + 1);
  for (;;) {
    const { at } = reader.peek();
    const operator = level.operators.find((candidate) => reader.accept(candidate));
    if (operator === undefined) return left;
    left = { kind: "binary", operator, left, right: readLevel(reader, depth + 1), at };
    if (!level.repeats) return refuseAnother(reader, level.operators, left);
  }
}

/** `a == b == c` is read in no way that everybody would guess. */
function refuseAnother(
  reader: TokenReader,
  operators: readonly BinaryOperator[],
  read: Expression,
): Expression {
  const another = operators.find((candidate) => reader.isAt(candidate));
  if (another === undefined) return read;
  throw reader.unexpected(`parentheses around one of two comparisons that follow each other`);
}

function readUnary(reader: TokenReader): Expression {
  const { at } = reader.peek();
  if (!reader.accept("-")) return readPrimary(reader);
  return { kind: "negation", operand: reader.nested(() => readPrimary(reader)), at };
}

function readPrimary(reader: TokenReader): Expression {
  const literal = readLiteral(reader);
  if (literal !== undefined) return literal;
  if (reader.accept("(")) {
    const inner = reader.nested(() => readExpression(reader));
    reader.expect(")", "or an operator");
    return inner;
  }
  const next = reader.peek(1);
  if (reader.peek().kind === "name" && next.kind === "sign" && next.text === "(") {
    return readCall(reader);
  }
  const { text, at } = reader.name("a column, a value or a function");
  return { kind: "column", name: text, at };
}

/** The next token as a literal; undefined where it is none. */
export function readLiteral(reader: TokenReader): Literal | undefined {
  const token = reader.peek();
  const { at } = token;
  const literal = ((): Literal | undefined => {
    if (token.kind === "string") return { kind: "string", value: token.value, at };
    if (token.kind === "number") return { kind: "number", text: token.text, at };
    if (token.kind === "datetime") return { kind: "datetime", text: token.text, at };
    if (token.kind === "timespan") {
      return { kind: "timespan", text: token.text, milliseconds: token.milliseconds, at };
    }
    const isBool = token.kind === "name" && (token.text === "true" || token.text === "false");
    return isBool ? { kind: "bool", value: token.text === "true", at } : undefined;
  })();
  if (literal !== undefined) reader.take();
  return literal;
}

function readCall(reader: TokenReader): Expression {
  const { text: written, at } = reader.take();
  const name = FUNCTION_ALIASES.get(written) ?? written;
  if (!SCALAR_FUNCTIONS.has(name) && !AGGREGATES.has(name)) {
    const names = [...SCALAR_FUNCTIONS.keys(), ...AGGREGATES.keys()];
    throw new QueryError(
      "query-function-unknown",
      at,
      `CMPivot has no function ${written.slice(0, 40)}()${suggestion(written, names)}`,
    );
  }
  reader.expect("(", `after ${name}`);
  const list = reader.isAt(")")
    ? []
    : reader.nested(() => reader.list(() => readExpression(reader)));
  reader.expect(")", `or a comma between the arguments of ${name}()`);
  return { kind: "call", name, arguments: list, at };
}
