import type { Clock } from "@isthmus/shared/clock";
import { formatAddress, parseAddress } from "../ip-address.ts";
import { AT } from "./known-places.ts";
import type { BanRules } from "./vpn-rules.ts";

export type Scored = "address" | "account";

/** Somebody of whom nothing is asked any more until the time is over. */
export interface Ban {
  readonly kind: Scored;
  readonly key: string;
  /** ms since the epoch. */
  readonly until: number;
}

/** Somebody who is not banned yet. */
export interface Near {
  readonly kind: Scored;
  readonly key: string;
  readonly points: number;
}

/** Points at a time; they halve every half-life. */
interface Score {
  points: number;
  at: number;
  bannedUntil: number;
  /** How long the last ban was: no clock that is set back makes it longer. */
  banMs: number;
}

type ScoreKey = Pick<Ban, "kind" | "key">;

export interface KeptScore extends ScoreKey, Readonly<Score> {}

export interface ScoreChanges {
  readonly put: readonly KeptScore[];
  readonly drop: readonly ScoreKey[];
}

/** Own limit on each kind; what has fewest points goes first. */
const MAX_SCORED = 50_000;
/** Own limit on what is kept across a restart. */
export const MAX_KEPT_SCORES = 10_000;
/** Own choice: who has this share of what brings a ban is on the way to it, and kept across a restart. */
const NEAR_SHARE = 0.5;
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
  /** What the store has, or will have when it has taken what it was given. */
  readonly #kept = { address: new Set<string>(), account: new Set<string>() };
  /** What has changed since. */
  readonly #touched = { address: new Set<string>(), account: new Set<string>() };

  constructor(options: { readonly clock: Clock; readonly rules: () => BanRules }) {
    this.#clock = options.clock;
    this.#rules = options.rules;
  }

  /** Until when nothing is asked of anybody, ms since the epoch; undefined where there is no ban. */
  bannedUntil(kind: Scored, key: string): number | undefined {
    const score = this.#scores[kind].get(key);
    return score && isBanned(score, this.#clock.now()) ? score.bannedUntil : undefined;
  }

  /** Counts an attempt; the ban that it brought, if it did. */
  charge(kind: Scored, key: string): Ban | undefined {
    const now = this.#clock.now();
    const { failurePoints, banAtPoints, banSeconds } = this.#rules();
    const score = this.#scoreOf(kind, key, now);
    score.points += failurePoints;
    if (score.points < banAtPoints || isBanned(score, now)) return undefined;
    score.banMs = banSeconds * 1_000;
    score.bannedUntil = now + score.banMs;
    return { kind, key, until: score.bannedUntil };
  }

  /** The attempt was no failure: its points, and the ban that they brought, are taken back. */
  refund(kind: Scored, key: string, brought: Ban | undefined): void {
    const score = this.#scores[kind].get(key);
    if (!score) return;
    const now = this.#clock.now();
    score.points = Math.max(0, this.#pointsAt(score, now) - this.#rules().failurePoints);
    score.at = now;
    if (brought && score.bannedUntil <= brought.until) score.bannedUntil = 0;
    if (score.points < NEGLIGIBLE && !isBanned(score, now)) this.#scores[kind].delete(key);
    this.#touched[kind].add(key);
  }

  bans(): Ban[] {
    const now = this.#clock.now();
    return KINDS.flatMap((kind) =>
      [...this.#scores[kind]].flatMap(([key, score]) =>
        isBanned(score, now) ? [{ kind, key, until: score.bannedUntil }] : [],
      ),
    );
  }

  /** Who is on the way to a ban: with half of its points or more, the nearest first. */
  nearBans(): Near[] {
    const now = this.#clock.now();
    const least = this.#rules().banAtPoints * NEAR_SHARE;
    const near: Near[] = [];
    for (const kind of KINDS) {
      for (const [key, score] of this.#scores[kind]) {
        const points = this.#pointsAt(score, now);
        if (points >= least && !isBanned(score, now)) near.push({ kind, key, points });
      }
    }
    return near.sort((one, other) => other.points - one.points);
  }

  /** Points that are left of somebody, for an administrator. */
  points(kind: Scored, key: string): number {
    const score = this.#scores[kind].get(key);
    return score ? this.#pointsAt(score, this.#clock.now()) : 0;
  }

  /**
   * Forgives: an account wherever it was guessed from, an address whatever was guessed there; all where no keys are given. The
   * number of scores that there were.
   */
  clear(keys?: readonly string[]): number {
    const isMeant = (key: string) =>
      keys?.some(
        (one) => key === one || key.startsWith(`${one}${AT}`) || key.endsWith(`${AT}${one}`),
      ) ?? true;
    let cleared = 0;
    for (const kind of KINDS) {
      for (const key of this.#scores[kind].keys()) {
        if (!isMeant(key)) continue;
        this.#scores[kind].delete(key);
        this.#touched[kind].add(key);
        cleared += 1;
      }
    }
    return cleared;
  }

  /** Forgets what time has forgiven. */
  sweep(): void {
    const now = this.#clock.now();
    for (const kind of KINDS) {
      const scores = this.#scores[kind];
      for (const [key, score] of scores) {
        const isOver = !isBanned(score, now) && this.#pointsAt(score, now) < NEGLIGIBLE;
        if (isOver) scores.delete(key);
      }
      for (const key of this.#kept[kind]) {
        if (!this.#isWorthKeeping(scores.get(key), now)) this.#touched[kind].add(key);
      }
    }
  }

  /** Takes up what the store kept. */
  restore(kept: readonly KeptScore[]): void {
    for (const { kind, key, ...score } of kept) {
      this.#scores[kind].set(key, score);
      this.#kept[kind].add(key);
    }
  }

  /** What the store should know and does not, bans first; the rest is left for another time. */
  takeChanges(atMost: number): ScoreChanges {
    const now = this.#clock.now();
    const put: KeptScore[] = [];
    const drop: ScoreKey[] = [];
    for (const kind of KINDS) {
      for (const key of this.#touched[kind]) {
        const score = this.#scores[kind].get(key);
        if (score && this.#isWorthKeeping(score, now)) put.push({ kind, key, ...score });
        else if (this.#kept[kind].delete(key)) drop.push({ kind, key });
      }
      this.#touched[kind].clear();
    }
    put.sort((one, other) => this.#rank(other, now) - this.#rank(one, now));
    return { put: put.filter((one, index) => this.#mayKeep(one, index < atMost)), drop };
  }

  /** The store has not taken them. */
  giveBack({ put, drop }: ScoreChanges): void {
    for (const { kind, key } of [...put, ...drop]) {
      this.#kept[kind].add(key);
      this.#touched[kind].add(key);
    }
  }

  #mayKeep({ kind, key }: ScoreKey, isOfThisTime: boolean): boolean {
    const kept = this.#kept[kind];
    const hasRoom =
      kept.has(key) || this.#kept.address.size + this.#kept.account.size < MAX_KEPT_SCORES;
    if (isOfThisTime && hasRoom) kept.add(key);
    else this.#touched[kind].add(key);
    return isOfThisTime && hasRoom;
  }

  #isWorthKeeping(score: Score | undefined, now: number): boolean {
    if (!score) return false;
    return (
      isBanned(score, now) || this.#pointsAt(score, now) >= this.#rules().banAtPoints * NEAR_SHARE
    );
  }

  #scoreOf(kind: Scored, key: string, now: number): Score {
    const scores = this.#scores[kind];
    const score = scores.get(key) ?? { points: 0, at: now, bannedUntil: 0, banMs: 0 };
    if (!scores.has(key)) {
      if (scores.size >= MAX_SCORED) this.#makeRoom(scores, now);
      scores.set(key, score);
    }
    score.points = this.#pointsAt(score, now);
    score.at = now;
    this.#touched[kind].add(key);
    return score;
  }

  /** Nobody who is banned is forgotten for a stranger as long as somebody else can be. */
  #makeRoom(scores: Map<string, Score>, now: number): void {
    const ranked = [...scores].map(([key, score]) => ({ key, rank: this.#rank(score, now) }));
    const least = ranked.toSorted((one, other) => one.rank - other.rank);
    for (const { key } of least.slice(0, MAX_SCORED / 10)) scores.delete(key);
  }

  #rank(score: Score, now: number): number {
    return isBanned(score, now) ? score.bannedUntil : this.#pointsAt(score, now);
  }

  #pointsAt(score: Score, now: number): number {
    score.at = Math.min(score.at, now);
    const halves = (now - score.at) / (this.#rules().halfLifeSeconds * 1_000);
    return score.points * 0.5 ** halves;
  }
}

const KINDS = ["address", "account"] as const;

function isBanned(score: Score, now: number): boolean {
  score.bannedUntil = Math.min(score.bannedUntil, now + score.banMs);
  return score.bannedUntil > now;
}

/** What an address is counted by: of IPv6 the network that one customer has at least, for its addresses cost nothing. */
export function scoredAddress(text: string): string {
  const address = parseAddress(text);
  if (!address) return text;
  if (address.family === 4) return formatAddress(address);
  return `${formatAddress({ family: 6, value: (address.value >> 64n) << 64n })}/64`;
}
