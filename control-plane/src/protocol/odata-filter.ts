import { ProtocolError } from "@isthmus/shared/errors";
import { type ODataToken, tokenize } from "./odata-tokens.ts";

/**
 * The part of OData 4.01 `$filter` (URL conventions, section 5.1.1) that this API speaks:
 *
 *     or      := and { "or" and }
 *     and     := term { "and" term }
 *     term    := "not" term | "(" or ")" | match | compare
 *     match   := ("startswith" | "contains") "(" property "," string ")" [ ("eq" | "ne") boolean ]
 *     compare := property ("eq" | "ne" | "gt" | "ge" | "lt" | "le") literal
 *     literal := string | number | time | "true" | "false" | "null"
 */

/** Our own limits: what a person or a tool writes stays far below. */
export const MAX_FILTER_DEPTH = 16;
export const MAX_FILTER_TERMS = 64;

export const COMPARE_OPERATORS = ["eq", "ne", "gt", "ge", "lt", "le"] as const;
export type CompareOperator = (typeof COMPARE_OPERATORS)[number];

export type ODataLiteral =
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "number" | "time"; readonly value: number }
  | { readonly type: "boolean"; readonly value: boolean }
  | { readonly type: "null"; readonly value: null };

export type ODataFilter =
  | { readonly kind: "and" | "or"; readonly operands: readonly ODataFilter[] }
  | { readonly kind: "not"; readonly operand: ODataFilter }
  | {
      readonly kind: "compare";
      readonly property: string;
      readonly operator: CompareOperator;
      readonly literal: ODataLiteral;
      /** Where the term begins: 1 is the first character of the filter. */
      readonly at: number;
    }
  | {
      readonly kind: "startswith" | "contains";
      readonly property: string;
      readonly text: string;
      readonly at: number;
    };

/** Parses `$filter`; throws ProtocolError `odata-syntax`, `odata-too-long`, `odata-too-deep` or `odata-too-many-terms`. */
export function parseFilter(text: string): ODataFilter {
  const parser = new FilterParser(text);
  return parser.whole();
}

class FilterParser {
  readonly #tokens: readonly ODataToken[];
  readonly #length: number;
  #at = 0;
  #terms = 0;

  constructor(text: string) {
    this.#tokens = tokenize(text);
    this.#length = text.length;
  }

