import { expect, test } from "vitest";
import { median, quantile, ratios } from "./statistics.ts";

test("the median of an odd number of samples is the middle one, whatever their order", () => {
  expect(median([9, 1, 10])).toBe(9);
});

test("the median of an even number of samples lies between the middle two", () => {
  expect(median([4, 1, 2, 100])).toBe(3);
});

test("no samples have no median and no quantile", () => {
  expect(median([])).toBeNaN();
  expect(quantile([], 0.5)).toBeNaN();
});

test("the 99th percentile of a hundred samples is the second largest", () => {
  const samples = Array.from({ length: 100 }, (_, index) => 100 - index);
  expect(quantile(samples, 0.99)).toBe(99);
  expect(quantile(samples, 1)).toBe(100);
  expect(quantile(samples, 0.5)).toBe(50);
});

test("ratios are taken pair by pair, so that a slow round weighs on both sides", () => {
  expect(ratios([2, 20], [1, 10])).toEqual([2, 2]);
});

test("samples without a partner have no ratio", () => {
  expect(() => ratios([1, 2], [1])).toThrow(RangeError);
});
