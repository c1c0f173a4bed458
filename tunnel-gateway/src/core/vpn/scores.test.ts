import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { beforeEach, describe, expect, test } from "vitest";
import { Scores, scoredAddress } from "./scores.ts";

const rules = { failurePoints: 10, banAtPoints: 30, banSeconds: 60, halfLifeSeconds: 100 };
let clock: FakeClock;
let scores: Scores;

beforeEach(() => {
  clock = new FakeClock();
  scores = new Scores({ clock, rules: () => rules });
});

describe("points for failed logins", () => {
  test("ban at the limit and not below, for the time of a ban", () => {
    expect(scores.charge("account", "a")).toBeUndefined();
    expect(scores.charge("account", "a")).toBeUndefined();
    const ban = scores.charge("account", "a");
    expect(ban?.until).toBe(clock.now() + 60_000);
    expect(scores.bannedUntil("account", "a")).toBe(ban?.until);
    clock.advance(60_000);
    expect(scores.bannedUntil("account", "a")).toBeUndefined();
  });

  test("run out by half in each half-life", () => {
    scores.charge("address", "192.0.2.1");
    scores.charge("address", "192.0.2.1");
    clock.advance(100_000);
    expect(scores.points("address", "192.0.2.1")).toBeCloseTo(10);
    expect(scores.charge("address", "192.0.2.1")).toBeUndefined();
    expect(scores.charge("address", "192.0.2.1")).toBeDefined();
  });

  test("come back where an attempt succeeds, but not those of failures before it", () => {
    scores.charge("address", "192.0.2.1");
    scores.charge("address", "192.0.2.1");
    scores.refund("address", "192.0.2.1", undefined);
    expect(scores.points("address", "192.0.2.1")).toBeCloseTo(10);
  });

  test("a success lifts the ban that only its own attempt brought", () => {
    scores.charge("account", "a");
    scores.charge("account", "a");
    const ban = scores.charge("account", "a");
    scores.refund("account", "a", ban);
    expect(scores.bannedUntil("account", "a")).toBeUndefined();
  });

  test("are listed while they ban, and forgiven on request", () => {
    for (let n = 0; n < 3; n += 1) scores.charge("account", "a");
    scores.charge("account", "b");
    expect(scores.bans().map(({ key }) => key)).toEqual(["a"]);
    expect(scores.clear(["a"])).toBe(1);
    expect(scores.bans()).toEqual([]);
    expect(scores.clear()).toBe(1);
  });

  test("are forgotten once time has forgiven them", () => {
    scores.charge("account", "a");
    clock.advance(1_000_000);
    scores.sweep();
    expect(scores.clear()).toBe(0);
  });

  test("of a banned account outlast a flood of names", () => {
    for (let n = 0; n < 3; n += 1) scores.charge("account", "victim");
    for (let n = 0; n < 60_000; n += 1) scores.charge("account", `name${n}`);
    expect(scores.bannedUntil("account", "victim")).toBeDefined();
    expect(scores.clear()).toBeLessThanOrEqual(50_000);
  });
});

test.each([
  ["192.0.2.1", "192.0.2.1"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["unknown", "unknown"],
])("an IPv6 client is counted by its network: %s", (address, key) => {
  expect(scoredAddress(address)).toBe(key);
});
