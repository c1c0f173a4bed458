import { expect, test } from "vitest";
import { giveBack } from "./give-back.ts";

test("a buffer that is given back is empty", () => {
  const buffer = Buffer.alloc(100_000, 1);
  giveBack(buffer);
  expect(buffer.length).toBe(0);
});

test("a buffer that shares its memory keeps it", () => {
  const whole = Buffer.alloc(100_000, 1);
  const part = whole.subarray(10, 20);
  giveBack(part);
  expect(part.length).toBe(10);
  expect(whole.length).toBe(100_000);
});
