import type { BinaryOperator, JoinKind } from "./language.ts";
import type { Position } from "./query-error.ts";

/** A query as a tree. `(A | x) | y` and `A | x | y` are the same tree. */
export interface Query {
  readonly source: Source;
  readonly operators: readonly TableOperator[];
}

/** An entity, with its arguments where it takes some: `Registry('hklm:\\SOFTWARE\\*')`. */
export interface Source {
  /** As documented; as written where the documentation does not have it, e.g. a class of the own inventory. */
  readonly entity: string;
  readonly arguments: readonly Literal[];
  readonly at: Position;
}

export type TableOperator =
  | { readonly kind: "count" }
  /** No columns: all of them, `distinct *`. */
  | { readonly kind: "distinct"; readonly columns: readonly Column[] }
  | { readonly kind: "join"; readonly joinKind: JoinKind | undefined; readonly query: Query }
  | { readonly kind: "order"; readonly by: readonly Ordering[] }
  | { readonly kind: "project"; readonly columns: readonly Item[] }
  | {
      readonly kind: "summarize";
      readonly aggregates: readonly Item[];
      readonly by: readonly Item[];
    }
  | { readonly kind: "take"; readonly rows: number }
  | { readonly kind: "top"; readonly rows: number; readonly by: Ordering }
  | { readonly kind: "where"; readonly predicate: Expression };

/** An expression with or without a name of its own: `OSVersion=Caption`. */
export interface Item {
  readonly name: string | undefined;
  readonly value: Expression;
}

export interface Ordering {
  readonly value: Expression;
  readonly direction: "asc" | "desc" | undefined;
}

export type Expression = Literal | Column | Call | Binary | Negation;

export type Literal =
  | { readonly kind: "string"; readonly value: string; readonly at: Position }
  /** `text` in decimal digits, with a fraction and an exponent where it was written with one. */
  | { readonly kind: "number"; readonly text: string; readonly at: Position }
  | { readonly kind: "bool"; readonly value: boolean; readonly at: Position }
  | TimespanLiteral
  /** `2015-12-31`, `2015-12-31 23:59` or with seconds; always UTC. */
  | { readonly kind: "datetime"; readonly text: string; readonly at: Position };

export interface TimespanLiteral {
  readonly kind: "timespan";
  readonly text: string;
  readonly milliseconds: number;
  readonly at: Position;
}

export interface Column {
  readonly kind: "column";
  readonly name: string;
  readonly at: Position;
}

export interface Call {
  readonly kind: "call";
  readonly name: string;
  readonly arguments: readonly Expression[];
  readonly at: Position;
}

export interface Binary {
  readonly kind: "binary";
  readonly operator: BinaryOperator;
  readonly left: Expression;
  readonly right: Expression;
  readonly at: Position;
}

export interface Negation {
  readonly kind: "negation";
  readonly operand: Expression;
  readonly at: Position;
}
