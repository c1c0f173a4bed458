/** What was known when a frame was sent, to be handed back with its acknowledgement. */
export interface SendMark {
  readonly bytes: number;
  readonly sentAt: number;
  readonly deliveredBytes: number;
  readonly deliveredAt: number;
}

/** Most time that bulk may stand in queues, so that a result behind it waits no longer. */
const MAX_QUEUE_MS = 200;
/** Before anything was measured. */
const FIRST_LIMIT_BYTES = 16_384;
/** On a line however slow: a batch of a few entries, without which nothing could be measured. */
const MIN_LIMIT_BYTES = 2_048;
/** Share of a new sample in the estimate. */
const GAIN = 0.25;

/**
 * Measures how many bytes arrive per second, and from it bounds the bytes on their way: what the path itself holds in one
 * round trip, and 200 ms of goodput on top, which is what may stand in queues. Times are ms of a monotonic clock.
 */
export class Goodput {
  #deliveredBytes = 0;
  #deliveredAt = 0;
  #bytesPerMs = 0;
  #roundTripMs: number;

  /**
   * `roundTripMs` was measured when nothing else was on its way (the handshake). Acknowledgements can only lower it: with
   * bulk before them they tell of queues as well, and a bound that grew with the queues it makes would bound nothing.
   */
  constructor(roundTripMs: number) {
    this.#roundTripMs = roundTripMs;
  }

  /** Call when `bytes` are sent. */
  sent(bytes: number, nowMs: number): SendMark {
    const isIdle = this.#deliveredAt === 0;
    return {
      bytes,
      sentAt: nowMs,
      deliveredBytes: this.#deliveredBytes,
      deliveredAt: isIdle ? nowMs : this.#deliveredAt,
    };
  }

  /** Call when what `mark` stands for was acknowledged. */
  acknowledged(mark: SendMark, nowMs: number): void {
    this.#deliveredBytes += mark.bytes;
    this.#deliveredAt = nowMs;
    this.#roundTripMs = Math.min(this.#roundTripMs, nowMs - mark.sentAt);
    // Counting from the send as well as from the delivery before it keeps idle time and bunched acks out of the rate.
    const elapsedMs = Math.max(nowMs - mark.deliveredAt, nowMs - mark.sentAt, 0.1);
    const sample = (this.#deliveredBytes - mark.deliveredBytes) / elapsedMs;
    this.#bytesPerMs += (sample - this.#bytesPerMs) * (this.#bytesPerMs === 0 ? 1 : GAIN);
  }

  /** Nothing is on its way any more: what comes next is measured by itself. */
  rest(): void {
    this.#deliveredAt = 0;
  }

  /** Bytes per second that arrive; 0 before anything was measured. */
  get bytesPerSecond(): number {
    return this.#bytesPerMs * 1000;
  }

  /** How many bytes of bulk may be on their way. */
  get limitBytes(): number {
    if (this.#bytesPerMs === 0) return FIRST_LIMIT_BYTES;
    return Math.max(MIN_LIMIT_BYTES, this.#bytesPerMs * (this.#roundTripMs + MAX_QUEUE_MS));
  }
}
