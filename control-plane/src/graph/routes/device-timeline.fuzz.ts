import { ProtocolError } from "@isthmus/shared/errors";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { TIMELINE_KINDS } from "../../core/timeline.ts";
import { onlyOptions, topOf } from "../options.ts";
import { timeOf } from "./device-inventory.ts";
import { narrowingOf } from "./device-timeline.ts";

const word = fc.constantFrom(
  ..."kind eventDateTime eq ge gt lt le and or not ( ) 'device.appeared' 'x' 2026-01-01T00:00:00Z 1 null".split(
    " ",
  ),
);
const text = fc.oneof(
  fc.string({ maxLength: 60 }),
  fc.array(word, { maxLength: 24 }).map((words) => words.join(" ")),
  fc.constantFrom("2026-02-30", "2026-02-28T00:00:00Z", "1000", "0", "-1", "99999999"),
);
const query = fc
  .array(fc.tuple(fc.constantFrom("$filter", "$search", "$top", "at", "x"), text), { maxLength: 5 })
  .map((pairs) => new URLSearchParams(pairs));

test("any query of a timeline or of a class is read or refused", () => {
  fc.assert(
    fc.property(query, (given) => {
      try {
        const { kinds = [], from = 0, until = 1 } = narrowingOf(given);
        expect(TIMELINE_KINDS).toEqual(expect.arrayContaining([...kinds]));
        expect([from, until].every(Number.isSafeInteger)).toBe(true);
        expect(Number.isSafeInteger(timeOf(given, "at") ?? 0)).toBe(true);
        expect(topOf(given, 1)).toBeLessThanOrEqual(1_000);
        onlyOptions(given, ["$filter", "$search", "$top", "at"]);
        expect(given.has("x")).toBe(false);
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError);
      }
    }),
    { numRuns: fuzzRuns(3_000) },
  );
});
