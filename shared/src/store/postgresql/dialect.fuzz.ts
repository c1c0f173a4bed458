import fc from "fast-check";
import { expect, test } from "vitest";
import { fuzzRuns } from "../../testing/fuzz-runs.ts";
import { Dialect } from "./dialect.ts";

const word = fc.constantFrom(
  "SELECT",
  "a",
  "b_1",
  "max",
  "theName",
  "(",
  ")",
  ",",
  "=",
  " ",
  "\n",
  "1",
);
const quoted = fc
  .tuple(fc.constantFrom("'", '"'), fc.string({ maxLength: 12 }))
  .map(([mark, text]) => mark + text.replaceAll(mark, mark + mark) + mark);
const comment = fc.string({ maxLength: 12 }).map((text) => `--${text.replaceAll("\n", "")}\n`);
const part = fc.oneof(
  word.map((text) => ({ text, placeholders: 0 })),
  quoted.map((text) => ({ text, placeholders: 0 })),
  comment.map((text) => ({ text, placeholders: 0 })),
  fc.constant({ text: " ? ", placeholders: 1 }),
);

test("every placeholder outside of strings and comments is numbered, and strings stay as they are", () => {
  fc.assert(
    fc.property(fc.array(part, { maxLength: 30 }), (parts) => {
      // A space keeps a quote from doubling the one before it.
      const sql = parts.map(({ text }) => text).join(" ");
      const expected = parts.reduce((sum, { placeholders }) => sum + placeholders, 0);
      const { text } = new Dialect(new Map()).translate(sql);
      const outside = text.replaceAll(/'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*/g, "");
      expect(outside).not.toContain("?");
      expect(outside.match(/\$\d+/g)?.length ?? 0).toBe(expected);
      for (const { text: kept } of parts) {
        if (kept.startsWith("'")) expect(text).toContain(kept);
      }
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});
