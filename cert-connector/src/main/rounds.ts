/** Work that is done in rounds: every so often and when somebody asks, but never two rounds at once. */
export class Rounds implements AsyncDisposable {
  readonly #round: () => Promise<void>;
  readonly #onError: (error: unknown) => void;
  #timer: NodeJS.Timeout | undefined;
  #underWay: Promise<void> | undefined;

  /** `onError` hears of rounds that nobody waits for. */
  constructor(round: () => Promise<void>, onError: (error: unknown) => void) {
    this.#round = round;
    this.#onError = onError;
  }

  /** From now on a round begins every so many ms. */
  start(everyMs: number): void {
    this.#timer ??= setInterval(() => this.begin(), everyMs).unref();
  }

  /** Begins a round, unless one is under way, and does not wait for it. */
  begin(): void {
    if (this.#underWay === undefined) this.run().catch(this.#onError);
  }

  /** Resolves when the round under way has ended, or a new one. Throws what it throws. */
  async run(): Promise<void> {
    this.#underWay ??= this.#round().finally(() => {
      this.#underWay = undefined;
    });
    await this.#underWay;
  }

  /** No round begins by itself any more; the one under way goes on. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /** Stops, and waits for the round under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    await this.#underWay?.catch(() => undefined);
  }
}
