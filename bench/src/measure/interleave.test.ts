import { expect, test } from "vitest";
import { interleave } from "./interleave.ts";

test("each subject runs once a round and each comes first in turn", async () => {
  const order: string[] = [];
  const subject = (name: string) => ({
    name,
    run: async (round: number) => {
      order.push(name);
      return `${name}${round}`;
    },
  });
  const samples = await interleave(3, [subject("a"), subject("b")]);
  expect(order).toEqual(["a", "b", "b", "a", "a", "b"]);
  expect(samples.get("a")).toEqual(["a0", "a1", "a2"]);
  expect(samples.get("b")).toEqual(["b0", "b1", "b2"]);
});
