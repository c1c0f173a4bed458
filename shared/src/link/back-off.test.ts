import { expect, test } from "vitest";
import { BackOff, STABLE_AFTER_MS } from "./back-off.ts";

/** Always the largest number there is, so that a wait is its whole span. */
const largest = { bytes: (count: number) => Buffer.alloc(count, 0xff) };

test("the span doubles with each failure up to half a minute", () => {
  const backOff = new BackOff(largest);
  const waits = Array.from({ length: 9 }, () => Math.round(backOff.next(0)));
  expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
});

test("full jitter: a wait may be nothing at all", () => {
  const backOff = new BackOff({ bytes: (count) => Buffer.alloc(count) });
  backOff.next(0);
  expect(backOff.next(0)).toBe(0);
});

test.each([
  [STABLE_AFTER_MS - 1, 4_000],
  [STABLE_AFTER_MS, 500],
])("after a connection of %i ms the next span is %i ms", (lastedMs, span) => {
  const backOff = new BackOff(largest);
  for (let i = 0; i < 3; i++) backOff.next(0);
  expect(Math.round(backOff.next(lastedMs))).toBe(span);
});

test("after a refusal that needs a person it waits 15 to 60 minutes, and not longer", () => {
  const soonest = new BackOff({ bytes: (count) => Buffer.alloc(count) });
  expect(soonest.afterRefusal()).toBe(900_000);
  expect(Math.round(new BackOff(largest).afterRefusal())).toBe(3_600_000);
});
