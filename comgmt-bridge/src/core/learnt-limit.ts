/** Own choice: a site that takes no more loses one request in 500 by being tried again. */
const TRIED_AGAIN_AFTER = 1_000;

/** How much a site was seen to take at once. What was a fault of the moment is found out: after many answers twice as much is tried. */
export class LearntLimit {
  readonly #most: number;
  #now: number;
  #answers = 0;

  constructor(most: number) {
    this.#most = most;
    this.#now = most;
  }

  get now(): number {
    return this.#now;
  }

  /** More than this was not taken. */
  lower(to: number): void {
    this.#now = Math.max(1, Math.min(this.#now, to));
    this.#answers = 0;
  }

  /** What was asked for within the limit was answered. */
  answered(): void {
    if (this.#now >= this.#most) return;
    this.#answers += 1;
    if (this.#answers < TRIED_AGAIN_AFTER) return;
    this.#answers = 0;
    this.#now = Math.min(this.#most, this.#now * 2);
  }
}
