import { expect, test } from "vitest";
import { NAMED_FAULTS } from "./chaos/chaos.ts";
import { drawSchedule } from "./chaos/schedule.ts";

const drawn = (seed: number, faults = 40) =>
  drawSchedule({ seed, faults, devices: 60 }).map((round) => JSON.stringify(round));

test("the same seed draws the same faults with the same details, and the same load", () => {
  expect(drawn(5)).toEqual(drawn(5));
  expect(drawn(5, 12)).toEqual(drawn(5).slice(0, 12));
  expect(drawn(6)).not.toEqual(drawn(5));
});

test("each named fault comes once before any comes again, in an order that the seed draws", () => {
  const first = (seed: number) =>
    drawSchedule({ seed, faults: NAMED_FAULTS.length, devices: 60 }).map(({ fault }) => fault.name);
  expect([...first(5)].sort()).toEqual([...NAMED_FAULTS].sort());
  expect(first(6)).not.toEqual(first(5));
});
