import { ProtocolError } from "../errors.ts";

/** A place in the text of a query. Lines and columns are counted from 1, columns in UTF-16 code units. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Why a text is no CMPivot query. One code for each thing that a person would do about it. */
export type QueryErrorCode =
  | "query-too-long"
  | "query-character-refused"
  | "query-literal-malformed"
  | "query-syntax"
  | "query-operator-unknown"
  | "query-function-unknown"
  | "query-outside-language"
  | "query-render-refused"
  | "query-arguments-wrong"
  | "query-aggregate-misplaced"
  | "query-column-repeated"
  | "query-column-unknown"
  | "query-type-wrong"
  | "query-too-many-joins"
  | "query-too-many-columns"
  | "query-nested-too-deeply";

/** A text that is no CMPivot query, with the place where it stops being one. */
export class QueryError extends ProtocolError {
  readonly position: Position;

  constructor(code: QueryErrorCode, position: Position, message: string) {
    super(code, `line ${position.line}, column ${position.column}: ${message}`);
    this.position = position;
  }
}
