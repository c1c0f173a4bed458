import { expect, test } from "vitest";
import { Turnstile } from "./turnstile.ts";

test("lets as many in as it has places, the next when one has left, in the order of coming", async () => {
  const turnstile = new Turnstile(2);
  const inside: string[] = [];
  const enter = async (name: string) => {
    const leave = await turnstile.enter();
    inside.push(name);
    return leave;
  };
  const first = await enter("a");
  await enter("b");
  const waiting = [enter("c"), enter("d")];
  await Promise.resolve();
  expect(inside).toEqual(["a", "b"]);
  first();
  first();
  await waiting[0];
  expect(inside).toEqual(["a", "b", "c"]);
  (await waiting[0])?.();
  await waiting[1];
  expect(inside).toEqual(["a", "b", "c", "d"]);
});
