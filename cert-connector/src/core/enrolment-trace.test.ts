import { expect, test } from "vitest";
import { MessageTrace, type TraceStep } from "./enrolment-trace.ts";

/** A clock that a test moves. */
function clockFrom(start: number) {
  let now = start;
  const pass = (ms: number) => {
    now += ms;
  };
  return { elapsed: () => now, pass };
}

test("each step lasts until the next is entered, and the last until now", () => {
  const clock = clockFrom(1_000.25);
  const trace = new MessageTrace(clock.elapsed);
  clock.pass(0.125);
  trace.enter("signature");
  clock.pass(2);
  trace.enter("envelope");
  clock.pass(0.5);
  expect(trace.steps()).toEqual([
    ["message", 125],
    ["signature", 2_000],
    ["envelope", 500],
  ]);
});

test("a step that is entered again goes on", () => {
  const clock = clockFrom(0);
  const trace = new MessageTrace(clock.elapsed);
  clock.pass(1);
  trace.enter("message");
  clock.pass(1);
  expect(trace.steps()).toEqual([["message", 2_000]]);
});

test("more steps than any way has are not kept", () => {
  const trace = new MessageTrace(() => 0);
  const turns: readonly TraceStep[] = ["plan", "guard"];
  for (let turn = 0; turn < 100; turn += 1) trace.enter(turns[turn % 2] as TraceStep);
  expect(trace.steps()).toHaveLength(31);
});
