import { expect, test } from "vitest";
import { UserNames } from "./user-names.ts";

test.each([
  ["alice@example.com", "ALICE@Example.Com", true],
  ["alice@example.com", "alice", true],
  ["alice@corp.example", "alice@example.com", false],
  ["alice@corp.example", "alice", false],
  ["@example.com", "", false],
])("%s and %s: %s", (one, other, isSame) => {
  expect(new UserNames(["example.com"]).isSame(one, other)).toBe(isSame);
});

test("no domain may be left out unless the configuration lists it", () => {
  expect(new UserNames([]).isSame("alice@example.com", "alice")).toBe(false);
});
