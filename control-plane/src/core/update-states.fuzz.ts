import fc from "fast-check";
import { expect, test } from "vitest";
import { updateStatus } from "./update-states.ts";

const NUMBER = fc.option(fc.oneof(fc.integer({ min: -2, max: 20 }), fc.integer(), fc.double()));

test("whatever numbers a site tells, there are words, and those of an unknown number name it", () => {
  fc.assert(
    fc.property(NUMBER, NUMBER, (status, enforcement) => {
      const { state, words, compliance, enforcementWords } = updateStatus(status, enforcement);
      expect(words).not.toBe("");
      if (status !== null && ![0, 1, 2, 3].includes(status)) {
        expect([state, words, compliance]).toEqual(["unknown", `unknown (${status})`, "unknown"]);
      }
      const isSaid = enforcement !== null && enforcement !== 0;
      expect(enforcementWords !== undefined).toBe(isSaid);
      if (isSaid && !(Number.isInteger(enforcement) && enforcement >= 1 && enforcement <= 14)) {
        expect(enforcementWords).toBe(`unknown (${enforcement})`);
      }
    }),
  );
});
