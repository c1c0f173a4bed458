/**
 * Own choice: how much the control plane may have looked into. To list buckets reads all that is known of a kind once, and to look for 500 records
 * asks the source for as many. A drift of 256 buckets of a kind of two million records takes 280 of these at once.
 */
const BURST = 600;
const PER_SECOND = 1;
const LISTING_COST = 10;

/** How soon differences are looked into, however many of them the control plane finds. */
export class RepairPace {
  readonly #now: () => number;
  #left = BURST;
  #filledAt: number;

  constructor(now: () => number) {
    this.#now = now;
    this.#filledAt = now();
  }

  /** Whether one may be looked into now; else for how long it waits before it asks again. */
  take(isListing: boolean): { readonly waitMs: number } {
    const now = this.#now();
    // A clock that was put back fills nothing, and begins anew.
    const passedMs = Math.max(0, now - this.#filledAt);
    this.#filledAt = now;
    this.#left = Math.min(BURST, this.#left + (passedMs / 1_000) * PER_SECOND);
    const cost = isListing ? LISTING_COST : 1;
    if (this.#left < cost) {
      return { waitMs: Math.ceil(((cost - this.#left) / PER_SECOND) * 1_000) };
    }
    this.#left -= cost;
    return { waitMs: 0 };
  }
}
