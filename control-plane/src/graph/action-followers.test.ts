import { expect, test } from "vitest";
import { ActionFollowers } from "./action-followers.ts";

const LONG_MS = 3_600_000;
const never = new AbortController().signal;

test("a follower is woken by news of its action, and everybody who follows it is", async () => {
  const followers = new ActionFollowers();
  const both = Promise.all([
    followers.next("a", LONG_MS, never),
    followers.next("a", LONG_MS, never),
  ]);
  followers.tell(["b", "a"]);
  await both;
});

test("news of another action wake nobody, the end of the client does", async () => {
  const followers = new ActionFollowers();
  const client = new AbortController();
  let isWoken = false;
  const waiting = followers.next("a", LONG_MS, client.signal).then(() => {
    isWoken = true;
  });
  followers.tell(["b"]);
  await Promise.resolve();
  expect(isWoken).toBe(false);
  client.abort();
  await waiting;
  expect(isWoken).toBe(true);
});

test("without news the wait ends by itself", async () => {
  await new ActionFollowers().next("a", 1, never);
});
