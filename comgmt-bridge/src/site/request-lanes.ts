import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError } from "@isthmus/shared/errors";

/** In the order in which they go: a command never waits behind a snapshot. */
const LANES = ["command", "hint", "snapshot"] as const;
export type Lane = (typeof LANES)[number];
const SNAPSHOT_DUE = ["command", "snapshot", "hint"] as const;

/** Own limit on requests of a lane that wait; a scan's are no reason to refuse a command. */
const MAX_WAITING = 1_000;

/**
 * Own choice: so many snapshot requests are on their way at once while hints are asked for, and so long a round of hints may pause without being
 * over. A provider that is slower than we ask has a queue, and each step of a round would stand behind all of a scan in it.
 */
const SNAPSHOTS_BESIDE_HINTS = 2;
const HINT_PAUSE_MS = 1_000;
/** Longer than any pause before it is looked again: a time further back than that was told by a clock that was then put back. */
const MAX_PAUSE_MS = 60_000;

export type Pause = (ms: number, signal: AbortSignal) => Promise<unknown>;

interface Waiting {
  readonly enter: () => void;
}

export interface LaneLimits {
  /** At least 2: one place is for commands alone. */
  readonly maxInFlight: number;
  readonly requestsPerSecond: number;
}

/**
 * Who may ask the site now. All but one of the places, and all of the rate, are for everybody; the last place is for commands, and a
 * command may go up to a second ahead of the rate, which those behind it then make up for. While hints are asked for, a snapshot has few places,
 * but always one.
 */
export class RequestLanes implements Disposable {
  readonly #limits: LaneLimits;
  readonly #clock: Clock;
  readonly #pause: Pause;
  readonly #stop = new AbortController();
  readonly #waiting: Record<Lane, Waiting[]> = { command: [], hint: [], snapshot: [] };
  readonly #inFlightOf: Record<Lane, number> = { command: 0, hint: 0, snapshot: 0 };
  #inFlight = 0;
  #hintAt = Number.NEGATIVE_INFINITY;
  /** Whether the last that went and was no command was a hint. */
  #isAfterHint = false;
  #tokens: number;
  #filledAt: number;
  /** When it is looked again by itself. */
  #admitAt = Number.POSITIVE_INFINITY;

  constructor(
    limits: LaneLimits,
    { clock, pause }: { readonly clock: Clock; readonly pause: Pause },
  ) {
    this.#limits = limits;
    this.#clock = clock;
    this.#pause = pause;
    this.#tokens = limits.requestsPerSecond;
    this.#filledAt = clock.now();
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get waiting(): number {
    return LANES.reduce((sum, lane) => sum + this.#waiting[lane].length, 0);
  }

  /** A place, given back when disposed of. Throws ConnectorError `site-busy` (retryable), and the signal's reason. */
  async enter(lane: Lane, signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted();
    if (this.#waiting[lane].length >= MAX_WAITING) {
      throw new ConnectorError(
        "site-busy",
        `${MAX_WAITING} requests to the site wait already; raise site.limits.maxInFlight or requestsPerSecond if the provider can bear it`,
        { isRetryable: true },
      );
    }
    const turn = Promise.withResolvers<void>();
    const waiting: Waiting = { enter: turn.resolve };
    const onAbort = () => {
      const queue = this.#waiting[lane];
      const at = queue.indexOf(waiting);
      if (at === -1) return;
      queue.splice(at, 1);
      turn.reject(signal.reason);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    this.#waiting[lane].push(waiting);
    this.#admit();
    try {
      await turn.promise;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
    return this.#place(lane);
  }

  #place(lane: Lane): Disposable {
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        this.#inFlight -= 1;
        this.#inFlightOf[lane] -= 1;
        if (lane === "hint") this.#hintAt = this.#clock.now();
        this.#admit();
      },
    };
  }

  #admit(): void {
    this.#fill();
    for (let lane = this.#next(); lane !== undefined; lane = this.#next()) {
      this.#inFlight += 1;
      this.#inFlightOf[lane] += 1;
      this.#tokens -= 1;
      if (lane !== "command") this.#isAfterHint = lane === "hint";
      this.#waiting[lane].shift()?.enter();
    }
  }

  /** Who goes now. */
  #next(): Lane | undefined {
    // Hints without end do not stop a scan: one of its requests goes behind each hint as long as none is under way.
    const isSnapshotDue = this.#isAfterHint && this.#inFlightOf.snapshot === 0;
    for (const lane of isSnapshotDue ? SNAPSHOT_DUE : LANES) {
      if (this.#waiting[lane].length === 0 || !this.#hasPlace(lane)) continue;
      if (this.#hasToken(lane)) return lane;
      this.#admitLater(lane);
    }
    return undefined;
  }

  #hasPlace(lane: Lane): boolean {
    const reserved = lane === "command" ? 0 : 1;
    if (this.#inFlight >= this.#limits.maxInFlight - reserved) return false;
    if (lane !== "snapshot" || this.#inFlightOf.snapshot < SNAPSHOTS_BESIDE_HINTS) return true;
    if (this.#inFlightOf.hint > 0 || this.#waiting.hint.length > 0) return false;
    const leftMs = this.#hintAt + HINT_PAUSE_MS - this.#clock.now();
    // A clock that was put back does not stop a scan for longer.
    if (!(leftMs > 0 && leftMs <= HINT_PAUSE_MS)) return true;
    this.#admitIn(leftMs);
    return false;
  }

  #hasToken(lane: Lane): boolean {
    const floor = lane === "command" ? -this.#limits.requestsPerSecond : 0;
    return this.#tokens >= floor + 1;
  }

  #fill(): void {
    const { requestsPerSecond } = this.#limits;
    const now = this.#clock.now();
    const passedMs = Math.max(0, now - this.#filledAt);
    this.#filledAt = now;
    this.#tokens = Math.min(
      requestsPerSecond,
      this.#tokens + (passedMs / 1_000) * requestsPerSecond,
    );
  }

  #admitLater(lane: Lane): void {
    const { requestsPerSecond } = this.#limits;
    const floor = lane === "command" ? -requestsPerSecond : 0;
    this.#admitIn(Math.ceil(((floor + 1 - this.#tokens) / requestsPerSecond) * 1_000));
  }

  #admitIn(ms: number): void {
    const at = this.#clock.now() + ms;
    // One that is due earlier looks again itself.
    if (this.#admitAt <= at && this.#admitAt > at - MAX_PAUSE_MS) return;
    this.#admitAt = at;
    const admit = () => {
      if (this.#admitAt === at) this.#admitAt = Number.POSITIVE_INFINITY;
      this.#admit();
    };
    this.#pause(Math.max(1, ms), this.#stop.signal).then(admit, () => {});
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
  }
}
