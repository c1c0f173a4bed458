/**
 * Repeats a step, one at a time, until it says that there is nothing more to do, and again whenever it is started. A start
 * while it runs is not lost: the step is asked once more.
 */
export class Pump {
  readonly #step: () => Promise<boolean>;
  readonly #onFailed: (error: unknown) => void;
  #isRunning = false;
  #hasNews = false;

  /** `step` answers whether there may be more. When it rejects, the pump rests until the next start. */
  constructor(step: () => Promise<boolean>, onFailed: (error: unknown) => void) {
    this.#step = step;
    this.#onFailed = onFailed;
  }

  start(): void {
    this.#hasNews = true;
    if (!this.#isRunning) void this.#run();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    try {
      while (this.#hasNews) {
        this.#hasNews = false;
        for (let isMore = true; isMore; ) isMore = await this.#step();
      }
    } catch (error) {
      this.#onFailed(error);
    } finally {
      this.#isRunning = false;
    }
  }
}
