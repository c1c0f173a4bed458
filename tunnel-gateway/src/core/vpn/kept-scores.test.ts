import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { beforeEach, describe, expect, test } from "vitest";
import { MAX_KEPT_SCORES, Scores } from "./scores.ts";

const rules = { failurePoints: 10, banAtPoints: 40, banSeconds: 60, halfLifeSeconds: 100 };
let clock: FakeClock;
let scores: Scores;

beforeEach(() => {
  clock = new FakeClock(1_000_000_000);
  scores = new Scores({ clock, rules: () => rules });
});

function charge(times: number, key: string) {
  for (let n = 0; n < times; n += 1) scores.charge("account", key);
}
const keysOf = (of: readonly { readonly key: string }[]) => of.map(({ key }) => key);

describe("what is kept of scores across a restart", () => {
  test("are bans and what is half way to one, each once however many guesses there were", () => {
    charge(1, "little");
    charge(2, "half");
    charge(4, "banned");
    expect(keysOf(scores.takeChanges(100).put)).toEqual(["banned", "half"]);
    expect(scores.takeChanges(100)).toEqual({ put: [], drop: [] });
  });

  test("is taken up as it was, and a ban ends when it would have", () => {
    charge(4, "banned");
    charge(3, "near");
    const next = new Scores({ clock, rules: () => rules });
    next.restore(scores.takeChanges(100).put);
    expect(next.bans()).toEqual(scores.bans());
    expect(next.charge("account", "near")).toBeDefined();
    clock.advance(60_000);
    expect(next.bannedUntil("account", "banned")).toBeUndefined();
  });

  test("leaves the store when it is forgiven or time has forgiven it", () => {
    charge(4, "a");
    charge(4, "b");
    scores.takeChanges(100);
    scores.clear(["a"]);
    expect(scores.takeChanges(100)).toEqual({ put: [], drop: [{ kind: "account", key: "a" }] });
    clock.advance(1_000_000);
    scores.sweep();
    expect(scores.takeChanges(100)).toEqual({ put: [], drop: [{ kind: "account", key: "b" }] });
  });

  test("is told again where the store could not take it", () => {
    charge(4, "a");
    scores.giveBack(scores.takeChanges(100));
    expect(keysOf(scores.takeChanges(100).put)).toEqual(["a"]);
    scores.clear();
    scores.giveBack(scores.takeChanges(100));
    expect(keysOf(scores.takeChanges(100).drop)).toEqual(["a"]);
  });

  test("is no more at a time than asked for, and no more in all than the limit; the rest waits", () => {
    for (let n = 0; n < MAX_KEPT_SCORES + 10; n += 1) charge(4, `name${n}`);
    expect(scores.takeChanges(500).put).toHaveLength(500);
    expect(scores.takeChanges(100_000).put).toHaveLength(MAX_KEPT_SCORES - 500);
    expect(scores.takeChanges(100_000).put).toHaveLength(0);
    scores.clear(["name0"]);
    expect(scores.takeChanges(100_000)).toMatchObject({ put: [{}], drop: [{ key: "name0" }] });
  });
});

describe("a clock that jumps", () => {
  test("back makes no ban longer than it was, in the same life and after a restart", () => {
    charge(4, "a");
    const next = new Scores({ clock, rules: () => rules });
    next.restore(scores.takeChanges(100).put);
    clock.advance(-86_400_000);
    for (const one of [scores, next]) {
      expect(one.bannedUntil("account", "a")).toBe(clock.now() + 60_000);
      expect(one.points("account", "a")).toBeCloseTo(40);
    }
    clock.advance(100_000);
    for (const one of [scores, next]) {
      expect(one.bannedUntil("account", "a")).toBeUndefined();
      expect(one.points("account", "a")).toBeCloseTo(20);
    }
  });
});

test("who forgives an account forgives it wherever it was guessed from, and no other", () => {
  charge(4, "alice");
  charge(4, "alice at 192.0.2.1");
  charge(4, "alice2");
  expect(scores.clear(["alice"])).toBe(2);
  expect(keysOf(scores.bans())).toEqual(["alice2"]);
});
