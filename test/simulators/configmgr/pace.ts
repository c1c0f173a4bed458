import { setTimeout as delay } from "node:timers/promises";
import type { Limits } from "./site-options.ts";

/** How fast the provider is: real time, whatever the site's clock says. */
export class Pace {
  limits: Limits;
  #inFlight = 0;
  #mostInFlight = 0;
  readonly #waiting: (() => void)[] = [];
  /** When the rows that were promised are through. */
  #rowsUntil = 0;
  readonly #seconds = new Map<string, { second: number; count: number }>();

  constructor(limits: Limits) {
    this.limits = limits;
  }

  /** The most requests that were under way at once. */
  get mostInFlight(): number {
    return this.#mostInFlight;
  }

  /** False where this address asks too often. */
  admits(address: string): boolean {
    const { requestsPerSecond } = this.limits;
    if (requestsPerSecond === undefined) return true;
    const second = Math.floor(performance.now() / 1_000);
    const seen = this.#seconds.get(address);
    const count = seen?.second === second ? seen.count + 1 : 1;
    this.#seconds.set(address, { second, count });
    return count <= requestsPerSecond;
  }

  /** Waits for a place; the result gives it back. */
  async enter(): Promise<() => void> {
    while (this.#inFlight >= (this.limits.maxInFlight ?? Infinity)) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#inFlight += 1;
    this.#mostInFlight = Math.max(this.#mostInFlight, this.#inFlight);
    let isGiven = true;
    return () => {
      if (!isGiven) return;
      isGiven = false;
      this.#inFlight -= 1;
      this.#waiting.shift()?.();
    };
  }

  async beforePage(): Promise<void> {
    const { msPerPage = 0 } = this.limits;
    if (msPerPage > 0) await delay(msPerPage);
  }

  async rows(count: number): Promise<void> {
    const { rowsPerSecond } = this.limits;
    if (rowsPerSecond === undefined) return;
    const now = performance.now();
    this.#rowsUntil = Math.max(now, this.#rowsUntil) + (count / rowsPerSecond) * 1_000;
    await delay(this.#rowsUntil - now);
  }
}
