import type { Clock } from "@isthmus/shared/clock";

/** Own limit on lines a second: metrics count all that happens, and a flood of strangers fills no disk. */
export const MAX_LINES = 50;
const SECOND_MS = 1_000;

interface Log {
  info(fields: object, message: string): void;
}

/** Writes of what anybody can bring about unasked so much a second and no more; the next line after says how many were left out. */
export class StrangerLog {
  readonly #log: Log;
  readonly #clock: Clock;
  #since = 0;
  #lines = 0;

  constructor(log: Log, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  info(fields: object, message: string): void {
    const now = this.#clock.now();
    if (now - this.#since >= SECOND_MS || now < this.#since) {
      const suppressed = this.#lines - MAX_LINES;
      if (suppressed > 0) this.#log.info({ suppressed }, "strangers.suppressed");
      this.#since = now;
      this.#lines = 0;
    }
    this.#lines += 1;
    if (this.#lines <= MAX_LINES) this.#log.info(fields, message);
  }
}
