import { rejectedCode } from "@isthmus/shared/testing/thrown-code";
import { expect, test } from "vitest";
import { WorkLimit } from "./work-limit.ts";

const never = new AbortController().signal;

function gate() {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { wait: () => promise, open: () => resolve() };
}

test("work runs up to the limit, waits up to the next, and is refused beyond", async () => {
  const limit = new WorkLimit({ underWay: 2, waiting: 1 });
  const started: number[] = [];
  const gates = [gate(), gate(), gate()];
  const runs = gates.map(({ wait }, at) =>
    limit.run(() => {
      started.push(at);
      return wait();
    }, never),
  );
  expect(await rejectedCode(() => limit.run(async () => {}, never))).toBe("authenticator-busy");
  expect(started).toEqual([0, 1]);
  gates[1]?.open();
  await runs[1];
  gates[0]?.open();
  gates[2]?.open();
  await Promise.all(runs);
  expect(started).toEqual([0, 1, 2]);
});

test("who goes away while waiting leaves the place to others, and never runs", async () => {
  const limit = new WorkLimit({ underWay: 1, waiting: 1 });
  const { wait, open } = gate();
  const first = limit.run(wait, never);
  const gone = new AbortController();
  let hasRun = false;
  const second = limit.run(async () => {
    hasRun = true;
  }, gone.signal);
  gone.abort(new Error("gone"));
  await expect(second).rejects.toThrow("gone");
  const third = limit.run(async () => "third", never);
  open();
  await first;
  expect(await third).toBe("third");
  expect(hasRun).toBe(false);
});

test("work that fails gives its place back", async () => {
  const limit = new WorkLimit({ underWay: 1, waiting: 0 });
  const fail = () => limit.run(() => Promise.reject(new Error("broken")), never);
  await expect(fail()).rejects.toThrow("broken");
  await expect(fail()).rejects.toThrow("broken");
  expect(await limit.run(async () => "runs", never)).toBe("runs");
});
