import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { expect, test } from "vitest";
import { MAX_LINES, StrangerLog } from "./stranger-log.ts";

test("a flood of strangers writes a bounded number of lines a second, and how many were left out", () => {
  const clock = new FakeClock();
  const lines: [object, string][] = [];
  const log = new StrangerLog({ info: (fields, message) => lines.push([fields, message]) }, clock);
  for (let count = 0; count < 1_000; count += 1) log.info({ count }, "handshake.failed");
  expect(lines).toHaveLength(MAX_LINES);
  clock.advance(1_000);
  log.info({ count: 1_000 }, "handshake.failed");
  expect(lines.slice(MAX_LINES)).toEqual([
    [{ suppressed: 950 }, "strangers.suppressed"],
    [{ count: 1_000 }, "handshake.failed"],
  ]);
});
