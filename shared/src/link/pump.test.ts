import { expect, test } from "vitest";
import { until } from "../testing/until.ts";
import { Pump } from "./pump.ts";

function fail(error: unknown): never {
  throw error;
}

test("a step is repeated while there is more, one at a time", async () => {
  let left = 5;
  let running = 0;
  let mostRunning = 0;
  const pump = new Pump(async () => {
    running += 1;
    mostRunning = Math.max(mostRunning, running);
    await Promise.resolve();
    running -= 1;
    left -= 1;
    return left > 0;
  }, fail);
  pump.start();
  pump.start();
  await until(() => left <= 0 && running === 0);
  expect(mostRunning).toBe(1);
});

test("a start while the last step runs is not lost", async () => {
  const gate = Promise.withResolvers<void>();
  let steps = 0;
  const pump = new Pump(async () => {
    steps += 1;
    await gate.promise;
    return false;
  }, fail);
  pump.start();
  pump.start();
  gate.resolve();
  await until(() => steps === 2);
});

test("after a failure the pump rests until it is started again", async () => {
  const failures: unknown[] = [];
  let steps = 0;
  const pump = new Pump(
    async () => {
      steps += 1;
      if (steps === 1) throw new Error("first");
      return false;
    },
    (error) => failures.push(error),
  );
  pump.start();
  await until(() => failures.length === 1);
  expect(steps).toBe(1);
  pump.start();
  await until(() => steps === 2);
  expect(failures).toHaveLength(1);
});
