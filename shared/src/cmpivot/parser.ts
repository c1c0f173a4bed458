import { entityOf } from "./entities.ts";
import { readExpression, readLiteral } from "./expression-parser.ts";
import { ELSEWHERE, JOIN_KINDS, TABLE_OPERATORS } from "./language.ts";
import { MAX_QUERY_CHARACTERS } from "./limits.ts";
import { suggestion } from "./nearest-name.ts";
import { printQuery } from "./printer.ts";
import { QueryError } from "./query-error.ts";
import { shown, TokenReader } from "./token-reader.ts";
import { tokensOf } from "./tokens.ts";
import type { Item, Literal, Ordering, Query, Source, TableOperator } from "./tree.ts";
import { validateQuery } from "./validation.ts";

/**
 * ```
 * query     = source { "|" operator }
 * source    = entity [ "(" literal { "," literal } ")" ] | "(" query ")"
 * operator  = "count"
 *           | "distinct" ( "*" | column { "," column } )
 *           | "join" [ "kind" "=" kind ] ( "(" query ")" | source )     always on the Device column
 *           | "order" "by" ordering { "," ordering }
 *           | "project" item { "," item }
 *           | "summarize" ( item { "," item } [ "by" item { "," item } ] | "by" item { "," item } )
 *           | "take" integer
 *           | "top" integer "by" ordering
 *           | "where" expression
 * item      = [ name "=" ] expression
 * ordering  = expression [ "asc" | "desc" ]
 * ```
 */

/**
 * A text as a query that the language has, whatever it reads.
 *
 * @throws QueryError with the place of the first fault.
 */
export function parseQuery(text: string): Query {
  refuseTooLong(text);
  const reader = new TokenReader(tokensOf(text));
  const query = readQuery(reader);
  if (reader.peek().kind !== "end") throw reader.unexpected("| or the end");
  validateQuery(query);
  // Escapes may make the text that is sent longer than what was written.
  refuseTooLong(printQuery(query));
  return query;
}

function refuseTooLong(text: string): void {
  if (text.length <= MAX_QUERY_CHARACTERS) return;
  throw new QueryError(
    "query-too-long",
    { line: 1, column: 1 },
    `a query of ${text.length} characters exceeds ${MAX_QUERY_CHARACTERS}`,
  );
}

function readQuery(reader: TokenReader): Query {
  const { source, operators } = readSource(reader);
  const rest: TableOperator[] = [];
  while (reader.accept("|")) rest.push(readOperator(reader));
  return { source, operators: [...operators, ...rest] };
}

function readSource(reader: TokenReader): Query {
  if (reader.accept("(")) {
    const query = reader.nested(() => readQuery(reader));
    reader.expect(")", "or |");
    return query;
  }
  return { source: readEntity(reader), operators: [] };
}

function readEntity(reader: TokenReader): Source {
  const { text, at } = reader.name("an entity such as Device");
  const entity = entityOf(text)?.name ?? text;
  if (!reader.accept("(")) return { entity, arguments: [], at };
  const list = reader.list(() => readArgument(reader, entity));
  reader.expect(")", `after the arguments of ${entity}`);
  return { entity, arguments: list, at };
}

function readArgument(reader: TokenReader, entity: string): Literal {
  const literal = readLiteral(reader);
  if (literal === undefined) throw reader.unexpected(`text in quotation marks for ${entity}()`);
  return literal;
}

const OPERATORS: ReadonlyMap<string, (reader: TokenReader) => TableOperator> = new Map([
  ["count", () => ({ kind: "count" })],
  ["distinct", readDistinct],
  ["join", readJoin],
  ["order", readOrder],
  ["project", (reader) => ({ kind: "project", columns: readItems(reader) })],
  ["summarize", readSummarize],
  ["take", (reader) => ({ kind: "take", rows: readRows(reader) })],
  ["top", readTop],
  ["where", (reader) => ({ kind: "where", predicate: readExpression(reader) })],
]);

function readOperator(reader: TokenReader): TableOperator {
  const token = reader.peek();
  const read = token.kind === "name" ? OPERATORS.get(token.text) : undefined;
  if (read !== undefined) {
    reader.take();
    return read(reader);
  }
  if (token.kind !== "name") throw reader.unexpected("an operator such as where or project");
  if (token.text === "render") {
    throw new QueryError(
      "query-render-refused",
      token.at,
      "render draws a chart in the Configuration Manager console and is not supported elsewhere; leave it out, the answer is the rows",
    );
  }
  if (ELSEWHERE.has(token.text)) throw reader.unexpected("an operator");
  throw new QueryError(
    "query-operator-unknown",
    token.at,
    `CMPivot has no operator ${shown(token)}${suggestion(token.text, TABLE_OPERATORS)}`,
  );
}

function readDistinct(reader: TokenReader): TableOperator {
  if (reader.accept("*")) return { kind: "distinct", columns: [] };
  const columns = reader.list(() => {
    const { text, at } = reader.name("a column");
    return { kind: "column" as const, name: text, at };
  });
  return { kind: "distinct", columns };
}

function readJoin(reader: TokenReader): TableOperator {
  const joinKind = reader.accept("kind") ? readJoinKind(reader) : undefined;
  const query = reader.nested(() => readSource(reader));
  if (reader.isAt("on")) throw reader.unexpected("| or the end");
  return { kind: "join", joinKind, query };
}

function readJoinKind(reader: TokenReader) {
  reader.expect("=", "after kind");
  const token = reader.peek();
  const kind = JOIN_KINDS.find((name) => token.kind === "name" && name === token.text);
  if (kind === undefined) throw reader.unexpected(`one of ${JOIN_KINDS.join(", ")}`);
  reader.take();
  return kind;
}

function readOrder(reader: TokenReader): TableOperator {
  reader.expect("by", "after order");
  return { kind: "order", by: reader.list(() => readOrdering(reader)) };
}

function readTop(reader: TokenReader): TableOperator {
  const rows = readRows(reader);
  reader.expect("by", "after the number of rows");
  return { kind: "top", rows, by: readOrdering(reader) };
}

function readSummarize(reader: TokenReader): TableOperator {
  const aggregates = reader.isAt("by") ? [] : readItems(reader);
  const by = reader.accept("by") ? readItems(reader) : [];
  return { kind: "summarize", aggregates, by };
}

function readOrdering(reader: TokenReader): Ordering {
  const value = readExpression(reader);
  const direction = (["asc", "desc"] as const).find((word) => reader.accept(word));
  return { value, direction };
}

function readRows(reader: TokenReader): number {
  const { kind, text } = reader.peek();
  const rows = kind === "number" && /^\d+$/.test(text) ? Number(text) : undefined;
  if (rows === undefined || rows > 2 ** 31 - 1) throw reader.unexpected("a number of rows");
  reader.take();
  return rows;
}

function readItems(reader: TokenReader): readonly Item[] {
  return reader.list(() => readItem(reader));
}

function readItem(reader: TokenReader): Item {
  const next = reader.peek(1);
  const hasName = reader.peek().kind === "name" && next.kind === "sign" && next.text === "=";
  if (!hasName) return { name: undefined, value: readExpression(reader) };
  const { text } = reader.name("a name for the column");
  reader.take();
  return { name: text, value: readExpression(reader) };
}
