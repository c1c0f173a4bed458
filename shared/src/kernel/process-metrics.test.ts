import type { Gauge } from "prom-client";
import { expect, test } from "vitest";
import { EVENT_LOOP_LOOK_MS, lagOf, processMetrics } from "./process-metrics.ts";

const PERIOD_SECONDS = EVENT_LOOP_LOOK_MS / 1_000;

test("of what is sampled from one look to the next only what is over the period is lag, which is never below 0", () => {
  expect(lagOf(PERIOD_SECONDS + 0.25)).toBeCloseTo(0.25, 9);
  expect(lagOf(PERIOD_SECONDS)).toBe(0);
  expect(lagOf(PERIOD_SECONDS - 0.001)).toBe(0);
});

test("where nothing was sampled yet there is no lag", () => {
  expect(lagOf(Number.NaN)).toBe(0);
  expect(lagOf(9_223_372_036_854_776_000 / 1e9)).toBe(0);
});

test("a service that has just begun shows no lag as long as the period", async () => {
  const registry = processMetrics("comgmt-bridge");
  const shown = await registry.metrics();
  for (const name of ["min", "max", "mean", "p50", "p90", "p99"]) {
    const line = shown
      .split("\n")
      .find((each) => each.startsWith(`nodejs_eventloop_lag_${name}_seconds{`));
    expect(line).toBe(`nodejs_eventloop_lag_${name}_seconds{service="comgmt-bridge"} 0`);
  }
});

test("each delay that the library sets is shown without the period", async () => {
  const registry = processMetrics("comgmt-bridge");
  for (const name of ["min", "max", "mean", "p50", "p90", "p99"]) {
    const gauge = registry.getSingleMetric(`nodejs_eventloop_lag_${name}_seconds`) as Gauge;
    gauge.set(PERIOD_SECONDS + 0.5);
    expect((await gauge.get()).values[0]?.value).toBeCloseTo(0.5, 9);
  }
});
