import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { beforeEach, describe, expect, test } from "vitest";
import { KnownPlaces, MAX_KNOWN_ACCOUNTS, MAX_PLACES } from "./known-places.ts";

const DAY_MS = 86_400_000;
const home = { address: "192.0.2.1", certificate: undefined };
const laptop = Buffer.from("certificate of a laptop");

let clock: FakeClock;
let places: KnownPlaces;

beforeEach(() => {
  clock = new FakeClock(1_000 * DAY_MS);
  places = new KnownPlaces({ clock });
});

describe("where somebody has logged in", () => {
  test("guesses are counted on their own, and everywhere else together", () => {
    places.learn("alice", home);
    expect(places.scoredBy("alice", home)).toBe("alice at 192.0.2.1");
    expect(places.scoredBy("alice", { ...home, address: "203.0.113.5" })).toBe("alice");
    expect(places.scoredBy("bob", home)).toBe("bob");
  });

  test("a certificate is known wherever it goes", () => {
    places.learn("alice", { ...home, certificate: laptop });
    const abroad = { address: "203.0.113.5", certificate: laptop };
    expect(places.scoredBy("alice", abroad)).toMatch(/^alice at certificate [0-9a-f]{32}$/);
    const other = { ...abroad, certificate: Buffer.from("another") };
    expect(places.scoredBy("alice", other)).toBe("alice");
  });

  test("is forgotten after 30 days without a login there, and not before", () => {
    places.learn("alice", home);
    clock.advance(30 * DAY_MS - 1);
    expect(places.scoredBy("alice", home)).toBe("alice at 192.0.2.1");
    clock.advance(1);
    expect(places.scoredBy("alice", home)).toBe("alice");
  });

  test("stays known where the clock is set back", () => {
    places.learn("alice", home);
    clock.advance(-400 * DAY_MS);
    expect(places.scoredBy("alice", home)).toBe("alice at 192.0.2.1");
    places.learn("alice", home);
    expect(places.takeChanges().put).toMatchObject([{ seenAt: clock.now() }]);
  });

  test("is a limited number of places, of which the last ones count", () => {
    for (let n = 0; n <= MAX_PLACES; n += 1) places.learn("alice", { ...home, address: `${n}` });
    expect(places.scoredBy("alice", { ...home, address: "0" })).toBe("alice");
    expect(places.scoredBy("alice", { ...home, address: "1" })).toBe("alice at 1");
  });

  test("is known of a limited number of accounts, of which the last ones count", () => {
    for (let n = 0; n <= MAX_KNOWN_ACCOUNTS; n += 1) places.learn(`user${n}`, home);
    expect(places.scoredBy("user0", home)).toBe("user0");
    expect(places.scoredBy("user1", home)).toBe("user1 at 192.0.2.1");
  });
});

describe("what the store is told", () => {
  test("is each place once in a day, however often somebody logs in", () => {
    for (let n = 0; n < 100; n += 1) places.learn("alice", home);
    expect(places.takeChanges().put).toHaveLength(1);
    places.learn("alice", home);
    expect(places.takeChanges()).toEqual({ put: [], drop: [] });
    clock.advance(DAY_MS);
    places.learn("alice", home);
    expect(places.takeChanges().put).toMatchObject([{ account: "alice", seenAt: clock.now() }]);
  });

  test("is told again where the store could not take it", () => {
    places.learn("alice", home);
    const changes = places.takeChanges();
    places.giveBack(changes);
    expect(places.takeChanges()).toEqual(changes);
  });

  test("comes back, but for what is too old, which leaves the store", () => {
    places.learn("alice", home);
    clock.advance(20 * DAY_MS);
    places.learn("alice", { ...home, address: "203.0.113.5" });
    const { put } = places.takeChanges();
    clock.advance(10 * DAY_MS);
    const next = new KnownPlaces({ clock });
    next.restore(put);
    expect(next.scoredBy("alice", home)).toBe("alice");
    expect(next.takeChanges()).toEqual({
      put: [],
      drop: [{ account: "alice", place: "192.0.2.1" }],
    });
  });
});
