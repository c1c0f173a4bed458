import type { Clock } from "@isthmus/shared/clock";

/**
 * Bounds guessing. Every failed login adds a point to the address it came from and to the account it named, whether that
 * account exists or not; points decay with time. Over its threshold an address or account waits until enough have decayed.
 * The account's threshold is far higher than the address's, so that a stranger does not lock an administrator out cheaply.
 */

/** Our own limits. */
export const ADDRESS_THRESHOLD = 10;
export const ACCOUNT_THRESHOLD = 50;
export const POINT_DECAY_MS = 60_000;
/** Scores kept; over it the oldest go first. One entry is about 200 bytes. */
export const MAX_SCORES = 20_000;

interface Score {
  readonly points: number;
  readonly at: number;
}

export class LoginScores {
  readonly #clock: Clock;
  /** In order of the last change, oldest first. */
  readonly #scores = new Map<string, Score>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How long, in ms, this address and account have to wait before another attempt is looked at; 0 for not at all. */
  waitMs(address: string, account: string): number {
    return Math.max(
      this.#waitOf(`address ${networkOf(address)}`, ADDRESS_THRESHOLD),
      this.#waitOf(`account ${account}`, ACCOUNT_THRESHOLD),
    );
  }

  /** Counts an attempt before it is checked, so that many at once cannot slip through together. */
  count(address: string, account: string): void {
    this.#add(`address ${networkOf(address)}`, 1);
    this.#add(`account ${account}`, 1);
  }

  /** Takes the attempt back that `count` counted, after it succeeded. */
  forgive(address: string, account: string): void {
    this.#add(`address ${networkOf(address)}`, -1);
    this.#add(`account ${account}`, -1);
  }

  #waitOf(key: string, threshold: number): number {
    const excess = this.#pointsOf(key) - (threshold - 1);
    return excess > 0 ? Math.ceil(excess * POINT_DECAY_MS) : 0;
  }

  #pointsOf(key: string): number {
    const score = this.#scores.get(key);
    if (score === undefined) return 0;
    // A clock that was set back gives nobody points.
    const elapsedMs = Math.max(0, this.#clock.now() - score.at);
    return Math.max(0, score.points - elapsedMs / POINT_DECAY_MS);
  }

  #add(key: string, points: number): void {
    const sum = Math.max(0, this.#pointsOf(key) + points);
    this.#scores.delete(key);
    if (sum > 0) this.#scores.set(key, { points: sum, at: this.#clock.now() });
    const [oldest] = this.#scores.size > MAX_SCORES ? this.#scores.keys() : [];
    if (oldest !== undefined) this.#scores.delete(oldest);
  }
}

/** One site usually has a whole /64 of IPv6: one guesser would be 2^64 addresses otherwise. */
function networkOf(address: string): string {
  if (!address.includes(":") || address.includes(".")) return address;
  const [head = "", tail = ""] = address.split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === "" ? [] : tail.split(":");
  const zeros = address.includes("::") ? Array(8 - before.length - after.length).fill("0") : [];
  return [...before, ...zeros, ...after].slice(0, 4).join(":");
}
