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

test("nobody ever shares an address, and every address can be had", () => {
  const act = fc.oneof(
    fc.record({ kind: fc.constant("take" as const), key: fc.nat({ max: 20 }) }),
    fc.record({ kind: fc.constant("release" as const), key: fc.nat({ max: 20 }) }),
  );
  fc.assert(
    fc.property(fc.array(act, { maxLength: 200 }), (acts) => {
      const pool = new AddressPool(slices);
      const held = new Map<number, Place>();
      for (const { kind, key } of acts) {
        const holding = held.get(key);
        if (kind === "take" && !holding) {
          const place = pool.take(String(key));
          expect(place === undefined).toBe(held.size === pool.capacity);
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
