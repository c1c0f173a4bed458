import { expect, test } from "vitest";
import { Rounds } from "./rounds.ts";

/** Rounds that end when the test says so. */
function heldRounds() {
  const begun: PromiseWithResolvers<void>[] = [];
  const errors: unknown[] = [];
  const rounds = new Rounds(
    () => {
      const round = Promise.withResolvers<void>();
      begun.push(round);
      return round.promise;
    },
    (error) => errors.push(error),
  );
  return { rounds, begun, errors };
}

test("whoever asks during a round waits for that one, and no second one begins beside it", async () => {
  const { rounds, begun } = heldRounds();
  rounds.begin();
  const asked = rounds.run();
  rounds.begin();
  expect(begun).toHaveLength(1);
  begun[0]?.resolve();
  await asked;
  const next = rounds.run();
  expect(begun).toHaveLength(2);
  begun[1]?.resolve();
  await next;
});

test("a round that nobody waits for tells once why it failed, and the next one begins all the same", async () => {
  const { rounds, begun, errors } = heldRounds();
  rounds.begin();
  rounds.begin();
  begun[0]?.reject(new Error("away"));
  await expect(rounds.run()).rejects.toThrow("away");
  expect(errors).toHaveLength(1);
  rounds.begin();
  expect(begun).toHaveLength(2);
});

test("at the end the round under way is waited for, whatever comes of it", async () => {
  const { rounds, begun } = heldRounds();
  rounds.begin();
  let hasEnded = false;
  const ended = rounds[Symbol.asyncDispose]().then(() => {
    hasEnded = true;
  });
  await Promise.resolve();
  expect(hasEnded).toBe(false);
  begun[0]?.reject(new Error("away"));
  await ended;
});