  whole(): ODataFilter {
    const filter = this.#chain("or", 1);
    if (this.#at < this.#tokens.length) throw this.#unexpected("and, or or the end");
    return filter;
  }

  /** One operand alone stands for itself; several become one node, so that depth counts parentheses only. */
  #chain(kind: "and" | "or", depth: number): ODataFilter {
    const operands: ODataFilter[] = [];
    do operands.push(kind === "or" ? this.#chain("and", depth) : this.#term(depth));
    while (this.#takeWord(kind));
    const [only] = operands;
    return operands.length === 1 && only !== undefined ? only : { kind, operands };
  }

  #term(depth: number): ODataFilter {
    if (depth > MAX_FILTER_DEPTH) {
      throw new ProtocolError(
        "odata-too-deep",
        `Filter nests deeper than ${MAX_FILTER_DEPTH} at character ${this.#place()}`,
      );
    }
    if (this.#takeWord("not")) return { kind: "not", operand: this.#term(depth + 1) };
    if (this.#take("open")) {
      const inner = this.#chain("or", depth + 1);
      this.#expect("close", "and, or or )");
      return inner;
    }
    this.#terms += 1;
    if (this.#terms > MAX_FILTER_TERMS) {
      throw new ProtocolError(
        "odata-too-many-terms",
        `Filter has over ${MAX_FILTER_TERMS} terms at character ${this.#place()}`,
      );
    }
    return this.#compareOrMatch();
  }

  #compareOrMatch(): ODataFilter {
    const at = this.#place();
    const name = this.#word("a property, startswith(, contains(, not or (");
    if (this.#tokens[this.#at]?.kind === "open") return this.#match(name, at);
    const operator = this.#operator();
    return { kind: "compare", property: name, operator, literal: this.#literal(), at };
  }

  #match(name: string, at: number): ODataFilter {
    if (name !== "startswith" && name !== "contains") {
      const message = `Function ${name} at character ${at} is none of startswith and contains`;
      throw new ProtocolError("odata-syntax", message);
    }
    this.#expect("open", "(");
    const property = this.#word("a property");
    this.#expect("comma", "a comma");
    const token = this.#tokens[this.#at];
    if (token?.kind !== "string") throw this.#unexpected("a string in single quotation marks");
    this.#at += 1;
    this.#expect("close", ")");
    return this.#maybeComparedWithBoolean({ kind: name, property, text: token.text, at });
  }

  /** Some clients write `startswith(a,'b') eq true`. */
  #maybeComparedWithBoolean(match: ODataFilter): ODataFilter {
    const isEqual = this.#takeWord("eq");
    if (!isEqual && !this.#takeWord("ne")) return match;
    const place = this.#at;
    const literal = this.#literal();
    if (literal.type !== "boolean") {
      this.#at = place;
      throw this.#unexpected("true or false");
    }
    return literal.value === isEqual ? match : { kind: "not", operand: match };
  }

  #operator(): CompareOperator {
    const token = this.#tokens[this.#at];
    const operator =
      token?.kind === "word" ? COMPARE_OPERATORS.find((known) => known === token.text) : undefined;
    if (operator === undefined) {
      throw this.#unexpected(`an operator, one of ${COMPARE_OPERATORS.join(", ")}`);
    }
    this.#at += 1;
    return operator;
  }

  #literal(): ODataLiteral {
    const token = this.#tokens[this.#at];
    this.#at += 1;
    if (token?.kind === "string") return { type: "string", value: token.text };
    if (token?.kind === "number") return { type: "number", value: token.value };
    if (token?.kind === "time") return { type: "time", value: token.value };
    if (token?.kind === "word") {
      if (token.text === "null") return { type: "null", value: null };
      if (token.text === "true" || token.text === "false") {
        return { type: "boolean", value: token.text === "true" };
      }
    }
    this.#at -= 1;
    throw this.#unexpected(
      "a value: a string in single quotation marks, a number, a time, true, false or null",
    );
  }

  #word(expected: string): string {
    const token = this.#tokens[this.#at];
    if (token?.kind !== "word") throw this.#unexpected(expected);
    this.#at += 1;
    return token.text;
  }

  #takeWord(text: string): boolean {
    const token = this.#tokens[this.#at];
    const isIt = token?.kind === "word" && token.text === text;
    if (isIt) this.#at += 1;
    return isIt;
  }

  #take(kind: ODataToken["kind"]): boolean {
    const isIt = this.#tokens[this.#at]?.kind === kind;
    if (isIt) this.#at += 1;
    return isIt;
  }

  #expect(kind: ODataToken["kind"], expected: string): void {
    if (!this.#take(kind)) throw this.#unexpected(expected);
  }

  /** Of the next token, or of the end. */
  #place(): number {
    return this.#tokens[this.#at]?.at ?? this.#length + 1;
  }

  #unexpected(expected: string): ProtocolError {
    const found = this.#tokens[this.#at];
    const what = found === undefined ? "the filter ends" : `${words(found)} stands`;
    return new ProtocolError(
      "odata-syntax",
      `$filter: expected ${expected} at character ${this.#place()}, where ${what}`,
    );
  }
}

const SIGNS = { open: "(", close: ")", comma: "," } as const;

function words(token: ODataToken): string {
  switch (token.kind) {
    case "open":
    case "close":
    case "comma":
      return SIGNS[token.kind];
    case "word":
      return token.text.slice(0, 64);
    case "string":
    case "number":
    case "time":
      return `a ${token.kind}`;
  }
}
