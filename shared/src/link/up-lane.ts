import { codeOf } from "../errors.ts";
import { makeBatchFrame } from "./batch-frame.ts";
import { InFlight, type Room } from "./in-flight.ts";
import { COMMANDS_STREAM } from "./inbox-operations.ts";
import type { LaneStore } from "./lane-store.ts";
import type { LinkLog } from "./link-log.ts";
import { Pump } from "./pump.ts";
import type { StreamBatch } from "./stream-batches.ts";

/** Entries in one batch. */
const BATCH_ENTRIES = 100;
/** After a store error the lane looks again this much later. */
const RETRY_MS = 1_000;

/** One connection as the lane sees it. */
export interface UpConnection {
  readonly creditBytes: number;
  /** Between hello and welcome. */
  readonly roundTripMs: number;
  /** The last entry of each stream that the control plane has. */
  readonly cursors: Readonly<Record<string, number>>;
  send(frame: Uint8Array): void;
}

interface Attached {
  readonly connection: UpConnection;
  readonly inFlight: InFlight;
  /** Up to where each stream was sent on this connection. */
  readonly sentSeq: Map<string, number>;
  /** Streams that the control plane does not know. */
  readonly unsupported: Set<string>;
}

/**
 * Sends log streams up: batches in the order of their seq, results of commands before everything else, bulk only as far as it
 * leaves room for them. What is not acknowledged when a connection ends is sent again on the next.
 */
export class UpLane {
  readonly #store: LaneStore;
  readonly #log: LinkLog;
  readonly #clock: { now(): number };
  readonly #monotonicMs: () => number;
  readonly #waiting = new Set<string>();
  /** Results do not wait while a batch of bulk is being made. */
  readonly #urgent = new Pump(
    () => this.#sendNext(false),
    (error) => this.#noteFailure(error),
  );
  readonly #bulk = new Pump(
    () => this.#sendNext(true),
    (error) => this.#noteFailure(error),
  );
  #attached: Attached | undefined;

  constructor(options: {
    readonly store: LaneStore;
    readonly log: LinkLog;
    readonly clock: { now(): number };
    readonly monotonicMs?: () => number;
  }) {
    this.#store = options.store;
    this.#log = options.log;
    this.#clock = options.clock;
    this.#monotonicMs = options.monotonicMs ?? (() => performance.now());
  }

  /** Begins to send on a connection, after what the other side has. */
  attach(connection: UpConnection): void {
    this.#attached = {
      connection,
      inFlight: new InFlight({
        maxBytes: connection.creditBytes,
        roundTripMs: connection.roundTripMs,
      }),
      sentSeq: new Map(Object.entries(connection.cursors)),
      unsupported: new Set(),
    };
    for (const stream of Object.keys(connection.cursors)) this.#waiting.add(stream);
    this.#startPumps();
  }

  detach(): void {
    this.#attached = undefined;
  }

  /** Says that a stream has new entries. */
  wake(stream: string): void {
    this.#waiting.add(stream);
    this.#startPumps();
  }

  /** The control plane does not know this stream: it is kept and not sent on this connection. */
  stop(stream: string): void {
    this.#attached?.unsupported.add(stream);
  }

  /** Bytes on their way, and what bounds them; for health and measurements. */
  figures(): { readonly bytesInFlight: number; readonly bytesPerSecond: number } {
    const inFlight = this.#attached?.inFlight;
    return {
      bytesInFlight: inFlight?.bytes ?? 0,
      bytesPerSecond: inFlight?.goodput.bytesPerSecond ?? 0,
    };
  }

  /** Takes an acknowledgement in. Throws what the store throws; `ack-ahead` breaks the protocol. */
  async acknowledge(
    stream: string,
    seq: number,
    rejected: readonly { readonly seq: number; readonly code: string }[],
  ): Promise<void> {
    this.#attached?.inFlight.acknowledge(stream, seq, this.#monotonicMs());
    this.#startPumps();
    if (rejected.length > 0) {
      this.#log.warn({ stream, rejected: rejected.slice(0, 10) }, "link.entries-rejected");
    }
    await this.#store.run("acknowledgeStream", { stream, seq, rejected, at: this.#clock.now() });
  }

  #startPumps(): void {
    this.#urgent.start();
    this.#bulk.start();
  }

  #noteFailure(error: unknown): void {
    this.#log.warn({ code: codeOf(error), err: error }, "link.up-lane-failed");
    setTimeout(() => this.#startPumps(), RETRY_MS).unref();
  }

  async #sendNext(isBulk: boolean): Promise<boolean> {
    const attached = this.#attached;
    if (attached === undefined) return false;
    const room = attached.inFlight.roomFor(isBulk);
    const stream = [...this.#waiting].find(
      (each) => isBulkStream(each) === isBulk && !attached.unsupported.has(each),
    );
    if (room === undefined || stream === undefined) return false;
    await this.#sendBatch(attached, stream, room);
    return true;
  }

  async #sendBatch(attached: Attached, stream: string, room: Room): Promise<void> {
    const afterSeq = attached.sentSeq.get(stream) ?? 0;
    const batch = await this.#take(stream, afterSeq, room);
    if (batch === undefined) return;
    if (batch.hasMore) this.#waiting.add(stream);
    let { firstSeq, isAfterPruned } = batch;
    for (const part of framesOf(batch)) {
      const frame = await makeBatchFrame({ stream, firstSeq, isAfterPruned, ...part });
      if (this.#attached !== attached) return;
      const lastSeq = firstSeq + part.entries - 1;
      attached.sentSeq.set(stream, lastSeq);
      const isBulk = isBulkStream(stream);
      attached.inFlight.add(
        { stream, lastSeq, bytes: frame.length, isBulk, rawBytes: part.rawBytes },
        this.#monotonicMs(),
      );
      attached.connection.send(frame);
      firstSeq = lastSeq + 1;
      isAfterPruned = false;
    }
  }

  async #take(stream: string, afterSeq: number, room: Room) {
    // Whoever wakes the stream from here on is heard again.
    this.#waiting.delete(stream);
    try {
      const ask = {
        stream,
        afterSeq,
        maxEntries: BATCH_ENTRIES,
        maxBytes: room.rawBytes,
        maxPacked: room.batches,
        maxPackedBytes: room.bytes,
      };
      return await this.#store.run("takeStreamBatch", ask);
    } catch (error) {
      this.#waiting.add(stream);
      throw error;
    }
  }
}

/** All lines in one frame, or each entry that is packed in its own. */
function framesOf({ lines, packed }: StreamBatch) {
  if (lines.length === 0) {
    return packed.map((each) => ({ lines, packed: each, entries: 1, rawBytes: each.rawBytes }));
  }
  const rawBytes = lines.reduce((sum, line) => sum + line.length + 1, 0);
  return [{ lines, packed: undefined, entries: lines.length, rawBytes }];
}

function isBulkStream(stream: string): boolean {
  return stream !== COMMANDS_STREAM;
}
