import { expect, test } from "vitest";
import { figure } from "./figure.ts";
import type { Machine } from "./machine.ts";
import { asJson, asText, type BenchReport, missedBudgets } from "./report.ts";

const machine: Machine = {
  cpu: "Example CPU",
  cores: 2,
  memoryGiB: 8,
  kernel: "6.1",
  node: "24.0.0",
  nodeOpenssl: "3.5.0",
  openssl: "3.0.0",
  nginx: "1.22.1",
  scepserver: "not installed",
  openFiles: "20000",
  loadAverage: 0.1,
  measuredAt: "2026-01-01T00:00:00.000Z",
};

function report(value: number, isJudged = true): BenchReport {
  const figures = [figure("CPU against the floor", "x", [value, value, value], { atMost: 2.5 })];
  return { bench: "scep", seconds: 12, isJudged, outcome: { figures, notes: ["a note"] } };
}

test("a figure at its budget is within it, one above has missed it", () => {
  expect(missedBudgets([report(2.5)])).toEqual([]);
  expect(missedBudgets([report(2.51)])).toEqual([
    "scep: CPU against the floor is 2.51 x, budget <= 2.5",
  ]);
});

test("a figure may have to be at least something", () => {
  const of = (value: number): BenchReport => {
    const figures = [figure("throughput", "x", [value, value], { atLeast: 1.5 })];
    return { bench: "vpn", seconds: 12, isJudged: true, outcome: { figures, notes: [] } };
  };
  expect(missedBudgets([of(1.5)])).toEqual([]);
  expect(missedBudgets([of(1.49)])).toEqual(["vpn: throughput is 1.49 x, budget >= 1.5"]);
  expect(missedBudgets([of(Number.NaN)])).toHaveLength(1);
});

test("a figure that could not be taken has missed its budget", () => {
  expect(missedBudgets([report(Number.NaN)])).toHaveLength(1);
});

test("a scaled-down run misses nothing and says that it was not judged", () => {
  expect(missedBudgets([report(9, false)])).toEqual([]);
  expect(asText(machine, [report(9, false)])).toContain("not judged");
});

test("a bench that could not run counts as missed, with its reason", () => {
  const broken = { bench: "relay", seconds: 0, isJudged: true, outcome: { error: "no nginx" } };
  expect(missedBudgets([broken])).toEqual(["relay: no nginx"]);
  expect(asText(machine, [broken])).toContain("could not run: no nginx");
});

test("the table holds the median, the spread, the budget and the notes", () => {
  const text = asText(machine, [report(3)]);
  expect(text).toMatch(/CPU against the floor +3 +x +3\.\.3 +<= 2\.5 +MISSED/);
  expect(text).toContain("note: a note");
  expect(text).toContain("Example CPU, 2 cores");
});

test("the JSON holds every sample and each verdict", () => {
  const { benches } = JSON.parse(asJson(machine, [report(2)]));
  expect(benches[0].figures[0]).toMatchObject({ value: 2, samples: [2, 2, 2], verdict: "within" });
});
