import fc from "fast-check";
import { expect, test } from "vitest";
import {
  APPLICATION_STATE_WORDS,
  applicationChanges,
  applicationStates,
} from "./application-states.ts";

const NAMES = [
  ...["AppCI", "AppName", "AppStatusType", "AssignmentID", "CollectionID", "DeploymentIntent"],
  ...["DTCI", "DTName", "EnforcementState", "ErrorCode", "InstalledState", "StartTime", "UserName"],
  ...["__proto__", "toString"],
];
const VALUE = fc.oneof(fc.integer({ min: 0, max: 12 }), fc.integer(), fc.jsonValue());
const ROWS = fc.oneof(
  fc.array(fc.oneof(fc.dictionary(fc.constantFrom(...NAMES), VALUE), fc.jsonValue())),
  fc.jsonValue(),
);

test("whatever rows a source tells have states in words, and nothing changes from themselves", () => {
  fc.assert(
    fc.property(ROWS, ROWS, ROWS, (states, errors, others) => {
      const all = applicationStates(states, errors);
      for (const { state, id, error } of all) {
        expect(APPLICATION_STATE_WORDS[state]).toBeTypeOf("string");
        expect(id.length).toBeLessThanOrEqual(4 * 256 + 3);
        if (error !== undefined) expect(state).toBe("failed");
      }
      expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
      expect(applicationChanges(all, all, 10)).toEqual([]);
      const changes = applicationChanges(all, applicationStates(others, errors), 10);
      expect(changes.length).toBeLessThanOrEqual(10);
      for (const { before, after } of changes) expect(before).not.toBe(after);
    }),
  );
});
