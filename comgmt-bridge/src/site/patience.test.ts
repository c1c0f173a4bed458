import { ConnectorError } from "@isthmus/shared/errors";
import { systemRandom } from "@isthmus/shared/random";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { expect, test } from "vitest";
import { patiently } from "./patience.ts";

/** How often a step that ends so each time is done, until another ends well or it is given up. */
async function stepsOf(code: string, isRetryable: boolean) {
  let steps = 0;
  const step = async () => {
    steps += 1;
    if (steps > 100) return "enough";
    throw new ConnectorError(code, code, { isRetryable });
  };
  const parts = { clock: new FakeClock(), random: systemRandom, pause: async () => {} };
  const { isDone } = await patiently(step, parts, new AbortController().signal);
  return isDone ? "waited for" : steps;
}

test.each([
  ["page-short", true, 3],
  ["site-class-silent", true, 3],
  ["site-class-interrupted", true, 3],
  ["site-failed", true, 20],
  ["site-forbidden", false, 3],
  ["site-answer-too-large", false, 3],
  ["site-table-too-long", false, 3],
  ["site-timeout", true, "waited for"],
  ["site-circuit-open", true, "waited for"],
  ["site-throttled", true, "waited for"],
  ["site-unauthorized", false, "waited for"],
] as const)("%s (to be repeated: %s) ends a step after %s", async (code, isRetryable, times) => {
  expect(await stepsOf(code, isRetryable)).toBe(times);
});
