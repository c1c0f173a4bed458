import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { guardrails } from "./bridge-configuration.ts";

const accepts = (deletions: object) => guardrails.safeParse({ deletions }).success;

test("without a section 2 % of a kind, and any 5 records, may be deleted without an approval", () => {
  expect(guardrails.parse({}).deletions).toEqual({ maxShare: 0.02, minimum: 5 });
});

test.each([
  ["maxShare", 0, 1, 1.01],
  ["minimum", 0, 10_000, 10_001],
] as const)("%s has bounds", (key, least, most, tooMuch) => {
  expect([least, most].every((value) => accepts({ [key]: value }))).toBe(true);
  expect([-1, tooMuch, "1"].some((value) => accepts({ [key]: value }))).toBe(false);
});

test("a word that is not a key is refused", () => {
  expect(accepts({ maxshare: 0.1 })).toBe(false);
});

test("the page about synchronising names every key with its default", () => {
  const place = new URL("../../../docs/comgmt-bridge/sync.md", import.meta.url);
  const page = readFileSync(place, "utf8");
  const defaults = Object.entries(guardrails.parse({}).deletions);
  const rows = defaults.map(([key, value]) => `| \`${key}\` | ${value} |`);
  expect(rows.filter((row) => !page.includes(row))).toEqual([]);
});
