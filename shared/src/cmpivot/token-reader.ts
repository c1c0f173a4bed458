import { ELSEWHERE } from "./language.ts";
import { MAX_NESTING } from "./limits.ts";
import { type Position, QueryError } from "./query-error.ts";
import type { Token } from "./tokens.ts";

/** Words that cannot be the name of a column. */
const RESERVED: ReadonlySet<string> = new Set([
  ..."and or by asc desc like contains startswith endswith true false kind".split(" "),
  ..."count distinct join order project summarize take top where render".split(" "),
  ...[...ELSEWHERE.keys()].filter((word) => /^[a-z]/.test(word)),
]);

/** Walks over the tokens, one ahead, and says what was expected where something else came. */
export class TokenReader {
  readonly #tokens: readonly Token[];
  #next = 0;
  #nesting = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  /** The next token; `end` again and again behind the last. */
  peek(ahead = 0): Token {
    const last = this.#tokens.length - 1;
    const token = this.#tokens[Math.min(this.#next + ahead, last)];
    if (token === undefined) throw new TypeError("tokens without an end");
    return token;
  }

  take(): Token {
    const token = this.peek();
    this.#next++;
    return token;
  }

  /** Whether the next token is this sign or word. */
  isAt(text: string): boolean {
    const { kind, text: next } = this.peek();
    return (kind === "sign" || kind === "name") && next === text;
  }

  /** Takes the next token if it is this sign or word. */
  accept(text: string): boolean {
    if (!this.isAt(text)) return false;
    this.#next++;
    return true;
  }

  expect(text: string, where: string): void {
    if (!this.accept(text)) throw this.unexpected(`${text} ${where}`);
  }

  /** A name that is no word of the language. */
  name(what: string): { readonly text: string; readonly at: Position } {
    const { kind, text, at } = this.peek();
    if (kind !== "name" || RESERVED.has(text)) throw this.unexpected(what);
    this.#next++;
    return { text, at };
  }

  /** One or more of something, with commas between them. */
  list<Item>(read: () => Item): readonly Item[] {
    const items = [read()];
    while (this.accept(",")) items.push(read());
    return items;
  }

  /** Reads something that stands within something else, to a bounded depth: the parser is as deep as the text is. */
  nested<Value>(read: () => Value): Value {
    if (++this.#nesting > MAX_NESTING) {
      throw new QueryError(
        "query-nested-too-deeply",
        this.peek().at,
        `more than ${MAX_NESTING} parentheses, calls and joins within each other`,
      );
    }
    const value = read();
    this.#nesting--;
    return value;
  }

  /** What to throw where the next token is not what it has to be. */
  unexpected(expected: string): QueryError {
    const token = this.peek();
    const hint = ELSEWHERE.get(token.text);
    if (hint !== undefined && token.kind !== "string") {
      return new QueryError(
        "query-outside-language",
        token.at,
        `CMPivot has no ${token.text}: ${hint}`,
      );
    }
    return new QueryError(
      "query-syntax",
      token.at,
      `expected ${expected}, but ${shown(token)} came`,
    );
  }
}

/** A token as a message shows it, at most a line of it. */
export function shown(token: Token): string {
  const max = 40;
  if (token.kind === "end") return "the end";
  return token.text.length > max ? `${token.text.slice(0, max)}...` : token.text;
}
