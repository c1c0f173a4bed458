import { expect, test } from "vitest";
import { aFewAtATime } from "./a-few-at-a-time.ts";

const numbers = Array.from({ length: 3_000 }, (_, at) => at);

test("of many steps a few are under way at once, and what they make comes in their order", async () => {
  let underWay = 0;
  let most = 0;
  const made = await aFewAtATime(numbers, async (number) => {
    underWay += 1;
    most = Math.max(most, underWay);
    for (let turns = number % 3; turns >= 0; turns -= 1) await Promise.resolve();
    underWay -= 1;
    return number * 2;
  });
  expect(made).toEqual(numbers.map((number) => number * 2));
  expect(most).toBe(16);
});

test("after a step that fails none begins", async () => {
  let begun = 0;
  const failing = aFewAtATime(numbers, async (number) => {
    begun += 1;
    await Promise.resolve();
    if (number === 20) throw new Error("refused");
  });
  await expect(failing).rejects.toThrow("refused");
  const then = begun;
  for (let turns = 0; turns < 50; turns += 1) await Promise.resolve();
  expect(begun).toBe(then);
  expect(begun).toBeLessThan(60);
});

test("it fails once those that were under way have ended, with what failed first", async () => {
  const slow = Promise.withResolvers<never>();
  let hasFailed = false;
  const failing = aFewAtATime([1, 2, 3], async (number) => {
    if (number === 2) throw new Error("refused");
    return await slow.promise;
  }).catch(({ message }) => {
    hasFailed = true;
    return message;
  });
  for (let turns = 0; turns < 50; turns += 1) await Promise.resolve();
  expect(hasFailed).toBe(false);
  slow.reject(new Error("late"));
  expect(await failing).toBe("refused");
});

test("of nothing nothing is made", async () => {
  expect(await aFewAtATime([], async () => 1)).toEqual([]);
});
