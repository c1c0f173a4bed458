import { expect, test } from "vitest";
import { RepairPace } from "./repair-pace.ts";

/** How many may be looked into now. */
function taken(pace: RepairPace, isListing: boolean): number {
  let count = 0;
  while (pace.take(isListing).waitMs === 0) count += 1;
  return count;
}

test("a great drift is looked into at once, and what comes without end at a steady rate", () => {
  let now = 1_000;
  const pace = new RepairPace(() => now);
  expect(taken(pace, false)).toBe(600);
  expect(pace.take(false)).toEqual({ waitMs: 1_000 });
  now += 30_000;
  expect(taken(pace, true)).toBe(3);
  expect(pace.take(true)).toEqual({ waitMs: 10_000 });
  now += 3_600_000;
  expect(taken(pace, true)).toBe(60);
});

test("a clock that is put back stops nothing for longer", () => {
  let now = 1_000_000;
  const pace = new RepairPace(() => now);
  taken(pace, false);
  now = 0;
  expect(pace.take(false)).toEqual({ waitMs: 1_000 });
  now += 1_000;
  expect(pace.take(false)).toEqual({ waitMs: 0 });
});
