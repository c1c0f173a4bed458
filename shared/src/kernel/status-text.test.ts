import { expect, test } from "vitest";
import { checkLines } from "./status-text.ts";

const unmade = { status: "unknown", reason: "not looked at: see login" } as const;

test("each check has a line, and its remedy below it where there is something to do", () => {
  const remedy = "do it";
  expect(
    checkLines([
      { name: "one", status: "healthy", reason: "well", remedy },
      { name: "two", status: "healthy", reason: "well" },
      { name: "three", status: "unhealthy", reason: "broken", remedy },
    ]),
  ).toEqual(["ok    one: well", "ok    two: well", "FAIL  three: broken", "      -> do it"]);
});

test("checks in a row that were not made for the same reason share a line", () => {
  const lines = checkLines([
    { name: "login", status: "unhealthy", reason: "refused" },
    { name: "clock", ...unmade },
    { name: "rights-a", ...unmade },
    { name: "rights-b", ...unmade },
    { name: "name", status: "unknown", reason: "no resolver" },
    { name: "rights-c", ...unmade },
  ]);
  expect(lines).toEqual([
    "FAIL  login: refused",
    "?     clock and 2 more: not looked at: see login",
    "?     name: no resolver",
    "?     rights-c: not looked at: see login",
  ]);
});
