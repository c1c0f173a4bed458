import { beforeEach, expect, test } from "vitest";
import type { ReadEvent } from "../core/client-events.ts";
import { InventoryStore } from "../testing/inventory-store.ts";

const DAY_MS = 86_400_000;
const source = "CM1";
let store: InventoryStore;

const takeLease = (lease: number) => store.run("takeLease", { source, lease, revision: 0, at: 1 });
function addDevices(...keys: number[]): void {
  const records = keys.map((key) => ({ key: String(key), facets: { identity: '{"Name":"PC"}' } }));
  store.run("applyChanges", {
    ...{ source, kind: "device", lease: 1, at: 1, facets: ["identity"], tombstones: [], records },
  });
}

beforeEach(() => {
  store = new InventoryStore();
  takeLease(1);
  addDevices(1, 2);
  store.told();
});

const event = (n: number, more: Partial<ReadEvent> = {}): ReadEvent => ({
  id: n.toString(16).padStart(16, "0").split("").toReversed().join(""),
  at: n,
  ...more,
});
const apply = (
  events: readonly ReadEvent[],
  of: { key?: number; lease?: number; at?: number } = {},
) => store.run("applyEvents", { source, lease: 1, at: 100, key: 1, events, ...of }).told;
const told = () => store.told().flatMap((entry) => (entry.type === "client-events" ? [entry] : []));

test("an event is told when an answer holds it for the first time", () => {
  expect(apply([event(1), event(2)])).toBe(2);
  expect(apply([event(1), event(2)])).toBe(0);
  expect(apply([event(2), event(3)])).toBe(1);
  expect(told()).toEqual([
    { type: "client-events", source, lease: 1, at: 100, key: "1", events: [event(1), event(2)] },
    { type: "client-events", source, lease: 1, at: 100, key: "1", events: [event(3)] },
  ]);
});

test("an event without a time is told with that of its reading", () => {
  apply([event(1, { at: undefined })]);
  expect(told()[0]?.events[0]?.at).toBe(100);
});

test("under another lease, or in another epoch, all events are told once more", () => {
  apply([event(1)]);
  takeLease(2);
  expect(apply([event(1)], { lease: 2 })).toBe(1);
  expect(apply([event(1)], { lease: 2 })).toBe(0);
  store.beginEpoch();
  expect(apply([event(1)], { lease: 2 })).toBe(1);
});

test("nothing is told under a lease that is over, and nothing of a device that is not known", () => {
  takeLease(2);
  expect(() => apply([event(1)])).toThrow(expect.objectContaining({ code: "lease-not-held" }));
  expect(apply([event(1)], { lease: 2, key: 3 })).toBe(0);
  expect(told()).toEqual([]);
});

test("two thousand long events go in entries that fit the wire", () => {
  const message = "\u0001ü".repeat(2_048);
  const events = Array.from({ length: 2_000 }, (_, n) => event(n, { message }));
  expect(apply(events)).toBe(2_000);
  const entries = told();
  expect(entries.flatMap((entry) => entry.events)).toEqual(events);
  expect(entries.length).toBeGreaterThan(20);
  expect(apply(events)).toBe(0);
});

test("devices are due that are known and were not read since", () => {
  apply([], { at: 100 });
  const due = (before: number) => store.run("devicesDue", { source, keys: [1, 2, 3], before });
  expect(due(100)).toEqual([2]);
  expect(due(101)).toEqual([1, 2]);
  expect(store.run("devicesDue", { source: "CM2", keys: [1], before: 101 })).toEqual([]);
});

test("a walk over all devices finds those that are due part by part, and forgets those long gone", () => {
  const keys = Array.from({ length: 1_500 }, (_, n) => n + 1);
  addDevices(...keys);
  apply([event(1)], { at: 100 });
  const sweep = (after: number, before: number) =>
    store.run("sweepDevices", { source, after, before });
  expect(sweep(-1, 50)).toEqual({ keys: keys.slice(1, 1_000), through: 1_000 });
  expect(sweep(1_000, 50)).toEqual({ keys: keys.slice(1_000), through: undefined });
  sweep(1_000, 101 + 60 * DAY_MS);
  expect(store.rows("SELECT * FROM client_event_reading")).toEqual([]);
});
