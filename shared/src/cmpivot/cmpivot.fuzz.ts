import fc from "fast-check";
import { expect, test } from "vitest";
import { brokenQueries, shuffledWords } from "../testing/broken-queries.ts";
import { fuzzRuns } from "../testing/fuzz-runs.ts";
import { generatedQueries } from "../testing/generated-queries.ts";
import { thrownCode } from "../testing/thrown-code.ts";
import { columnsOf } from "./columns.ts";
import { MAX_NESTING, MAX_QUERY_CHARACTERS } from "./limits.ts";
import { parseQuery } from "./parser.ts";
import { printQuery } from "./printer.ts";
import { QueryError } from "./query-error.ts";
import { readsOf } from "./reads.ts";
import type { Query } from "./tree.ts";

/** The tree of a text; undefined for a `QueryError`, and nothing else may be thrown. */
function treeOf(text: string): Query | undefined {
  try {
    return parseQuery(text);
  } catch (error) {
    if (error instanceof QueryError) return undefined;
    throw error;
  }
}

/** A tree without the places of its words: those change with the text. */
function shape(query: Query): unknown {
  return JSON.parse(JSON.stringify(query, (key, value) => (key === "at" ? undefined : value)));
}

function expectRoundTrip(query: Query): void {
  const text = printQuery(query);
  const again = parseQuery(text);
  expect(shape(again)).toEqual(shape(query));
  expect(printQuery(again)).toBe(text);
  expect(text).toMatch(/^[^\p{C}\p{Zl}\p{Zp}]*$/u);
}

test("a query of the language is read, and its canonical text gives the same tree", () => {
  fc.assert(
    fc.property(generatedQueries(), ({ text }) => {
      const query = parseQuery(text);
      expectRoundTrip(query);
    }),
    { numRuns: fuzzRuns(3_000) },
  );
});

test("every entity that a query was made of is among what it reads, and nothing else", () => {
  fc.assert(
    fc.property(generatedQueries(), ({ text, entities }) => {
      const reads = readsOf(parseQuery(text)).entities.map(({ entity }) => entity);
      expect([...new Set(reads)].sort()).toEqual(entities);
    }),
    { numRuns: fuzzRuns(3_000) },
  );
});

test("no query whose columns are all there is refused for a column", () => {
  fc.assert(
    fc.property(generatedQueries(), ({ text }) => {
      expect(() => columnsOf(parseQuery(text))).not.toThrow();
    }),
    { numRuns: fuzzRuns(3_000) },
  );
});

test("a broken query gives a tree that survives printing, or an error", () => {
  fc.assert(
    fc.property(fc.oneof(brokenQueries(), shuffledWords()), (text) => {
      const query = treeOf(text);
      if (query !== undefined) expectRoundTrip(query);
    }),
    { numRuns: fuzzRuns(6_000) },
  );
});

test("any text gives a tree or an error", () => {
  const any = fc.oneof(fc.string({ unit: "binary" }), fc.string({ unit: "grapheme" }));
  const quoted = any.map((text) => `OS | where A == '${text.replaceAll(/['\\\r\n]/g, "\\$&")}'`);
  fc.assert(
    fc.property(fc.oneof(any, quoted), (text) => {
      const query = treeOf(text);
      if (query !== undefined) expectRoundTrip(query);
    }),
    { numRuns: fuzzRuns(6_000) },
  );
});

const OPENINGS = [
  "(",
  "- (",
  "strlen(",
  "iif(A, ",
  "OS | join (",
  "OS | where (",
  "A + (",
  "A-A+A",
];

test("however deep a text nests, it is read or refused", () => {
  const text = fc
    .tuple(
      fc.constantFrom("", "OS | where ", "OS | project "),
      fc.array(fc.constantFrom(...OPENINGS), { minLength: 1, maxLength: 3 }),
      fc.oneof(fc.nat(2 * MAX_NESTING), fc.nat(MAX_QUERY_CHARACTERS)),
      fc.constantFrom("", "A", "OS"),
      fc.boolean(),
    )
    .map(([start, openings, count, middle, isClosed]) => {
      const opening = openings.join("").repeat(count);
      const closings = isClosed ? ")".repeat(opening.split("(").length - 1) : "";
      return start + opening + middle + closings;
    });
  fc.assert(
    fc.property(text, (hostile) => {
      const query = treeOf(hostile);
      if (query !== undefined) expectRoundTrip(query);
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});

test.each([
  "(",
  "-",
  "'",
  '"',
  "/",
  "a",
  "1",
  "a=",
  "|",
  ",",
  "\\",
  "'\\",
  "!",
  "0x",
  " ",
  "\n",
  "datetime(",
])(
  "a million of %j are refused by length alone, and as many as fit are read to their end",
  (piece) => {
    expect(thrownCode(() => parseQuery(piece.repeat(1_000_000)))).toBe("query-too-long");
    treeOf(piece.repeat(Math.floor(MAX_QUERY_CHARACTERS / piece.length)));
    treeOf(`OS | where ${piece.repeat(Math.floor(MAX_QUERY_CHARACTERS / piece.length) - 20)}`);
  },
);
