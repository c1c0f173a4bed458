import { isNestedAtMost } from "@isthmus/shared/link/nesting";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { isPlainJson } from "./plain-json.ts";

const scalar = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
);
const row = fc.dictionary(fc.string(), fc.oneof(scalar, fc.array(scalar)));
const table = fc.oneof(scalar, row, fc.array(fc.oneof(row, scalar)));

const PIECES = ['"', "\\", "\\u12", "\\u00e4", "[", "]", "{", "}", ",", ":", "-", "0", ".", "e+"];
const piece = fc.oneof(fc.constantFrom(...PIECES, "null", " ", "\n", "\u2028"), fc.string());
/** A text that was cut up: some of it taken out, some put in. */
const mutated = fc
  .tuple(
    fc.oneof(table, fc.jsonValue()).map((value) => JSON.stringify(value)),
    fc.array(fc.tuple(fc.nat(), fc.nat(2), piece), { maxLength: 3 }),
  )
  .map(([text, cuts]) =>
    cuts.reduce((all, [place, count, put]) => {
      const at = place % (all.length + 1);
      return all.slice(0, at) + put + all.slice(at + count);
    }, text),
  );

test("a text that is known as plain JSON is a value of three levels to JSON.parse", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        mutated,
        fc.array(piece).map((all) => all.join("")),
      ),
      (text) => {
        if (isPlainJson(text)) expect(isNestedAtMost(JSON.parse(text), 3)).toBe(true);
      },
    ),
    { numRuns: fuzzRuns(3_000) },
  );
});

test("rows of tables as JSON.stringify writes them are known as plain", () => {
  fc.assert(
    fc.property(table, (value) => {
      expect(isPlainJson(JSON.stringify(value))).toBe(true);
    }),
    { numRuns: fuzzRuns(500) },
  );
});

test.each([
  ...["", " 1", "1 ", "01", "1.", "-", "+1", "1e", "nul", "NaN", "{}{}", "[1,]", "[,]", '{"a":1,}'],
  ...[
    '{"a"}',
    "{a:1}",
    '"',
    '"\\x41"',
    '"\\u12g4"',
    '"\n"',
    "[1",
    "1]",
    '{"a":1]',
    "[[1]]",
    '{"a":{}}',
  ],
])("%j is not known as plain", (text) => {
  expect(isPlainJson(text)).toBe(false);
});

test("a long text of a hostile peer that fails at its end is left to JSON.parse", () => {
  const row = `{"a":["\\u0041${"x".repeat(20)}",-1.5e+3]}`;
  const rows = Array(8_000).fill(row).join(",");
  for (const end of ["", "]}", '"', "\\"]) expect(isPlainJson(`[${rows}${end}`)).toBe(false);
  expect(isPlainJson(`[${rows}]`)).toBe(true);
});
