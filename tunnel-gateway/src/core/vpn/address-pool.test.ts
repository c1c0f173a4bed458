import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AddressPool } from "./address-pool.ts";
import type { Place } from "./vpn-ports.ts";

const slices = [{ slots: 8 }, { slots: 8 }];

describe("addresses of clients", () => {
  test("neither the network's, nor the gateway's own, nor the broadcast address is given out", () => {
    const pool = new AddressPool([{ slots: 8 }]);
    const slots = Array.from({ length: 6 }, (_, n) => pool.take(`d${n}`)?.slot);
    expect(slots).toEqual([2, 3, 4, 5, 6, undefined]);
    expect(pool.capacity).toBe(5);
  });

  test("the least loaded tunnel is taken", () => {
    const pool = new AddressPool(slices);
    const tunnels = ["a", "b", "c", "d"].map((key) => pool.take(key)?.tunnel);
    expect(tunnels).toEqual([0, 1, 0, 1]);
  });

  test("whoever comes back gets the address of last time", () => {
    const pool = new AddressPool(slices);
    const first = pool.take("a") as Place;
    pool.release(first);
    pool.take("b");
    expect(pool.take("a")).toEqual(first);
  });

  test("the address that has been free for longest goes to a stranger, and is nobody's habit any more", () => {
    const pool = new AddressPool([{ slots: 8 }]);
    const taken = ["a", "b", "c", "d", "e"].map((key) => pool.take(key) as Place);
    const [ofA, ofB] = taken as [Place, Place];
    pool.release(ofB);
    pool.release(ofA);
    expect(pool.take("stranger")).toEqual(ofB);
    expect(pool.take("b")).toEqual(ofA);
  });

  test("habits survive a restart, claimed addresses are not given twice", () => {
    const kept = { key: "a", place: { tunnel: 1, slot: 5 }, usedAt: 1 };
    const pool = new AddressPool(slices);
    pool.restore([kept]);
    expect(pool.take("a")).toEqual(kept.place);
    expect(pool.claim(kept.place, "b")).toBe(false);
    expect(pool.claim({ tunnel: 0, slot: 2 }, "c")).toBe(true);
    expect(pool.take("d")).toEqual({ tunnel: 0, slot: 3 });
  });

  test.each([
    { tunnel: 2, slot: 3 },
    { tunnel: 0, slot: 1 },
    { tunnel: 0, slot: 7 },
  ])("an address that the pool does not have any more is not claimed: %o", (place) => {
    expect(new AddressPool(slices).claim(place, "a")).toBe(false);
  });
});

describe("addresses of pools", () => {
  const halves = [{ name: "upper", slots: [0, 1].map((tunnel) => ({ tunnel, first: 4, end: 8 })) }];

  test("are given to those who ask for the pool, the rest to all others", () => {
    const pool = new AddressPool(slices, halves);
    expect(pool.ofPools()).toEqual([
      { pool: "upper", used: 0, capacity: 6 },
      { pool: undefined, used: 0, capacity: 4 },
    ]);
    const upper = Array.from({ length: 7 }, (_, n) => pool.take(`u${n}`, "upper")?.slot);
    expect(upper.toSorted()).toEqual([4, 4, 5, 5, 6, 6, undefined]);
    const others = Array.from({ length: 5 }, (_, n) => pool.take(`o${n}`)?.slot);
    expect(others.toSorted()).toEqual([2, 2, 3, 3, undefined]);
    expect(pool.ofTunnels()).toEqual([
      { used: 5, capacity: 5 },
      { used: 5, capacity: 5 },
    ]);
  });

  test("are spread by what every tunnel carries in all", () => {
    const pool = new AddressPool(slices, halves);
    expect(pool.take("a")?.tunnel).toBe(0);
    expect(pool.take("b", "upper")?.tunnel).toBe(1);
  });

  test("of another pool are nobody's habit: who asks for this one gets one of it", () => {
    const pool = new AddressPool(slices, halves);
    const first = pool.take("a") as Place;
    pool.release(first);
    const second = pool.take("a", "upper") as Place;
    expect([pool.poolOf(first), pool.poolOf(second)]).toEqual([undefined, "upper"]);
    expect(pool.take("a", "no such pool")).toBeUndefined();
  });

  test("are found where a pool lies at the end of a slice, is all of it, or has gaps", () => {
    const whole = new AddressPool(slices, [
      { name: "one", slots: [{ tunnel: 1, first: 0, end: 8 }] },
      {
        name: "gaps",
        slots: [
          { tunnel: 0, first: 5, end: 6 },
          { tunnel: 0, first: 3, end: 4 },
        ],
      },
    ]);
    const slots = (name?: string) =>
      Array.from({ length: 6 }, (_, n) => whole.take(`${name}${n}`, name)).flatMap(
        (place) => place ?? [],
      );
    expect(slots("one").map(({ slot }) => slot)).toEqual([2, 3, 4, 5, 6]);
    expect(slots("gaps").map(({ slot }) => slot)).toEqual([3, 5]);
    expect(slots().map(({ slot }) => slot)).toEqual([2, 4, 6]);
  });
});

/** Odd numbers are of the pool `odd`, which is full exactly where nobody gets an address of it. */
function checkedTake(pool: AddressPool, key: number): Place | undefined {
  const wanted = key % 2 === 1 ? "odd" : undefined;
  const before = pool.ofPools().find((fill) => fill.pool === wanted);
  const place = pool.take(String(key), wanted);
  expect(place === undefined).toBe(before?.used === before?.capacity);
  if (place) expect(pool.poolOf(place)).toBe(wanted);
  return place;
}

test("nobody ever shares an address, and every address can be had", () => {
  const act = fc.oneof(
    fc.record({ kind: fc.constant("take" as const), key: fc.nat({ max: 20 }) }),
    fc.record({ kind: fc.constant("release" as const), key: fc.nat({ max: 20 }) }),
  );
  const range = { tunnel: 1, first: 3, end: 6 };
  fc.assert(
    fc.property(fc.array(act, { maxLength: 200 }), (acts) => {
      const pool = new AddressPool(slices, [{ name: "odd", slots: [range] }]);
      const held = new Map<number, Place>();
      for (const { kind, key } of acts) {
        const holding = held.get(key);
        if (kind === "take" && !holding) {
          const place = checkedTake(pool, key);
          if (place) held.set(key, place);
        } else if (kind === "release" && holding) {
          pool.release(holding);
          held.delete(key);
        }
        const ids = [...held.values()].map(({ tunnel, slot }) => `${tunnel}/${slot}`);
        expect(new Set(ids).size).toBe(ids.length);
        expect(pool.used).toBe(ids.length);
      }
    }),
  );
});
