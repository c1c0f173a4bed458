import { deepStrictEqual } from "node:assert";
import { crc32 } from "node:zlib";
import { ProtocolError } from "@isthmus/shared/errors";
import { HttpRequests } from "../../protocol/http-requests.ts";
import { SeededRandom } from "./seeded-random.ts";

/** A parser and what has to be true of it for every input. */
export interface FuzzTarget {
  /** Inputs to begin with. */
  readonly corpus: readonly Buffer[];
  /** Texts that mean something to the parser. */
  readonly words: readonly string[];
  /** An input that is worth starting from. */
  generate(random: SeededRandom): Buffer;
  /** Whether the input was read; false where it was refused. Throws where a property does not hold. */
  check(bytes: Buffer): boolean;
}

/** What was read, or the code of the refusal. */
export type Outcome<T> =
  | { readonly isRead: true; readonly value: T }
  | { readonly isRead: false; readonly code: string };

/** What a parser owes to any input: it returns, or throws `ProtocolError` with a code of its own, told by `codes`. */
export function outcomeOf<T>(parse: () => T, codes: RegExp): Outcome<T> {
  try {
    return { isRead: true, value: parse() };
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    holds(codes.test(error.code), `it is refused with ${error.code}, a code of another parser`);
    return { isRead: false, code: error.code };
  }
}

/** A property; its words say what does not hold. */
export function holds(isTrue: boolean, otherwise: string): asserts isTrue {
  if (!isTrue) throw new Error(`does not hold: ${otherwise}`);
}

export function isSame(actual: unknown, expected: unknown, otherwise: string): void {
  try {
    deepStrictEqual(actual, expected);
  } catch (cause) {
    throw new Error(`does not hold: ${otherwise}`, { cause });
  }
}

/** What came out of one connection. */
export interface ReadConnection {
  readonly requests: readonly NonNullable<ReturnType<HttpRequests["next"]>>[];
  /** Code of the refusal that ended it. */
  readonly refusal: string | undefined;
  /** What came behind a CONNECT. */
  readonly rest: Buffer;
}

/** Reads a connection whose bytes come in these pieces, as the gateway does: up to a CONNECT or a refusal. */
export function readConnection(pieces: readonly Buffer[]): ReadConnection {
  const reader = new HttpRequests();
  const requests: ReadConnection["requests"][number][] = [];
  for (const [index, piece] of pieces.entries()) {
    const outcome = outcomeOf(() => {
      reader.push(piece);
      for (let one = reader.next(); one; one = reader.next()) {
        requests.push(one);
        if (one.method === "CONNECT") return true;
      }
      return false;
    }, /^http-/);
    if (!outcome.isRead) return { requests, refusal: outcome.code, rest: Buffer.alloc(0) };
    if (outcome.value) {
      const rest = Buffer.concat([reader.takeRest(), ...pieces.slice(index + 1)]);
      return { requests, refusal: undefined, rest };
    }
  }
  return { requests, refusal: undefined, rest: Buffer.alloc(0) };
}

/** The bytes in up to nine pieces, or one by one where they are few; an input is always cut alike. */
export function cutUp(bytes: Buffer): readonly Buffer[] {
  const random = new SeededRandom(crc32(bytes));
  const isOneByOne = bytes.length < 300 && random.once(16);
  const cuts = isOneByOne
    ? Array.from(bytes.keys())
    : Array.from({ length: random.below(9) }, () => random.below(bytes.length + 1)).sort(
        (one, other) => one - other,
      );
  return [...cuts, bytes.length].map((end, index) => bytes.subarray(cuts[index - 1] ?? 0, end));
}
