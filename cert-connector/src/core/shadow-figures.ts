/** What shadow mode has seen: how often both answered alike, and where not. */
export interface ShadowFigures {
  readonly since: number;
  readonly seen: number;
  /** More came at once than could be judged. */
  readonly notJudged: number;
  /** NDES could not be reached, or answered in no way of SCEP. */
  readonly ndesFailed: number;
  readonly outcomes: Readonly<Partial<Record<ShadowOutcome, number>>>;
  /** What we would have refused where NDES did not, by code; and what differs in GetCACaps and GetCACert. */
  readonly reasons: Readonly<Record<string, number>>;
  readonly ndesMs: Timing;
  readonly ownMs: Timing;
  /** The last differences, newest last. */
  readonly examples: readonly ShadowExample[];
}

/**
 * `agreed-*`: both would accept, or both refuse. `only-ndes`: NDES accepts what we would refuse: devices that would be left
 * behind. `only-ours`: the reverse; most often NDES refused a challenge, which shadow mode does not judge.
 */
export const SHADOW_OUTCOMES = [
  "agreed-accept",
  "agreed-refuse",
  "only-ndes",
  "only-ours",
] as const;
export type ShadowOutcome = (typeof SHADOW_OUTCOMES)[number];

export interface Timing {
  readonly count: number;
  readonly sum: number;
  readonly max: number;
}

export interface ShadowExample {
  readonly at: number;
  readonly operation: string;
  readonly transactionId: string | undefined;
  readonly outcome: ShadowOutcome;
  readonly reason: string;
}

/** One request that both have answered. */
export interface ShadowComparison extends Omit<ShadowExample, "reason"> {
  readonly reason: string | undefined;
  readonly ndesMs: number;
  readonly ownMs: number;
}

/** Our own limits. */
const MAX_REASONS = 200;
const MAX_EXAMPLES = 50;

export function noFigures(since: number): ShadowFigures {
  const none = { count: 0, sum: 0, max: 0 };
  return {
    ...{ since, seen: 0, notJudged: 0, ndesFailed: 0, outcomes: {}, reasons: {} },
    ...{ ndesMs: none, ownMs: none, examples: [] },
  };
}

export function withComparison(figures: ShadowFigures, of: ShadowComparison): ShadowFigures {
  const { outcome, reason, ndesMs, ownMs, at, operation, transactionId } = of;
  const isDifference = outcome === "only-ndes" || outcome === "only-ours";
  const example = { at, operation, transactionId, outcome, reason: reason ?? "" };
  return {
    ...figures,
    seen: figures.seen + 1,
    outcomes: { ...figures.outcomes, [outcome]: (figures.outcomes[outcome] ?? 0) + 1 },
    reasons: reason === undefined ? figures.reasons : withReason(figures.reasons, reason),
    ndesMs: withTime(figures.ndesMs, ndesMs),
    ownMs: withTime(figures.ownMs, ownMs),
    examples: isDifference ? [...figures.examples, example].slice(-MAX_EXAMPLES) : figures.examples,
  };
}

function withReason(reasons: ShadowFigures["reasons"], reason: string): ShadowFigures["reasons"] {
  const known = reason in reasons || Object.keys(reasons).length < MAX_REASONS ? reason : "other";
  return { ...reasons, [known]: (reasons[known] ?? 0) + 1 };
}

function withTime({ count, sum, max }: Timing, ms: number): Timing {
  return { count: count + 1, sum: sum + ms, max: Math.max(max, ms) };
}
