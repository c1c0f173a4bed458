import type { Random } from "../random.ts";

/** Own limits: the span of the first wait and of the longest; a connection that lasts this long counts as good. */
const FIRST_SPAN_MS = 500;
const LONGEST_SPAN_MS = 30_000;
export const STABLE_AFTER_MS = 60_000;
/** After a refusal that needs a person: often enough to be back by itself once that person has acted. */
const REFUSED_SPAN_MS = { least: 900_000, most: 3_600_000 };

/**
 * Waits between attempts with full jitter: anything from nothing to a span that doubles with each failure, so that many
 * connectors that lost one server do not come back in step.
 */
export class BackOff {
  readonly #random: Random;
  #failures = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Ms to wait before the next attempt, after a connection that lasted `lastedMs` (0 for none). */
  next(lastedMs: number): number {
    if (lastedMs >= STABLE_AFTER_MS) this.#failures = 0;
    const span = Math.min(LONGEST_SPAN_MS, FIRST_SPAN_MS * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 16);
    return this.#fraction() * span;
  }

  /** Ms to wait after the control plane's word that a person has to act first. */
  afterRefusal(): number {
    const { least, most } = REFUSED_SPAN_MS;
    return least + this.#fraction() * (most - least);
  }

  #fraction(): number {
    return this.#random.bytes(4).readUInt32BE() / 2 ** 32;
  }
}
