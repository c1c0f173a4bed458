import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { describe, expect, test } from "vitest";
import {
  ACCOUNT_THRESHOLD,
  ADDRESS_THRESHOLD,
  LoginScores,
  MAX_SCORES,
  POINT_DECAY_MS,
} from "./login-scores.ts";

function failing(scores: LoginScores, times: number, address: (n: number) => string): void {
  for (let n = 0; n < times; n++) scores.count(address(n), "admin");
}

describe("an address", () => {
  test("waits from its threshold on, not before", () => {
    const scores = new LoginScores(new FakeClock());
    failing(scores, ADDRESS_THRESHOLD - 1, () => "::1");
    expect(scores.waitMs("::1", "other")).toBe(0);
    failing(scores, 1, () => "::1");
    expect(scores.waitMs("::1", "other")).toBe(POINT_DECAY_MS);
  });

  test("may try again when a point has decayed", () => {
    const clock = new FakeClock();
    const scores = new LoginScores(clock);
    failing(scores, ADDRESS_THRESHOLD, () => "::1");
    clock.advance(POINT_DECAY_MS);
    expect(scores.waitMs("::1", "other")).toBe(0);
  });

  test("of IPv6 is its /64: a guesser does not get another score with another address", () => {
    const scores = new LoginScores(new FakeClock());
    failing(scores, ADDRESS_THRESHOLD, (n) => `2001:db8:0:7::${(n + 1).toString(16)}`);
    expect(scores.waitMs("2001:db8:0:7:1:2:3:4", "other")).toBe(POINT_DECAY_MS);
    expect(scores.waitMs("2001:db8:0:8::1", "other")).toBe(0);
    expect(scores.waitMs("::ffff:192.0.2.1", "other")).toBe(0);
  });

  test("that succeeds keeps no point of it", () => {
    const scores = new LoginScores(new FakeClock());
    for (let n = 0; n < 10 * ADDRESS_THRESHOLD; n++) {
      scores.count("::1", "admin");
      scores.forgive("::1", "admin");
    }
    expect(scores.waitMs("::1", "admin")).toBe(0);
  });
});

test("an account tried from many addresses waits too, and no other account does", () => {
  const scores = new LoginScores(new FakeClock());
  failing(scores, ACCOUNT_THRESHOLD - 1, (n) => `10.0.0.${n}`);
  expect(scores.waitMs("10.9.9.9", "admin")).toBe(0);
  failing(scores, 1, () => "10.1.0.1");
  expect(scores.waitMs("10.9.9.9", "admin")).toBeGreaterThan(0);
  expect(scores.waitMs("10.9.9.9", "other")).toBe(0);
});

test("a clock that is set back while a password is checked keeps nobody out", () => {
  const clock = new FakeClock();
  const scores = new LoginScores(clock);
  scores.count("a", "admin");
  clock.advance(-3_600_000);
  scores.forgive("a", "admin");
  expect(scores.waitMs("a", "admin")).toBe(0);
});

test("scores beyond the bound drop the oldest", () => {
  const scores = new LoginScores(new FakeClock());
  failing(scores, ADDRESS_THRESHOLD, () => "first");
  expect(scores.waitMs("first", "other")).toBeGreaterThan(0);
  failing(scores, MAX_SCORES, (n) => `later ${n}`);
  expect(scores.waitMs("first", "other")).toBe(0);
});
