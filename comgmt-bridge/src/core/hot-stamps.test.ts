import { expect, test } from "vitest";
import { OVERLAP_MS, readStamps, SeenRows, since } from "./hot-stamps.ts";

test("a look begins a minute before the last one; the first has no beginning", () => {
  const stamps = readStamps(JSON.stringify({ at: { Device: 100_000 }, highest: {} }));
  expect([since(stamps, "Device"), since(stamps, "Script")]).toEqual([
    100_000 - OVERLAP_MS,
    undefined,
  ]);
});

test.each([undefined, "", "{", "7", '{"at":{"Device":"x"}}'])(
  "%j says nothing of the past",
  (text) => {
    expect(readStamps(text)).toEqual({ at: {}, highest: {} });
  },
);

test("a row is news once, and again when it is another", () => {
  const seen = new SeenRows();
  const states = ["a", "a", "b", "b", "a"];
  expect(states.map((state) => seen.isNews("Device 1", state))).toEqual([
    true,
    false,
    true,
    false,
    true,
  ]);
});

test("what was seen is remembered for many rows, and the oldest are forgotten", () => {
  const seen = new SeenRows();
  for (let row = 0; row < 200_000; row += 1) seen.isNews(`Device ${row}`, "a");
  expect(seen.isNews("Device 0", "a")).toBe(false);
  for (let row = 200_000; row < 600_000; row += 1) seen.isNews(`Device ${row}`, "a");
  expect([seen.isNews("Device 599999", "a"), seen.isNews("Device 0", "a")]).toEqual([false, true]);
});
