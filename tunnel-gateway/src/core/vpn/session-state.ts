/**
 * Where a session stands.
 *
 *              tunnel-up                     user-disconnect
 *  waiting ───────────────▶ connected ─────────────────────────▶ waiting (user, 15 s)
 *  (login)                    │    ▲                                │      │
 *     │        tunnel-lost    ▼    │ tunnel-up            tunnel-up │      │ time
 *     │                   waiting (lost) ──────────────▶ connected ◀┘      ▼
 *     │ time                  │ time                                    ended (user)
 *     ▼                       ▼
 *  ended (login-unused)    ended (disconnected)          end (any but ended) ──▶ ended (its reason)
 *
 * `ended` is final. The time of the session as a whole ends any of the others.
 */
export type SessionState =
  /** Without a connection: since its login, since one was lost, or since its user took leave. */
  | {
      readonly kind: "waiting";
      readonly because: "login" | "lost" | "user";
      readonly since: number;
      readonly until: number;
    }
  | { readonly kind: "connected"; readonly since: number }
  | { readonly kind: "ended"; readonly reason: SessionEnd; readonly at: number };

/** Why a session ended; a closed set, fit for a metric label. */
export const SESSION_ENDS = [
  "user",
  "idle",
  "session-timeout",
  "disconnected",
  "login-unused",
  "replaced",
  "cut",
] as const;
export type SessionEnd = (typeof SESSION_ENDS)[number];

export type SessionStateEvent =
  | { readonly kind: "tunnel-up" }
  | { readonly kind: "tunnel-lost" }
  | { readonly kind: "user-disconnect" }
  | { readonly kind: "time" }
  | { readonly kind: "end"; readonly reason: SessionEnd };

export interface SessionTimes {
  /** How long a session without a connection is kept. */
  readonly disconnectedMs: number;
  /** End of the session as a whole; undefined for none. */
  readonly expiresAt: number | undefined;
}

/** Own choice, as ocserv's `cookie-timeout`: from the login to the first connection. */
const LOGIN_MS = 300_000;
/** AnyConnect ends its first connection right after set-up and comes back (ocserv NEWS 0.11.10). */
const AFTER_USER_MS = 15_000;

/** The state of a session that has just logged in, or that was found in the store: its time begins anew. */
export function waitingState(because: "login" | "lost", now: number, times: SessionTimes) {
  const keptMs = because === "login" ? LOGIN_MS : times.disconnectedMs;
  return { kind: "waiting", because, since: now, until: now + keptMs } as const;
}

/** What an event makes of a state; the same state where it says nothing new. */
export function nextState(
  state: SessionState,
  event: SessionStateEvent,
  now: number,
  times: SessionTimes,
): SessionState {
  if (state.kind === "ended") return state;
  switch (event.kind) {
    case "tunnel-up":
      return state.kind === "connected" ? state : { kind: "connected", since: now };
    case "tunnel-lost":
      return state.kind === "connected" ? waitingState("lost", now, times) : state;
    case "user-disconnect":
      if (state.kind === "waiting" && state.because === "user") return state;
      return { kind: "waiting", because: "user", since: now, until: now + AFTER_USER_MS };
    case "time":
      return endedByTime(state, now, times);
    case "end":
      return { kind: "ended", reason: event.reason, at: now };
  }
}

function endedByTime(
  state: Exclude<SessionState, { readonly kind: "ended" }>,
  now: number,
  { expiresAt }: SessionTimes,
): SessionState {
  if (expiresAt !== undefined && now >= expiresAt) {
    return { kind: "ended", reason: "session-timeout", at: now };
  }
  if (state.kind === "connected" || now < state.until) return state;
  return { kind: "ended", reason: END_OF_WAITING[state.because], at: now };
}

const END_OF_WAITING = { login: "login-unused", lost: "disconnected", user: "user" } as const;
