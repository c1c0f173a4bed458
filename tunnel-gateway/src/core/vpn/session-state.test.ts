import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  nextState,
  type SessionState,
  type SessionStateEvent,
  waitingState,
} from "./session-state.ts";

const times = { disconnectedMs: 60_000, expiresAt: 1_000_000 };
const after = (
  state: SessionState,
  at: number,
  kind: "tunnel-up" | "tunnel-lost" | "time" | "user-disconnect",
) => nextState(state, { kind }, at, times);
const login = waitingState("login", 0, times);
const connected = after(login, 1_000, "tunnel-up");

describe("a session", () => {
  test("ends when its login is not followed by a connection", () => {
    expect(after(login, 299_999, "time")).toBe(login);
    expect(after(login, 300_000, "time")).toMatchObject({ kind: "ended", reason: "login-unused" });
  });

  test("outlives a lost connection for the time of its group", () => {
    const lost = after(connected, 2_000, "tunnel-lost");
    expect(after(lost, 61_999, "time")).toBe(lost);
    expect(after(lost, 61_999, "tunnel-up")).toEqual({ kind: "connected", since: 61_999 });
    expect(after(lost, 62_000, "time")).toMatchObject({ kind: "ended", reason: "disconnected" });
  });

  test("is kept for 15 s when its user disconnects, for clients that come back right after", () => {
    const left = after(connected, 2_000, "user-disconnect");
    expect(after(left, 2_100, "tunnel-lost")).toBe(left);
    expect(after(left, 16_999, "tunnel-up")).toMatchObject({ kind: "connected" });
    expect(after(left, 17_000, "time")).toMatchObject({ kind: "ended", reason: "user" });
  });

  test("ends when its time is over, connected or not", () => {
    expect(after(connected, 999_999, "time")).toBe(connected);
    expect(after(connected, 1_000_000, "time")).toMatchObject({ reason: "session-timeout" });
  });

  test("stays ended", () => {
    const ended = nextState(connected, { kind: "end", reason: "cut" }, 5, times);
    const event = fc.constantFrom<SessionStateEvent["kind"]>("tunnel-up", "tunnel-lost", "time");
    fc.assert(
      fc.property(event, (kind) => {
        expect(nextState(ended, { kind } as SessionStateEvent, 6, times)).toBe(ended);
      }),
    );
  });
});
