import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { bindRefusalOf } from "./bind-refusal.ts";

const MARK = "AcceptSecurityContext error, data ";

test("any text gives a reason of ours or none, and none without the words of Active Directory", () => {
  const marked = fc.tuple(fc.string(), fc.string()).map((parts) => parts.join(MARK));
  fc.assert(
    fc.property(fc.oneof(fc.string(), marked), (text) => {
      const reason = bindRefusalOf(text);
      if (reason === undefined) return;
      expect(text.toLowerCase()).toContain(MARK.toLowerCase());
      expect(reason).toMatch(/^[a-z]+(-[a-z]+)+$/);
    }),
    { numRuns: fuzzRuns(1_000) },
  );
});

test("the number counts, however it is padded and whatever stands around it", () => {
  const around = fc.string({ maxLength: 100 }).filter((text) => !text.includes("Accept"));
  fc.assert(
    fc.property(around, around, fc.nat({ max: 5 }), (before, after, zeros) => {
      const text = `${before} ${MARK}${"0".repeat(zeros)}775, ${after}`;
      expect(bindRefusalOf(text)).toBe("account-locked");
    }),
    { numRuns: fuzzRuns(1_000) },
  );
});
