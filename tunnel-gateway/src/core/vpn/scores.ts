import type { Clock } from "@isthmus/shared/clock";
import { formatAddress, parseAddress } from "../ip-address.ts";
import type { BanRules } from "./vpn-rules.ts";

export type Scored = "address" | "account";

/** Somebody of whom nothing is asked any more until the time is over. */
export interface Ban {
  readonly kind: Scored;
  readonly key: string;
  /** ms since the epoch. */
  readonly until: number;
}

/** Points at a time; they halve every half-life. */
interface Score {
  points: number;
  at: number;
  bannedUntil: number;
}

/** Own limit on each kind; what has fewest points goes first. */
const MAX_SCORED = 50_000;
/** Own choice: what is under this is forgotten. */
const NEGLIGIBLE = 0.5;

/**
 * Points for failed logins, per address and per account, which run out exponentially; past the limit comes a ban. An attempt
 * costs its points before it is made and has them back when it succeeds, so that many at once gain nothing; what earlier
 * failures cost stays, so that an own account among the guesses is no way to start afresh.
 */
export class Scores {
  readonly #clock: Clock;
  readonly #rules: () => BanRules;
  readonly #scores: Readonly<Record<Scored, Map<string, Score>>> = {
    address: new Map(),
    account: new Map(),
  };

  constructor(options: { readonly clock: Clock; readonly rules: () => BanRules }) {
    this.#clock = options.clock;
    this.#rules = options.rules;
  }

  /** Until when nothing is asked of anybody, ms since the epoch; undefined where there is no ban. */
  bannedUntil(kind: Scored, key: string): number | undefined {
    const score = this.#scores[kind].get(key);
    return score && score.bannedUntil > this.#clock.now() ? score.bannedUntil : undefined;
  }

  /** Counts an attempt; the ban that it brought, if it did. */
  charge(kind: Scored, key: string): Ban | undefined {
    const now = this.#clock.now();
    const { failurePoints, banAtPoints, banSeconds } = this.#rules();
    const score = this.#scoreOf(kind, key, now);
    score.points += failurePoints;
    if (score.points < banAtPoints || score.bannedUntil > now) return undefined;
    score.bannedUntil = now + banSeconds * 1_000;
    return { kind, key, until: score.bannedUntil };
  }

  /** The attempt was no failure: its points, and the ban that they brought, are taken back. */
  refund(kind: Scored, key: string, brought: Ban | undefined): void {
    const score = this.#scores[kind].get(key);
    if (!score) return;
    const now = this.#clock.now();
    score.points = Math.max(0, this.#pointsAt(score, now) - this.#rules().failurePoints);
    score.at = now;
    if (brought && score.bannedUntil === brought.until) score.bannedUntil = 0;
    if (score.points < NEGLIGIBLE && score.bannedUntil <= now) this.#scores[kind].delete(key);
  }

  bans(): Ban[] {
    const now = this.#clock.now();
    return (["address", "account"] as const).flatMap((kind) =>
      [...this.#scores[kind]].flatMap(([key, { bannedUntil }]) =>
        bannedUntil > now ? [{ kind, key, until: bannedUntil }] : [],
      ),
    );
  }

  /** Points that are left of somebody, for an administrator. */
  points(kind: Scored, key: string): number {
    const score = this.#scores[kind].get(key);
    return score ? this.#pointsAt(score, this.#clock.now()) : 0;
  }

  /** Forgives; all where no key is given. The number of those who were known. */
  clear(key?: string): number {
    const all = Object.values(this.#scores);
    if (key !== undefined) return all.filter((scores) => scores.delete(key)).length;
    const count = all.reduce((sum, { size }) => sum + size, 0);
    for (const scores of all) scores.clear();
    return count;
  }

  /** Forgets what time has forgiven. */
  sweep(): void {
    const now = this.#clock.now();
    for (const scores of Object.values(this.#scores)) {
      for (const [key, score] of scores) {
        const isOver = score.bannedUntil <= now && this.#pointsAt(score, now) < NEGLIGIBLE;
        if (isOver) scores.delete(key);
      }
    }
  }

  #scoreOf(kind: Scored, key: string, now: number): Score {
    const scores = this.#scores[kind];
    const score = scores.get(key) ?? { points: 0, at: now, bannedUntil: 0 };
    if (!scores.has(key)) {
      if (scores.size >= MAX_SCORED) this.#makeRoom(scores, now);
      scores.set(key, score);
    }
    score.points = this.#pointsAt(score, now);
    score.at = now;
    return score;
  }

  /** Nobody who is banned is forgotten for a stranger as long as somebody else can be. */
  #makeRoom(scores: Map<string, Score>, now: number): void {
    const rank = ({ bannedUntil, ...score }: Score) =>
      bannedUntil > now ? bannedUntil : this.#pointsAt({ ...score, bannedUntil }, now);
    const least = [...scores].toSorted(([, one], [, other]) => rank(one) - rank(other));
    for (const [key] of least.slice(0, MAX_SCORED / 10)) scores.delete(key);
  }

  #pointsAt({ points, at }: Score, now: number): number {
    const halves = Math.max(0, now - at) / (this.#rules().halfLifeSeconds * 1_000);
    return points * 0.5 ** halves;
  }
}

/** What an address is counted by: of IPv6 the network that one customer has at least, for its addresses cost nothing. */
export function scoredAddress(text: string): string {
  const address = parseAddress(text);
  if (!address) return text;
  if (address.family === 4) return formatAddress(address);
  return `${formatAddress({ family: 6, value: (address.value >> 64n) << 64n })}/64`;
}
