import { expect, test } from "vitest";
import type { SqlValue } from "../transaction.ts";
import { requireStorable } from "./pipeline.ts";

test("what both databases hold passes", () => {
  expect(() => requireStorable([null, "", "ä", 1, 0.5, 2n, new Uint8Array([0])])).not.toThrow();
});

test("a text with NUL is refused before it is sent, and fails its own operation alone", () => {
  expect(() => requireStorable(["a\0b"])).toThrow(expect.objectContaining({ code: "store-text" }));
});

test.each<[string, unknown]>([
  ["undefined", undefined],
  ["no number", Number.NaN],
  ["an object", {}],
])("%s is refused before it is sent, and fails its own operation alone", (_, value) => {
  expect(() => requireStorable([value as SqlValue])).toThrow(TypeError);
});
