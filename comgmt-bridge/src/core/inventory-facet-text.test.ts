import { isNestedAtMost } from "@isthmus/shared/link/nesting";
import fc from "fast-check";
import { expect, test } from "vitest";
import { isTextNestedAtMost } from "./inventory-facet-text.ts";

test("a text is nested as deep as the value that it is the text of", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), fc.nat(7), (value, depth) => {
      expect(isTextNestedAtMost(JSON.stringify(value), depth)).toBe(isNestedAtMost(value, depth));
    }),
  );
});

test("brackets and quotation marks in strings count for nothing", () => {
  const text = JSON.stringify({ '[[{"\\': ['"[[', '\\"', "\\\\"] });
  expect([isTextNestedAtMost(text, 2), isTextNestedAtMost(text, 1)]).toEqual([true, false]);
});
