import fc from "fast-check";

export type GeneratedType = "bool" | "number" | "string" | "datetime" | "timespan";
export type Scope = readonly { readonly name: string; readonly type: GeneratedType }[];

const STRING_OPERATORS = ["like", "contains", "startswith", "endswith"].flatMap((name) => [
  name,
  `!${name}`,
]);

/** The text of a well-typed expression over these columns; `depth` operators and calls within each other at most. */
export function generatedExpression(
  type: GeneratedType,
  scope: Scope,
  depth: number,
): fc.Arbitrary<string> {
  const key = `${depth} ${type}`;
  const known = MADE.get(scope) ?? new Map<string, fc.Arbitrary<string>>();
  MADE.set(scope, known);
  const made = known.get(key) ?? newExpression(type, scope, depth);
  known.set(key, made);
  return made;
}

/** Each level is made of the one below many times over: it is made once. */
const MADE = new WeakMap<Scope, Map<string, fc.Arbitrary<string>>>();

function newExpression(type: GeneratedType, scope: Scope, depth: number): fc.Arbitrary<string> {
  const columns = scope.filter((column) => column.type === type).map(({ name }) => name);
  const leaves = [literal(type), ...(columns.length > 0 ? [fc.constantFrom(...columns)] : [])];
  if (depth <= 0) return fc.oneof(...leaves);
  const inner = (of: GeneratedType) => generatedExpression(of, scope, depth - 1);
  return fc.oneof(...leaves, ...COMPOSED[type](inner), either(type, inner));
}

type Inner = (of: GeneratedType) => fc.Arbitrary<string>;

const COMPOSED: Readonly<Record<GeneratedType, (inner: Inner) => fc.Arbitrary<string>[]>> = {
  bool: (inner) => [
    combined(inner("bool"), ["and", "or"], inner("bool")),
    combined(inner("string"), ["==", "!="], inner("string")),
    combined(inner("number"), ["==", "!=", "<", ">", "<=", ">="], inner("number")),
    combined(inner("datetime"), ["<", ">", "<=", ">="], inner("datetime")),
    combined(inner("string"), STRING_OPERATORS, inner("string")),
    called("isnull", inner("number")),
    called("isnotnull", inner("datetime")),
  ],
  number: (inner) => [
    combined(inner("number"), ["+", "-", "*", "/", "%"], inner("number")),
    called("strlen", inner("string")),
    called("indexof", inner("string"), inner("string")),
    called(
      "datetime_diff",
      fc.constantFrom("'day'", '"hour"'),
      inner("datetime"),
      inner("datetime"),
    ),
    inner("number").map((of) => `- (${of})`),
  ],
  string: (inner) => [
    called("strcat", inner("string"), inner("string")),
    called("substring", inner("string"), fc.constantFrom("0", "2")),
    called("tostring", inner("number")),
  ],
  datetime: (inner) => [
    fc.constant("now()"),
    called("ago", inner("timespan")),
    called("bin", inner("datetime"), fc.constantFrom("1d", "1h")),
    called("datetime_add", fc.constant("'minute'"), fc.constantFrom("1", "30"), inner("datetime")),
    combined(inner("datetime"), ["+", "-"], inner("timespan")),
  ],
  timespan: (inner) => [combined(inner("timespan"), ["+", "-"], inner("timespan"))],
};

/** Half of them in parentheses, as all operands that are not in some level of binding have to be. */
function combined(
  left: fc.Arbitrary<string>,
  signs: readonly string[],
  right: fc.Arbitrary<string>,
) {
  return fc
    .tuple(grouped(left), fc.constantFrom(...signs), grouped(right))
    .map(([one, sign, other]) => `${one} ${sign} ${other}`);
}

/** An operand in parentheses wherever it is an operation itself. */
function grouped(operand: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return operand.map((text) => (/^[\w.]+$|^'[^']*'$/.test(text) ? text : `(${text})`));
}

function called(name: string, ...list: fc.Arbitrary<string>[]): fc.Arbitrary<string> {
  return fc.tuple(...list).map((texts) => `${name}(${texts.join(", ")})`);
}

/** `iif` and `case`, which are of the type of what they choose from. */
function either(type: GeneratedType, inner: Inner): fc.Arbitrary<string> {
  return fc.oneof(
    called("iif", inner("bool"), inner(type), inner(type)),
    called("case", inner("bool"), inner(type), inner("bool"), inner(type), inner(type)),
  );
}

function literal(type: GeneratedType): fc.Arbitrary<string> {
  switch (type) {
    case "bool":
      return fc.constantFrom("true", "false");
    case "number":
      return fc.oneof(fc.nat(1_000_000).map(String), fc.constantFrom("1.5", "0x1F", "2e3", "007"));
    case "string":
      return fc.constantFrom(
        "'a'",
        '"b\'c"',
        "@'c:\\x'",
        "'%d_'",
        "'it\\'s'",
        "'\\u00e9\\n'",
        "''",
      );
    case "datetime":
      return fc.constantFrom(
        "datetime(2026-01-31)",
        "datetime(2025-12-31T23:59:59.5Z)",
        "datetime(2024-02-29T12:00)",
      );
    case "timespan":
      return fc.constantFrom("1d", "24h", "1.5h", "30m", "10s", "250ms");
  }
}
