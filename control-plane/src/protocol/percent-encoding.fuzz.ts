import { codeOf } from "@isthmus/shared/errors";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { requirePercentEncoding } from "./percent-encoding.ts";

const address = fc
  .array(
    fc.constantFrom(
      "%",
      "%2",
      "%25",
      "%zz",
      "%C3",
      "%c3%a9",
      "%F0%9F%98%80",
      "%ff",
      "a",
      "/",
      "?",
      "é",
    ),
  )
  .map((parts) => parts.join(""));

test("an address is taken if and only if it can be decoded", () => {
  fc.assert(
    fc.property(fc.oneof(address, fc.string()), (text) => {
      expect(outcome(() => requirePercentEncoding(text)) === undefined, text).toBe(
        outcome(() => decodeURIComponent(text)) === undefined,
      );
    }),
    { numRuns: fuzzRuns(5_000) },
  );
});

test("a refusal names the place", () => {
  expect(() => requirePercentEncoding("/a%20b?c=%zz1")).toThrow(/has "%zz" at character 10,/);
  const refused = outcome(() => requirePercentEncoding("%"));
  expect(codeOf(refused)).toBe("address-encoding");
});

function outcome(act: () => void): unknown {
  try {
    act();
    return undefined;
  } catch (error) {
    return error;
  }
}
