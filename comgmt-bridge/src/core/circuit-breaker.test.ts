import { expect, test } from "vitest";
import { type BreakerEvent, type BreakerState, breakerStep, CLOSED } from "./circuit-breaker.ts";

const LIMITS = { failures: 3, openMs: 1_000, maxOpenMs: 3_000 };
const FAILED: BreakerEvent = { kind: "failed", share: 1 };

/** The state after all events at one time. */
function after(
  events: readonly BreakerEvent[],
  now = 0,
  from: BreakerState = CLOSED,
): BreakerState {
  return events.reduce((state, event) => breakerStep(state, event, now, LIMITS).state, from);
}
const mayAsk = (state: BreakerState, now: number) =>
  breakerStep(state, { kind: "asked" }, now, LIMITS).isAllowed;

test("failures in a row open it, one fewer do not, and a success between starts the count anew", () => {
  expect(after([FAILED, FAILED]).kind).toBe("closed");
  expect(after([FAILED, FAILED, FAILED])).toEqual({ kind: "open", until: 1_000, openings: 1 });
  expect(after([FAILED, FAILED, { kind: "succeeded" }, FAILED, FAILED]).kind).toBe("closed");
});

test("open, it lets nobody through before its time, and then exactly one", () => {
  const open = after([FAILED, FAILED, FAILED]);
  expect(mayAsk(open, 999)).toBe(false);
  const trying = breakerStep(open, { kind: "asked" }, 1_000, LIMITS);
  expect(trying).toMatchObject({ isAllowed: true, state: { kind: "half-open" } });
  expect(mayAsk(trying.state, 1_001)).toBe(false);
});

test("the one that tries closes it, or opens it for longer up to a bound", () => {
  const halfOpen: BreakerState = { kind: "half-open", openings: 1 };
  expect(after([{ kind: "succeeded" }], 0, halfOpen)).toEqual(CLOSED);
  expect(after([FAILED], 0, halfOpen)).toMatchObject({ until: 2_000, openings: 2 });
  expect(after([FAILED], 0, { kind: "half-open", openings: 9 })).toMatchObject({ until: 3_000 });
});

test("one that was given up leaves the try to the next", () => {
  const state = after([{ kind: "given-up" }], 5, { kind: "half-open", openings: 2 });
  expect(mayAsk(state, 5)).toBe(true);
});

test("late answers of requests from before change nothing while it is open", () => {
  const open = after([FAILED, FAILED, FAILED]);
  expect(after([{ kind: "succeeded" }, FAILED], 500, open)).toEqual(open);
});

test("chance spreads the time from half to the whole", () => {
  const opened = (share: number) => after([FAILED, FAILED, { kind: "failed", share }]);
  expect(opened(0)).toMatchObject({ until: 500 });
  expect(opened(0.5)).toMatchObject({ until: 750 });
});

test("a clock that is set back does not keep it open for longer than it may be", () => {
  const open = after([FAILED, FAILED, FAILED], 1_000_000);
  expect([mayAsk(open, 1_000_999), mayAsk(open, 998_001), mayAsk(open, 997_999)]).toEqual([
    false,
    false,
    true,
  ]);
});
