import { expect, test } from "vitest";
import { msUntil } from "./wait-until.ts";

test("it is waited until a time, and for no longer than that can be away", () => {
  expect(msUntil(5_000, 1_000, 10_000)).toBe(4_000);
  expect(msUntil(5_000, 9_000, 10_000)).toBe(1);
  // The clock was put back.
  expect(msUntil(5_000, -864_000_000, 10_000)).toBe(10_000);
});
