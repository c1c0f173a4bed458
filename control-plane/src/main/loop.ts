import { setTimeout as delay } from "node:timers/promises";

/** How long a round that failed is waited for: full jitter up to a ceiling that doubles. */
const FIRST_BACK_OFF_MS = 100;
const MAX_BACK_OFF_MS = 5_000;

export interface LoopSettings {
  /** Resolves with whether there is more to do at once. */
  readonly round: () => Promise<boolean>;
  /** Between rounds when nobody nudges. */
  readonly intervalMs: number;
  readonly onError: (error: unknown) => void;
}

/** Does a round again and again: at a nudge, after an interval, and after a failure with back-off. Rounds never overlap. */
export class Loop implements AsyncDisposable {
  readonly #settings: LoopSettings;
  readonly #stopping = new AbortController();
  readonly #ended: Promise<void>;
  #nudge = Promise.withResolvers<void>();
  #failures = 0;

  constructor(settings: LoopSettings) {
    this.#settings = settings;
    this.#ended = this.#run();
  }

  /** The next round begins now, or as soon as the present one has ended. */
  nudge(): void {
    this.#nudge.resolve();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      // Before the round, so that a nudge during it is not lost.
      this.#nudge = Promise.withResolvers<void>();
      const waitMs = await this.#round();
      if (waitMs > 0) await this.#wait(waitMs);
    }
  }

  async #round(): Promise<number> {
    try {
      const isMore = await this.#settings.round();
      this.#failures = 0;
      return isMore ? 0 : this.#settings.intervalMs;
    } catch (error) {
      if (this.#stopping.signal.aborted) return 0;
      this.#settings.onError(error);
      const ceiling = Math.min(MAX_BACK_OFF_MS, FIRST_BACK_OFF_MS * 2 ** this.#failures);
      this.#failures += 1;
      return Math.max(1, Math.random() * ceiling);
    }
  }

  async #wait(ms: number): Promise<void> {
    const cut = new AbortController();
    const signal = AbortSignal.any([this.#stopping.signal, cut.signal]);
    const waited = delay(ms, undefined, { signal }).catch(() => undefined);
    // A failure is waited for whatever is asked; the nudge stays and counts for nothing, since a round follows anyway.
    await (this.#failures > 0 ? waited : Promise.race([waited, this.#nudge.promise]));
    cut.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#ended;
  }
}
