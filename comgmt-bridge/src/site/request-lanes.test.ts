import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { rejectedCode } from "@isthmus/shared/testing/thrown-code";
import { expect, test } from "vitest";
import { type Lane, RequestLanes } from "./request-lanes.ts";

const never = new AbortController().signal;

function lanesOf({ maxInFlight = 4, requestsPerSecond = 100 }) {
  const clock = new FakeClock();
  const pauses: { readonly ms: number; readonly end: () => void }[] = [];
  const pause = (ms: number) => new Promise<void>((end) => pauses.push({ ms, end }));
  const lanes = new RequestLanes({ maxInFlight, requestsPerSecond }, { clock, pause });
  const entered: Lane[] = [];
  const places: Disposable[] = [];
  const enter = async (lane: Lane, signal = never) => {
    const place = await lanes.enter(lane, signal);
    entered.push(lane);
    places.push(place);
  };
  return { lanes, clock, pauses, entered, places, enter };
}

/** Lets everything run that waits for nothing. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

test("snapshots leave one place free, which a command takes at once", async () => {
  const { lanes, entered, enter } = lanesOf({ maxInFlight: 3 });
  for (const lane of ["snapshot", "snapshot", "snapshot", "command"] as const) void enter(lane);
  await settled();
  expect(entered).toEqual(["snapshot", "snapshot", "command"]);
  expect([lanes.inFlight, lanes.waiting]).toEqual([3, 1]);
});

test("a free place goes to commands first, then hints, then snapshots, each in order", async () => {
  const { entered, places, enter } = lanesOf({ maxInFlight: 2 });
  for (const lane of ["snapshot", "command", "snapshot", "hint", "command"] as const)
    void enter(lane);
  await settled();
  while (entered.length < 5) {
    places.shift()?.[Symbol.dispose]();
    await settled();
  }
  expect(entered).toEqual(["snapshot", "command", "command", "hint", "snapshot"]);
});

test("hints without end do not stop a scan", async () => {
  const { entered, places, enter } = lanesOf({ maxInFlight: 2 });
  for (let count = 0; count < 10; count += 1) void enter("hint");
  void enter("snapshot");
  void enter("snapshot");
  await settled();
  for (let count = 0; count < 3; count += 1) {
    places.shift()?.[Symbol.dispose]();
    await settled();
  }
  expect(entered).toEqual(["hint", "snapshot", "hint", "snapshot"]);
});

test("a place given back twice is one place", async () => {
  const { lanes, places, enter } = lanesOf({ maxInFlight: 2 });
  void enter("command");
  void enter("command");
  await settled();
  places[0]?.[Symbol.dispose]();
  places[0]?.[Symbol.dispose]();
  expect(lanes.inFlight).toBe(1);
});

test("over the rate all wait but a command, which goes ahead of it and is made up for", async () => {
  const { clock, pauses, entered, enter } = lanesOf({ maxInFlight: 64, requestsPerSecond: 2 });
  for (const lane of ["snapshot", "snapshot", "snapshot", "command", "command"] as const) {
    void enter(lane);
  }
  await settled();
  expect(entered).toEqual(["snapshot", "snapshot", "command", "command"]);
  expect(pauses.map(({ ms }) => ms)).toEqual([500]);
  clock.advance(500);
  pauses[0]?.end();
  await settled();
  expect(entered).toHaveLength(4);
  clock.advance(1_000);
  pauses[1]?.end();
  await settled();
  expect(entered.at(-1)).toBe("snapshot");
});

test("while hints are asked for a scan has two places, and all of them a second after", async () => {
  const { lanes, clock, pauses, entered, places, enter } = lanesOf({ maxInFlight: 16 });
  void enter("hint");
  for (let count = 0; count < 9; count += 1) void enter("snapshot");
  await settled();
  expect(entered).toEqual(["hint", "snapshot", "snapshot"]);
  places[1]?.[Symbol.dispose]();
  await settled();
  expect([entered.length, lanes.inFlight]).toEqual([4, 3]);
  places[0]?.[Symbol.dispose]();
  await settled();
  expect([entered.length, pauses.map(({ ms }) => ms)]).toEqual([4, [1_000]]);
  // The next step of the round comes before the pause is over.
  clock.advance(400);
  void enter("hint");
  await settled();
  places[4]?.[Symbol.dispose]();
  clock.advance(600);
  pauses[0]?.end();
  await settled();
  expect([entered.length, pauses.at(-1)?.ms]).toEqual([5, 400]);
  clock.advance(400);
  pauses.at(-1)?.end();
  await settled();
  expect([lanes.waiting, lanes.inFlight]).toEqual([0, 8]);
});

test("a clock that is put back stops no scan", async () => {
  const { lanes, clock, places, enter } = lanesOf({ maxInFlight: 16 });
  void enter("hint");
  await settled();
  places[0]?.[Symbol.dispose]();
  clock.advance(-3_600_000);
  for (let count = 0; count < 9; count += 1) void enter("snapshot");
  await settled();
  expect(lanes.inFlight).toBe(9);
});

test("whoever gives up waiting leaves the line", async () => {
  const { lanes, enter } = lanesOf({ maxInFlight: 2 });
  void enter("snapshot");
  const giving = new AbortController();
  const waiting = enter("snapshot", giving.signal);
  await settled();
  giving.abort(new Error("enough"));
  await expect(waiting).rejects.toThrow("enough");
  await expect(enter("command", giving.signal)).rejects.toThrow("enough");
  expect([lanes.inFlight, lanes.waiting]).toEqual([1, 0]);
});

test("a thousand of a lane may wait and no more, which refuses no command", async () => {
  const { lanes, entered, enter } = lanesOf({ maxInFlight: 2 });
  for (let count = 0; count <= 1_000; count += 1) void enter("snapshot");
  await settled();
  expect(lanes.waiting).toBe(1_000);
  expect(await rejectedCode(() => lanes.enter("snapshot", never))).toBe("site-busy");
  void enter("command");
  await settled();
  expect([entered.at(-1), lanes.waiting]).toEqual(["command", 1_000]);
});
