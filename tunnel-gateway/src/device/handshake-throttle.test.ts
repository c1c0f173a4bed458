import { expect, test } from "vitest";
import {
  CLOSED_FOR_KNOWN_MS,
  CLOSED_MS,
  HandshakeThrottle,
  MAX_ADDRESSES,
} from "./handshake-throttle.ts";

const MAX_FAILURES = 15;
const HERE = "192.0.2.1";
const MINUTE_MS = 60_000;

function throttle() {
  const clock = { now: 1_000 };
  const one = new HandshakeThrottle(() => clock.now, MAX_FAILURES);
  const fail = (address: string, times: number) => {
    for (let n = 0; n < times; n += 1) one.failed(address);
  };
  return { clock, one, fail };
}

test("the door closes at the limit, to that address alone, and opens again", () => {
  const { clock, one, fail } = throttle();
  fail(HERE, MAX_FAILURES - 1);
  expect(one.isClosedTo(HERE)).toBe(false);
  expect(one.failed(HERE)).toBe(true);
  expect([one.isClosedTo(HERE), one.isClosedTo("192.0.2.2")]).toEqual([true, false]);
  clock.now += CLOSED_MS - 1;
  expect(one.isClosedTo(HERE)).toBe(true);
  clock.now += 1;
  expect(one.isClosedTo(HERE)).toBe(false);
  expect(one.failed(HERE)).toBe(false);
});

test("failures that are a minute apart close nothing", () => {
  const { clock, one, fail } = throttle();
  fail(HERE, MAX_FAILURES - 1);
  clock.now += MINUTE_MS;
  fail(HERE, MAX_FAILURES - 1);
  expect(one.isClosedTo(HERE)).toBe(false);
});

test("where a device has come from, the door is closed for a shorter time", () => {
  const { clock, one, fail } = throttle();
  one.succeeded(HERE);
  fail(HERE, MAX_FAILURES);
  expect(one.isClosedTo(HERE)).toBe(true);
  clock.now += CLOSED_FOR_KNOWN_MS;
  expect(one.isClosedTo(HERE)).toBe(false);
  clock.now += 60 * MINUTE_MS;
  fail(HERE, MAX_FAILURES);
  clock.now += CLOSED_FOR_KNOWN_MS;
  expect(one.isClosedTo(HERE)).toBe(true);
});

test("a /64 of IPv6 is one address", () => {
  const { one, fail } = throttle();
  fail("2001:db8::1", MAX_FAILURES);
  expect([one.isClosedTo("2001:db8::2"), one.isClosedTo("2001:db8:0:1::2")]).toEqual([true, false]);
});

test("of more addresses than are remembered the one that was not heard of for longest is forgotten", () => {
  const { one, fail } = throttle();
  fail(HERE, MAX_FAILURES);
  for (let n = 1; n < MAX_ADDRESSES; n += 1) one.failed(`10.0.${n >> 8}.${n & 255}`);
  expect(one.isClosedTo(HERE)).toBe(true);
  one.failed("10.255.0.1");
  expect(one.isClosedTo(HERE)).toBe(false);
});
