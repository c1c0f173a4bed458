import { hash } from "node:crypto";
import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError } from "@isthmus/shared/errors";

/** Our own limits: a stampede is let in at the pace of the machine, and the rest told when to come back. */
const MAX_ACTIVE = 64;
const MAX_WAITING = 256;
const MAX_WAIT_MS = 8_000;
const MIN_RETRY_SECONDS = 5;
const RETRY_SPREAD_SECONDS = 55;
const MAX_REMEMBERED = 10_000;
const MEMORY_MS = 600_000;

/** There is no place now; `retryAfterSeconds` spreads the devices over a minute. */
export class BusyError extends ConnectorError {
  readonly retryAfterSeconds: number;

  constructor(retryAfterSeconds: number) {
    super("scep-busy", "more devices ask at once than can be served; come back later", {
      isRetryable: true,
    });
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

interface Waiting {
  readonly firstAskedAt: number;
  readonly enter: () => void;
  readonly turnAway: () => void;
}

/** Lets so many messages be worked on at once. Who was turned away before goes first when it comes again. */
export class IssuanceGate {
  readonly #clock: Clock;
  readonly #maxActive: number;
  readonly #maxWaiting: number;
  #active = 0;
  #waiting: Waiting[] = [];
  /** When a transaction that was turned away asked first; the oldest entries are forgotten. */
  readonly #turnedAway = new Map<string, number>();

  constructor(clock: Clock, maxActive = MAX_ACTIVE, maxWaiting = MAX_WAITING) {
    this.#clock = clock;
    this.#maxActive = maxActive;
    this.#maxWaiting = maxWaiting;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Runs the act when it is its turn. Throws BusyError where its turn would come too late. */
  async run<T>(transactionId: string, act: () => Promise<T>): Promise<T> {
    if (this.#active >= this.#maxActive) await this.#turn(transactionId);
    else this.#active += 1;
    this.#turnedAway.delete(transactionId);
    try {
      return await act();
    } finally {
      this.#leave();
    }
  }

  /** The place of who leaves goes to the next in line without becoming free in between. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#active -= 1;
    else next.enter();
  }

  #turn(transactionId: string): Promise<void> {
    const firstAskedAt = this.#firstAskedAt(transactionId);
    const last = this.#waiting.at(-1);
    if (this.#waiting.length >= this.#maxWaiting) {
      if (last === undefined || last.firstAskedAt <= firstAskedAt) {
        return Promise.reject(this.#turnedAwayNow(transactionId, firstAskedAt));
      }
      this.#waiting.pop();
      last.turnAway();
    }
    return new Promise((resolve, reject) => {
      const turnAway = () => {
        clearTimeout(timer);
        reject(this.#turnedAwayNow(transactionId, firstAskedAt));
      };
      const enter = () => {
        clearTimeout(timer);
        resolve();
      };
      const waiting = { firstAskedAt, enter, turnAway };
      const timer = setTimeout(() => {
        this.#waiting = this.#waiting.filter((each) => each !== waiting);
        turnAway();
      }, MAX_WAIT_MS);
      timer.unref();
      this.#insert(waiting);
    });
  }

  /** Who asked first is first in line. */
  #insert(waiting: Waiting): void {
    const at = this.#waiting.findLastIndex((each) => each.firstAskedAt <= waiting.firstAskedAt);
    this.#waiting.splice(at + 1, 0, waiting);
  }

  #firstAskedAt(transactionId: string): number {
    const now = this.#clock.now();
    const before = this.#turnedAway.get(transactionId);
    return before !== undefined && now - before < MEMORY_MS ? before : now;
  }

  #turnedAwayNow(transactionId: string, firstAskedAt: number): BusyError {
    this.#turnedAway.delete(transactionId);
    this.#turnedAway.set(transactionId, firstAskedAt);
    const [oldest] = this.#turnedAway.keys();
    if (this.#turnedAway.size > MAX_REMEMBERED && oldest !== undefined) {
      this.#turnedAway.delete(oldest);
    }
    return new BusyError(retryAfterSeconds(transactionId));
  }
}

/** From the transaction and not from chance: a device that asks twice is not sent further back. */
export function retryAfterSeconds(transactionId: string): number {
  const share = hash("sha256", transactionId, "buffer").readUInt16BE(0) / 0x1_0000;
  return MIN_RETRY_SECONDS + Math.floor(share * RETRY_SPREAD_SECONDS);
}
