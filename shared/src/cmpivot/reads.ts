import { DEFAULT_WINDOW_MS, ENTITY_NAMES, type Entity, entityOf } from "./entities.ts";
import { nearestName } from "./nearest-name.ts";
import { nestingOf } from "./nesting.ts";
import { printQuery, printSource } from "./printer.ts";
import type { Expression, Literal, Query, Source, TableOperator } from "./tree.ts";

/** One entity that a query reads, wherever in the query it stands. */
export interface EntityRead {
  readonly entity: string;
  /** Whether the documentation has it; a class of the own inventory it cannot have. */
  readonly isDocumented: boolean;
  /** What the entity is asked for, without quotation marks; undefined where it takes nothing. */
  readonly argument: string | undefined;
  /** How far back a log is read; undefined for what is no log. */
  readonly windowMs: number | undefined;
  /** As in the canonical text. */
  readonly text: string;
  /** The documented entity that an undocumented one looks like. */
  readonly suggestion: string | undefined;
}

/** Everything about a query that somebody may want to bound. */
export interface QueryReads {
  /** The canonical text: what is sent once it is allowed. */
  readonly text: string;
  readonly entities: readonly EntityRead[];
  /** Scalar functions and aggregates, each once, in alphabetical order. */
  readonly functions: readonly string[];
  readonly joins: number;
  readonly nesting: number;
}

/** What a query reads: its own entity and those of all joined queries, each different reading once. */
export function readsOf(query: Query): QueryReads {
  const entities = new Map<string, EntityRead>();
  const functions = new Set<string>();
  const joins = collect(query, entities, functions);
  return {
    text: printQuery(query),
    entities: [...entities.values()],
    functions: [...functions].sort(),
    joins,
    nesting: nestingOf(query),
  };
}

function collect(
  { source, operators }: Query,
  entities: Map<string, EntityRead>,
  functions: Set<string>,
): number {
  const read = readOf(source);
  entities.set(read.text, read);
  let joins = 0;
  for (const operator of operators) {
    if (operator.kind === "join") joins += 1 + collect(operator.query, entities, functions);
    for (const expression of expressionsOf(operator)) collectFunctions(expression, functions);
  }
  return joins;
}

function readOf(source: Source): EntityRead {
  const [text, window] = source.arguments;
  const known = entityOf(source.entity);
  const isDocumented = known !== undefined;
  return {
    entity: source.entity,
    isDocumented,
    argument: text?.kind === "string" ? text.value : undefined,
    windowMs: windowOf(known, window),
    text: printSource(source),
    suggestion: isDocumented ? undefined : nearestName(source.entity, ENTITY_NAMES),
  };
}

function windowOf(entity: Entity | undefined, window: Literal | undefined): number | undefined {
  if (entity?.parameters?.hasWindow !== true) return undefined;
  return window?.kind === "timespan" ? window.milliseconds : DEFAULT_WINDOW_MS;
}

function expressionsOf(operator: TableOperator): readonly Expression[] {
  switch (operator.kind) {
    case "count":
    case "distinct":
    case "join":
    case "take":
      return [];
    case "order":
      return operator.by.map(({ value }) => value);
    case "project":
      return operator.columns.map(({ value }) => value);
    case "summarize":
      return [...operator.aggregates, ...operator.by].map(({ value }) => value);
    case "top":
      return [operator.by.value];
    case "where":
      return [operator.predicate];
  }
}

function collectFunctions(expression: Expression, functions: Set<string>): void {
  switch (expression.kind) {
    case "call":
      functions.add(expression.name);
      for (const argument of expression.arguments) collectFunctions(argument, functions);
      return;
    case "binary":
      collectFunctions(expression.left, functions);
      collectFunctions(expression.right, functions);
      return;
    case "negation":
      collectFunctions(expression.operand, functions);
      return;
    default:
  }
}
