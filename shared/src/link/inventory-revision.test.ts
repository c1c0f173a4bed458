import { expect, test } from "vitest";
import { isPlausibleRevision } from "./inventory-revision.ts";

const NOW = Date.UTC(2026, 0, 1);
const HIGHEST = (NOW + 86_400_000) * 1_000;

test("a revision is at most a thousand for each millisecond there was, and a day for clocks", () => {
  expect(isPlausibleRevision(0, NOW)).toBe(true);
  expect(isPlausibleRevision(HIGHEST - 1, NOW)).toBe(true);
  expect(isPlausibleRevision(HIGHEST, NOW)).toBe(true);
  expect(isPlausibleRevision(HIGHEST + 1, NOW)).toBe(false);
  expect(isPlausibleRevision(Number.MAX_SAFE_INTEGER, NOW)).toBe(false);
});

test("above the highest one there is room for a century of changes", () => {
  expect(HIGHEST).toBeLessThan(Number.MAX_SAFE_INTEGER / 2);
});
