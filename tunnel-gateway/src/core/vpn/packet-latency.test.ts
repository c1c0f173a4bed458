import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { PacketLatency } from "../vpn-engine.ts";
import { LATENCY_BOUNDS, LatencyWindow } from "./packet-latency.ts";

const HEADER = new URL("../../../native/src/latency.h", import.meta.url);
const SAMPLES_OF_FIVE_MINUTES = 30;

/** So many packets, of `each` microseconds all. */
function took(
  tunnel: number,
  direction: "up" | "down",
  number: number,
  each: number,
): PacketLatency {
  const packets = [...LATENCY_BOUNDS, Number.POSITIVE_INFINITY].map(() => 0);
  const bucket = LATENCY_BOUNDS.findIndex((bound) => each < bound);
  packets[bucket < 0 ? LATENCY_BOUNDS.length : bucket] = number;
  return { tunnel, direction, packets, microseconds: number * each };
}

function measuring(first: readonly PacketLatency[]) {
  const engine = { latencies: first };
  return { engine, window: new LatencyWindow(() => engine.latencies) };
}

test("the buckets are those of the packet threads", () => {
  const text = readFileSync(HEADER, "utf8");
  const value = (name: string) => Number(new RegExp(`#define ${name} (\\d+)`).exec(text)?.[1]);
  expect(LATENCY_BOUNDS).toHaveLength(value("LATENCY_BUCKETS") - 1);
  expect(LATENCY_BOUNDS[0]).toBe(value("LATENCY_FIRST_US"));
  expect(LATENCY_BOUNDS.at(-1)).toBe(65_536);
});

test("the average is over both directions and all packets, and 99 of 100 are under the bound told", () => {
  const { window } = measuring([took(0, "up", 990, 20), took(0, "down", 10, 1_000)]);
  expect(window.worst).toEqual({ tunnel: 0, meanMicroseconds: 29.8, mostMicroseconds: 32 });
  const { window: other } = measuring([took(0, "up", 980, 20), took(0, "down", 20, 1_000)]);
  expect(other.worst?.mostMicroseconds).toBe(1_024);
});

test("the thread that is slowest is told, be the others ever so busy", () => {
  const { window } = measuring([took(0, "up", 100_000, 30), took(1, "down", 100, 12_000)]);
  expect(window.worst).toMatchObject({ tunnel: 1, meanMicroseconds: 12_000 });
});

test("a few packets that waited for a processor are not judged", () => {
  const { window } = measuring([took(0, "up", 5_000, 30), took(1, "down", 99, 80_000)]);
  expect(window.worst).toMatchObject({ tunnel: 0 });
  expect(measuring([took(0, "up", 99, 30)]).window.worst).toBeUndefined();
  expect(measuring([]).window.worst).toBeUndefined();
});

test("packets beyond the last bound have none", () => {
  const { window } = measuring([took(0, "up", 500, 70_000)]);
  expect(window.worst?.mostMicroseconds).toBeUndefined();
  expect(window.worst?.meanMicroseconds).toBe(70_000);
});

test("what was before the last five minutes is forgotten, and nothing is known of an idle gateway", () => {
  const { engine, window } = measuring([took(0, "up", 1_000, 15_000)]);
  window.sample();
  engine.latencies = [took(0, "up", 1_000, 15_000), took(0, "down", 1_000, 30)];
  expect(window.worst?.meanMicroseconds).toBe(7_515);
  for (let turn = 0; turn < SAMPLES_OF_FIVE_MINUTES - 1; turn++) window.sample();
  expect(window.worst?.meanMicroseconds).toBe(30);
  window.sample();
  expect(window.worst).toBeUndefined();
});
