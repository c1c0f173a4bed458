import { until } from "@isthmus/shared/testing/until";
import { expect, test } from "vitest";
import { Loop } from "./loop.ts";

const HOUR_MS = 3_600_000;

test("a nudge starts the next round at once, one during a round too", async () => {
  let rounds = 0;
  const gate = Promise.withResolvers<void>();
  await using loop = new Loop({
    async round() {
      rounds += 1;
      if (rounds === 1) await gate.promise;
      return false;
    },
    intervalMs: HOUR_MS,
    onError: () => {},
  });
  loop.nudge();
  gate.resolve();
  await until(() => rounds === 2);
  loop.nudge();
  await until(() => rounds === 3);
});

test("what says there is more is asked again without waiting", async () => {
  let rounds = 0;
  await using _loop = new Loop({
    round: async () => {
      rounds += 1;
      return rounds < 5;
    },
    intervalMs: HOUR_MS,
    onError: () => {},
  });
  await until(() => rounds === 5);
});

test("a failure is reported and tried again", async () => {
  let rounds = 0;
  const errors: unknown[] = [];
  await using _loop = new Loop({
    async round() {
      rounds += 1;
      if (rounds < 3) throw new Error(`round ${rounds}`);
      return false;
    },
    intervalMs: HOUR_MS,
    onError: (error) => errors.push(error),
  });
  await until(() => rounds === 3);
  expect(errors).toHaveLength(2);
});

test("disposing waits for the round under way and begins no other", async () => {
  let ended = 0;
  const gate = Promise.withResolvers<void>();
  const loop = new Loop({
    async round() {
      await gate.promise;
      ended += 1;
      return true;
    },
    intervalMs: 1,
    onError: () => {},
  });
  const disposed = loop[Symbol.asyncDispose]();
  gate.resolve();
  await disposed;
  expect(ended).toBe(1);
});
