import { expect, test } from "vitest";
import { LearntLimit } from "./learnt-limit.ts";

function answer(limit: LearntLimit, times: number): void {
  for (let time = 0; time < times; time += 1) limit.answered();
}

test("what was not taken is not asked for until a thousand smaller requests were answered, and then little by little", () => {
  const limit = new LearntLimit(100);
  answer(limit, 5_000);
  expect(limit.now).toBe(100);
  limit.lower(1);
  answer(limit, 999);
  expect(limit.now).toBe(1);
  answer(limit, 1);
  expect(limit.now).toBe(2);
  limit.lower(1);
  answer(limit, 999);
  expect(limit.now).toBe(1);
  answer(limit, 7_001);
  expect(limit.now).toBe(100);
});

test("it is never less than one, and is not raised by being lowered", () => {
  const limit = new LearntLimit(16);
  limit.lower(0);
  expect(limit.now).toBe(1);
  limit.lower(8);
  expect(limit.now).toBe(1);
});
