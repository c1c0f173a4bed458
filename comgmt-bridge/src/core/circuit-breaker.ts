/**
 * Whether a peer that hangs is asked at all. A dead SMS provider lets requests hang for minutes, and each of them holds one of
 * few places.
 *
 * ```
 *   closed ──failures in a row──▶ open ──its time is over──▶ half-open ──success──▶ closed
 *      ▲                            ▲                            │
 *      └──success (count to 0)      └────────── failure ─────────┘   (for longer each time)
 * ```
 */
export type BreakerState =
  | { readonly kind: "closed"; readonly failures: number }
  | { readonly kind: "open"; readonly until: number; readonly openings: number }
  /** One request is under way to find out; all others are refused. */
  | { readonly kind: "half-open"; readonly openings: number };

export type BreakerEvent =
  | { readonly kind: "asked" }
  | { readonly kind: "succeeded" }
  /** `share`, from 0 to 1, spreads the return of several bridges. */
  | { readonly kind: "failed"; readonly share: number }
  /** The request that tried ended without saying anything about the peer: it was given up. */
  | { readonly kind: "given-up" };

export interface BreakerLimits {
  /** Failures in a row that open it. */
  readonly failures: number;
  readonly openMs: number;
  readonly maxOpenMs: number;
}

export const CLOSED: BreakerState = { kind: "closed", failures: 0 };

export interface BreakerStep {
  readonly state: BreakerState;
  /** Whether a request may go now; of no meaning for other events than `asked`. */
  readonly isAllowed: boolean;
}

/** `now` in ms of any clock. */
export function breakerStep(
  state: BreakerState,
  event: BreakerEvent,
  now: number,
  limits: BreakerLimits,
): BreakerStep {
  switch (event.kind) {
    case "asked":
      return asked(state, now, limits);
    case "succeeded":
      // An answer to a request that began before the opening says nothing about now.
      return { state: state.kind === "open" ? state : CLOSED, isAllowed: true };
    case "failed":
      return { state: failed(state, event.share, now, limits), isAllowed: false };
    case "given-up":
      return { state: givenUp(state, now), isAllowed: false };
  }
}

function asked(state: BreakerState, now: number, { maxOpenMs }: BreakerLimits): BreakerStep {
  switch (state.kind) {
    case "closed":
      return { state, isAllowed: true };
    case "half-open":
      return { state, isAllowed: false };
    case "open":
      // Further away than it can be: the clock was set back.
      return now < state.until && state.until - now <= maxOpenMs
        ? { state, isAllowed: false }
        : { state: { kind: "half-open", openings: state.openings }, isAllowed: true };
  }
}

function failed(
  state: BreakerState,
  share: number,
  now: number,
  limits: BreakerLimits,
): BreakerState {
  switch (state.kind) {
    case "closed": {
      const failures = state.failures + 1;
      return failures < limits.failures
        ? { kind: "closed", failures }
        : opened(0, share, now, limits);
    }
    case "half-open":
      return opened(state.openings, share, now, limits);
    case "open":
      return state;
  }
}

/** From half its time to the whole: never at once, never in step. */
function opened(before: number, share: number, now: number, limits: BreakerLimits): BreakerState {
  const span = Math.min(limits.maxOpenMs, limits.openMs * 2 ** Math.min(before, 16));
  return { kind: "open", until: now + span * (0.5 + share / 2), openings: before + 1 };
}

/** The next request tries in its place. */
function givenUp(state: BreakerState, now: number): BreakerState {
  return state.kind === "half-open"
    ? { kind: "open", until: now, openings: state.openings }
    : state;
}
