import { expect, test } from "vitest";
import {
  dueAt,
  gapBetween,
  MAX_KEY,
  RANGE_KEYS,
  rangeBehind,
  rangeOf,
  resumedPace,
} from "./key-ranges.ts";

const FIRST = 16_777_216;

test("ranges are fixed, touch each other, and hold their keys", () => {
  const range = rangeOf(FIRST + 5);
  expect(range).toEqual({ after: FIRST - 1, through: FIRST + RANGE_KEYS - 1 });
  expect([rangeOf(FIRST), rangeOf(FIRST + RANGE_KEYS - 1)]).toEqual([range, range]);
  expect(rangeBehind(range)?.after).toBe(range.through);
  expect(rangeOf(0).after).toBe(-1);
});

test("no range goes beyond the highest key, and there is none behind the last", () => {
  expect(rangeOf(MAX_KEY).through).toBe(MAX_KEY);
  expect(rangeBehind(rangeOf(MAX_KEY))).toBeUndefined();
});

test("gaps reach from the lowest number to the highest, and neighbours have none between them", () => {
  const first = rangeOf(FIRST);
  expect(gapBetween(undefined, first)).toEqual({ after: -1, through: first.after });
  expect(gapBetween(first, rangeBehind(first))).toBeUndefined();
  expect(gapBetween(first, undefined)).toEqual({
    ...{ after: first.through, through: Number.MAX_SAFE_INTEGER },
  });
});

test("parts are due four at a time over the whole span, those beyond it and those of a first scan at once", () => {
  const pace = { beganAt: 1_000, spanMs: 100, parts: 16 };
  expect([0, 3, 4, 7, 8, 15, 16, 19, 99].map((done) => dueAt(pace, done))).toEqual([
    ...[1_000, 1_000, 1_025, 1_025, 1_050, 1_075],
    ...[1_100, 1_100, 1_100],
  ]);
  expect(dueAt({ ...pace, parts: 0 }, 3)).toBe(1_000);
});

test("a scan that is taken up again keeps its pace for what is left of it", () => {
  const pace = resumedPace({ spanMs: 100, parts: 16 }, 8, 5_000);
  expect([dueAt(pace, 8), dueAt(pace, 12)]).toEqual([5_000, 5_025]);
});
