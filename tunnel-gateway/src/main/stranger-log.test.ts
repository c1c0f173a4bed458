import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { expect, test } from "vitest";
import {
  MAX_ADDRESSES,
  MAX_LINES_A_SECOND,
  MAX_LINES_AN_ADDRESS,
  StrangerLog,
} from "./stranger-log.ts";

const MINUTE_MS = 60_000;

function start() {
  const clock = new FakeClock();
  const lines: [object, string][] = [];
  const log = new StrangerLog({ info: (fields, message) => lines.push([fields, message]) }, clock);
  log.sweep();
  return { clock, lines, log };
}

test("a flood of strangers writes a bounded number of lines a second, and once a minute how many were left out", () => {
  const { clock, lines, log } = start();
  for (let count = 0; count < 1_000; count += 1) log.info({ count }, "handshake.failed");
  expect(lines).toHaveLength(MAX_LINES_A_SECOND);
  clock.advance(1_000);
  log.info({ count: 1_000 }, "handshake.failed");
  expect(lines.at(-1)).toEqual([{ count: 1_000 }, "handshake.failed"]);
  clock.advance(MINUTE_MS - 1_001);
  log.sweep();
  expect(lines).toHaveLength(MAX_LINES_A_SECOND + 1);
  clock.advance(1);
  log.sweep();
  const told = [{ suppressed: 950, noisyAddresses: 0 }, "strangers.suppressed"];
  expect(lines.slice(MAX_LINES_A_SECOND + 1)).toEqual([told]);
  clock.advance(MINUTE_MS);
  log.sweep();
  expect(lines).toHaveLength(MAX_LINES_A_SECOND + 2);
});

test("an address that makes noise has its lines and hides no other; a network of IPv6 is one address", () => {
  const { clock, lines, log } = start();
  for (let count = 0; count < 200; count += 1) {
    log.info({ count }, "handshake.failed", `2001:db8::${count.toString(16)}`);
  }
  expect(lines).toHaveLength(MAX_LINES_AN_ADDRESS);
  log.info({}, "handshake.failed", "192.0.2.1");
  expect(lines).toHaveLength(MAX_LINES_AN_ADDRESS + 1);
  clock.advance(MINUTE_MS);
  log.info({}, "handshake.failed", "2001:db8::1");
  expect(lines.slice(MAX_LINES_AN_ADDRESS + 1)).toEqual([
    [{ suppressed: 190, noisyAddresses: 1 }, "strangers.suppressed"],
    [{}, "handshake.failed"],
  ]);
});

test("more addresses than are counted share the lines of all", () => {
  const { clock, lines, log } = start();
  for (let count = 0; count < MAX_ADDRESSES; count += 1) {
    log.info({}, "handshake.failed", `10.0.${count >> 8}.${count & 255}`);
  }
  clock.advance(1_000);
  const before = lines.length;
  const late = MAX_LINES_AN_ADDRESS + 1;
  for (let count = 0; count < late; count += 1) log.info({}, "handshake.failed", "192.0.2.1");
  expect(lines).toHaveLength(before + late);
});

test("a clock that was set back silences nobody", () => {
  const { clock, lines, log } = start();
  for (let count = 0; count < 1_000; count += 1) log.info({}, "handshake.failed", "192.0.2.1");
  clock.advance(-3_600_000);
  log.info({}, "handshake.failed", "192.0.2.1");
  expect(lines.at(-1)).toEqual([{}, "handshake.failed"]);
});
