import { ConnectorError } from "@isthmus/shared/errors";

/**
 * At most so much of a kind of work under way and so much waiting for it, in the order in which it came. What comes beyond is
 * refused at once, so that a flood of logins takes neither all threads of the process nor the server behind them.
 */
export class WorkLimit {
  readonly #maxUnderWay: number;
  readonly #maxWaiting: number;
  readonly #waiting = new Set<() => void>();
  #underWay = 0;

  constructor(of: { readonly underWay: number; readonly waiting: number }) {
    this.#maxUnderWay = of.underWay;
    this.#maxWaiting = of.waiting;
  }

  /** Runs work when it is its turn. @throws ConnectorError `authenticator-busy`, or the signal's reason while it waits */
  async run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    await this.#enter(signal);
    try {
      return await work();
    } finally {
      this.#leave();
    }
  }

  async #enter(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#underWay < this.#maxUnderWay) {
      this.#underWay += 1;
      return;
    }
    if (this.#waiting.size >= this.#maxWaiting) throw busy(this.#maxWaiting);
    const turn = Promise.withResolvers<void>();
    const giveUp = () => {
      this.#waiting.delete(turn.resolve);
      turn.reject(signal.reason);
    };
    this.#waiting.add(turn.resolve);
    signal.addEventListener("abort", giveUp, { once: true });
    try {
      await turn.promise;
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
  }

  /** The place goes to who has waited longest. */
  #leave(): void {
    const [next] = this.#waiting;
    if (!next) {
      this.#underWay -= 1;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}

function busy(waiting: number): ConnectorError {
  const message = `more than ${waiting} logins wait for the same authenticator`;
  return new ConnectorError("authenticator-busy", message, { isRetryable: true });
}
