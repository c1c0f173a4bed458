import type { SendMark } from "./goodput.ts";
import { Goodput } from "./goodput.ts";

/** Own limits: batches on their way, and how many of those places are kept for what may not wait. */
export const MAX_BATCHES_IN_FLIGHT = 32;
const RESERVED_BATCHES = 8;
/** Most raw bytes in one batch. */
const MAX_BATCH_RAW_BYTES = 262_144;
/** What zstd makes of short JSON lines at least, before anything was measured. */
const FIRST_RATIO = 2;
const RATIO_GAIN = 0.25;

export interface Room {
  /** So many batches may be sent, with so many bytes as they go onto the line. */
  readonly batches: number;
  readonly bytes: number;
  /** Raw bytes that the next batch may have. */
  readonly rawBytes: number;
}

interface Sent {
  readonly stream: string;
  readonly lastSeq: number;
  readonly bytes: number;
  readonly isBulk: boolean;
  readonly mark: SendMark;
}

/**
 * What was sent on one connection and not acknowledged: the window in frames and bytes, and in it the share of bulk, bounded by
 * measured goodput. Times are ms of a monotonic clock.
 */
export class InFlight {
  readonly goodput: Goodput;
  readonly #maxBytes: number;
  #sent: Sent[] = [];
  #bytes = 0;
  #bulkBytes = 0;
  #bulkBatches = 0;
  #ratio = FIRST_RATIO;

  constructor(of: {
    /** The credit that the other side gave. */
    readonly maxBytes: number;
    /** Round trip of the handshake. */
    readonly roundTripMs: number;
  }) {
    this.#maxBytes = of.maxBytes;
    this.goodput = new Goodput(of.roundTripMs);
  }

  get bytes(): number {
    return this.#bytes;
  }

  get bulkBytes(): number {
    return this.#bulkBytes;
  }

  get batches(): number {
    return this.#sent.length;
  }

  /** What may be sent now; undefined for nothing. */
  roomFor(isBulk: boolean): Room | undefined {
    const maxBatches = MAX_BATCHES_IN_FLIGHT - (isBulk ? RESERVED_BATCHES : 0);
    const batches = maxBatches - (isBulk ? this.#bulkBatches : this.#sent.length);
    const credit = this.#maxBytes - this.#bytes;
    const bytes = isBulk ? Math.min(credit, this.goodput.limitBytes - this.#bulkBytes) : credit;
    if (bytes <= 0 || batches <= 0 || this.#sent.length >= MAX_BATCHES_IN_FLIGHT) return undefined;
    const foreseen = isBulk ? Math.ceil(bytes * this.#ratio) : MAX_BATCH_RAW_BYTES;
    return { batches, bytes, rawBytes: Math.min(MAX_BATCH_RAW_BYTES, foreseen) };
  }

  /** Notes a batch of `rawBytes` that became a frame of `bytes`. */
  add(of: Omit<Sent, "mark"> & { readonly rawBytes: number }, nowMs: number): void {
    const { stream, lastSeq, bytes, isBulk } = of;
    this.#noteRatio(of.rawBytes / bytes);
    this.#sent.push({ stream, lastSeq, bytes, isBulk, mark: this.goodput.sent(bytes, nowMs) });
    this.#bytes += bytes;
    if (!isBulk) return;
    this.#bulkBytes += bytes;
    this.#bulkBatches += 1;
  }

  /** Down at once and up slowly: a batch that comes out larger than foreseen makes others wait. */
  #noteRatio(ratio: number): void {
    this.#ratio = Math.min(ratio, this.#ratio + (ratio - this.#ratio) * RATIO_GAIN);
  }

  /** Takes out what an acknowledgement covers. */
  acknowledge(stream: string, seq: number, nowMs: number): void {
    const isCovered = (sent: Sent) => sent.stream === stream && sent.lastSeq <= seq;
    for (const sent of this.#sent.filter(isCovered)) {
      this.goodput.acknowledged(sent.mark, nowMs);
      this.#bytes -= sent.bytes;
      if (!sent.isBulk) continue;
      this.#bulkBytes -= sent.bytes;
      this.#bulkBatches -= 1;
    }
    this.#sent = this.#sent.filter((sent) => !isCovered(sent));
    if (this.#sent.length === 0) this.goodput.rest();
  }
}
