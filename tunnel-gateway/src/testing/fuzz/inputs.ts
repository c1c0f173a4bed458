import { changedBytes } from "./changed-bytes.ts";
import { SeededRandom } from "./seeded-random.ts";
import type { FuzzTarget } from "./target.ts";

const POOL_AT_MOST = 256;
/** Longer ones are tried and not changed any further. */
const KEPT_BYTES_AT_MOST = 8_192;

/** As those of native/fuzz/driver.c: of the corpus, made by the target, or an earlier one, most of them changed. */
export class Inputs {
  readonly #target: FuzzTarget;
  readonly #random: SeededRandom;
  readonly #pool: Buffer[];

  constructor(target: FuzzTarget, seed: number) {
    this.#target = target;
    this.#random = new SeededRandom(seed);
    this.#pool = [...target.corpus];
  }

  next(run: number): Buffer {
    const [random, pool] = [this.#random, this.#pool];
    const { corpus, words } = this.#target;
    const original = corpus[run];
    if (original) return original;
    const made = random.once(2) ? this.#target.generate(random) : random.pick(pool);
    // A quarter stays as it was made: good input has to pass through deeply.
    const input = random.once(4) ? made : changedBytes(made, { random, words, pool });
    if (random.once(16) && input.length <= KEPT_BYTES_AT_MOST) {
      // The corpus stays, the rest of the pool is renewed.
      const at =
        pool.length < POOL_AT_MOST
          ? pool.length
          : corpus.length + random.below(POOL_AT_MOST - corpus.length);
      // Of its own memory: a piece of a larger one would keep all of that.
      pool[at] = Buffer.from(Uint8Array.from(input).buffer);
    }
    return input;
  }
}
