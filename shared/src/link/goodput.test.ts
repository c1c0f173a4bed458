import { describe, expect, test } from "vitest";
import { Goodput } from "./goodput.ts";
import { InFlight, MAX_BATCHES_IN_FLIGHT } from "./in-flight.ts";

/** A line of a fixed rate and delay, kept as full as the bound allows, for `seconds`; measured in the second half. */
function saturate(of: { bytesPerSecond: number; roundTripMs: number; seconds: number }) {
  const goodput = new Goodput(of.roundTripMs);
  const sent: { mark: ReturnType<Goodput["sent"]>; ackAt: number }[] = [];
  let inFlight = 0;
  let lineFreeAt = 0;
  let mostQueuedMs = 0;
  let delivered = 0;
  const endMs = of.seconds * 1_000;
  for (let now = 0; now < endMs; now += 1) {
    while (sent[0] !== undefined && sent[0].ackAt <= now) {
      const { mark, ackAt } = sent.shift() as (typeof sent)[number];
      goodput.acknowledged(mark, ackAt);
      inFlight -= mark.bytes;
      if (now > endMs / 2) delivered += mark.bytes;
    }
    while (inFlight + 2_000 <= goodput.limitBytes) {
      const mark = goodput.sent(2_000, now);
      lineFreeAt = Math.max(lineFreeAt, now) + 2_000_000 / of.bytesPerSecond;
      sent.push({ mark, ackAt: lineFreeAt + of.roundTripMs });
      inFlight += 2_000;
      if (now > endMs / 2) mostQueuedMs = Math.max(mostQueuedMs, lineFreeAt - now);
    }
  }
  return { goodput, mostQueuedMs, bytesPerSecond: (delivered * 2_000) / endMs };
}

describe("bulk in flight is at most 200 ms of measured goodput, beside what the path itself holds", () => {
  test.each([
    [50_000, 5],
    [100_000, 30],
    [1_000_000, 30],
    [20_000_000, 1],
    [1_000_000, 600],
  ])("on a line of %i bytes/s with a round trip of %i ms", (bytesPerSecond, roundTripMs) => {
    const line = saturate({ bytesPerSecond, roundTripMs, seconds: 30 });
    expect(line.mostQueuedMs).toBeLessThan(260);
    expect(line.bytesPerSecond).toBeGreaterThan(bytesPerSecond * 0.8);
  });
});

test("a round trip measured behind a queue does not raise the bound", () => {
  const goodput = new Goodput(10);
  for (let now = 0; now < 10_000; now += 100) {
    goodput.acknowledged(goodput.sent(10_000, now - 400), now);
  }
  expect(goodput.limitBytes).toBeLessThanOrEqual(goodput.bytesPerSecond * 0.211);
});

describe("the window", () => {
  const inFlight = (maxBytes: number) => new InFlight({ maxBytes, roundTripMs: 1 });
  const batch = { stream: "audit", bytes: 100, rawBytes: 200, isBulk: true };

  test("nothing is sent beyond the credit in bytes", () => {
    const window = inFlight(1_000);
    window.add({ ...batch, lastSeq: 1, bytes: 1_000, rawBytes: 2_000, isBulk: false }, 0);
    expect(window.roomFor(false)).toBeUndefined();
    window.acknowledge("audit", 1, 10);
    expect(window.roomFor(false)?.rawBytes).toBeGreaterThan(0);
  });

  test("bulk leaves places for results", () => {
    const window = inFlight(1_000_000);
    for (let seq = 1; window.roomFor(true) !== undefined; seq++)
      window.add({ ...batch, lastSeq: seq }, 0);
    expect(window.batches).toBeLessThan(MAX_BATCHES_IN_FLIGHT);
    expect(window.roomFor(false)?.rawBytes).toBeGreaterThan(0);
  });

  test("no more batches are on their way than the window has places", () => {
    const window = inFlight(1_000_000);
    const result = { ...batch, stream: "commands", isBulk: false };
    for (let seq = 1; window.roomFor(false) !== undefined; seq++)
      window.add({ ...result, lastSeq: seq }, 0);
    expect(window.batches).toBe(MAX_BATCHES_IN_FLIGHT);
  });

  test("an acknowledgement covers everything before it in its stream, and nothing else", () => {
    const window = inFlight(1_000_000);
    for (const lastSeq of [1, 2, 3]) window.add({ ...batch, lastSeq }, 0);
    window.add({ ...batch, stream: "issuance", lastSeq: 1 }, 0);
    window.acknowledge("audit", 2, 5);
    expect([window.batches, window.bytes, window.bulkBytes]).toEqual([2, 200, 200]);
  });
});
