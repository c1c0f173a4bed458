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

test("guesses at one account count together, however its name is dressed up", () => {
  const names = new UserNames(["example.com"]);
  for (const dressed of [
    "\uff21lice",
    "al\u00adice",
    " al  ice ",
    "al\ufe0fice",
    "ALICE@Example.com",
    // Active Directory compares without accents.
    "\u00e1lice",
    "al\u0130ce",
  ]) {
    expect(names.scoredName(dressed)).toBe("alice");
  }
  expect(names.scoredName("bob")).toBe("bob");
  expect(names.scoredName("x".repeat(300))).toHaveLength(256);
});
