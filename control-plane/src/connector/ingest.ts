import { ConnectorError, ProtocolError } from "@isthmus/shared/errors";
import type { BatchFrame } from "@isthmus/shared/link/batch-frame";
import { readBatchFrame } from "@isthmus/shared/link/batch-frame";
import { COMMANDS_STREAM } from "@isthmus/shared/link/inbox-operations";
import { INVENTORY_STREAM } from "@isthmus/shared/link/inventory-messages";
import { type FromControlPlane, MAX_BATCH_ENTRIES } from "@isthmus/shared/link/messages";
import type { SessionKey } from "../core/link-records.ts";
import type { LinkContext } from "./link-context.ts";
import type { LinkPeer } from "./link-peer.ts";

/** The credit each connector gets, and what a connection may go over it before it is ended: one frame of the largest size. */
export const CREDIT_BYTES = 1_048_576;
const MAX_WAITING_BYTES = CREDIT_BYTES + 600_000;
/**
 * Octets of entries, as they are when opened, of one connection that are on their way into the store. What waits for the same commit
 * shares it: rows of a first sync fall all over the indexes, and a page that many batches touch is then written once. More would let
 * others wait longer for their commit.
 */
const MAX_STORING_BYTES = 4_194_304;
/**
 * After inventory went to the store, what comes within this time is gathered, up to so many octets as they are when opened: a bridge that
 * reads a site brings a batch every few ms, and a commit for each would cost as much as all the rest. Half of what a connector lets stand in
 * queues (`MAX_QUEUE_MS` of its goodput), so that it goes on sending.
 */
const GATHER_MS = 100;
const MAX_GATHERED_BYTES = 2_097_152;

/** What a connector is told of a stream: it may forget everything up to `seq`. */
interface Ack {
  readonly seq: number;
  readonly rejected: readonly { readonly seq: number; readonly code: string }[];
}

interface Waiting {
  readonly frame: BatchFrame;
  readonly bytes: number;
}

/** Takes the batches of one connection in, in their order: opened and stored on the store's thread, acknowledged. */
export class Ingest {
  readonly #context: LinkContext;
  readonly #session: SessionKey;
  readonly #peer: LinkPeer;
  readonly #send: (message: FromControlPlane) => void;
  readonly #onCommandsEnded: (ids: readonly string[]) => void;
  readonly #onFailed: (error: unknown) => void;
  #queue: Waiting[] = [];
  #waitingBytes = 0;
  /** Set while inventory is gathered. */
  #gathering: NodeJS.Timeout | undefined;
  #gatheredBytes = 0;
  #isWorking = false;
  #isStopped = false;
  #acks = new Map<string, Ack>();

  constructor(options: {
    readonly context: LinkContext;
    readonly session: SessionKey;
    readonly peer: LinkPeer;
    readonly send: (message: FromControlPlane) => void;
    readonly onCommandsEnded: (ids: readonly string[]) => void;
    readonly onFailed: (error: unknown) => void;
  }) {
    this.#context = options.context;
    this.#session = options.session;
    this.#peer = options.peer;
    this.#send = options.send;
    this.#onCommandsEnded = options.onCommandsEnded;
    this.#onFailed = options.onFailed;
  }

  /** Takes a binary frame. Throws ProtocolError `batch-*`, `link-credit-exceeded`. */
  add(bytes: Uint8Array): void {
    const frame = readBatchFrame(bytes);
    this.#waitingBytes += bytes.length;
    if (this.#waitingBytes > MAX_WAITING_BYTES) {
      this.#waitingBytes -= bytes.length;
      throw new ProtocolError(
        "link-credit-exceeded",
        `over ${MAX_WAITING_BYTES} bytes of batches wait, the credit is ${CREDIT_BYTES}`,
      );
    }
    this.#enqueue({ frame, bytes: bytes.length });
    this.#context.gate.enter(bytes.length, this.#peer);
    if (isGathered(frame)) this.#gatheredBytes += frame.header.rawBytes;
    if (!this.#isWorking) void this.#work();
  }

  /** Only the order within a stream counts: results of commands go before bulk that came earlier. */
  #enqueue(batch: Waiting): void {
    const isUrgent = ({ frame }: Waiting) => frame.header.stream === COMMANDS_STREAM;
    const at = isUrgent(batch) ? this.#queue.findIndex((each) => !isUrgent(each)) : -1;
    this.#queue.splice(at === -1 ? this.#queue.length : at, 0, batch);
  }

  /** Drops what waits: it was not acknowledged and comes again. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#gathering);
    for (const { bytes } of this.#queue) this.#release(bytes);
    this.#queue = [];
    this.#context.gate.forget(this.#peer);
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    const storing: { readonly rawBytes: number; readonly done: Promise<void> }[] = [];
    let storingBytes = 0;
    for (;;) {
      const next = storingBytes < MAX_STORING_BYTES ? this.#next() : undefined;
      if (next !== undefined) {
        const { rawBytes } = next.frame.header;
        storing.push({ rawBytes, done: this.#store(next) });
        storingBytes += rawBytes;
        continue;
      }
      const first = storing.shift();
      if (first === undefined) break;
      await first.done;
      storingBytes -= first.rawBytes;
    }
    this.#isWorking = false;
  }

  /** The next batch that need not wait for others. */
  #next(): Waiting | undefined {
    const isHeld = this.#gathering !== undefined && this.#gatheredBytes < MAX_GATHERED_BYTES;
    const at = isHeld ? this.#queue.findIndex(({ frame }) => !isGathered(frame)) : 0;
    const [next] = at === -1 ? [] : this.#queue.splice(at, 1);
    if (next !== undefined && isGathered(next.frame)) this.#took(next.frame);
    return next;
  }

  /** Once all that was gathered is on its way, the next of it waits. */
  #took({ header }: BatchFrame): void {
    this.#gatheredBytes -= header.rawBytes;
    clearTimeout(this.#gathering);
    this.#gathering = undefined;
    if (this.#gatheredBytes > 0) return;
    this.#gathering = setTimeout(() => {
      this.#gathering = undefined;
      if (!this.#isWorking) void this.#work();
    }, GATHER_MS);
    this.#gathering.unref();
  }

  async #store({ frame, bytes }: Waiting): Promise<void> {
    try {
      await this.#take(frame);
    } catch (error) {
      if (!this.#isStopped) this.#onFailed(error);
    } finally {
      this.#release(bytes);
    }
  }

  #release(bytes: number): void {
    this.#waitingBytes -= bytes;
    this.#context.gate.leave(bytes);
  }

  async #take({ header, compressed }: BatchFrame): Promise<void> {
    const { store, clock, unsignedCommands } = this.#context;
    const batch = {
      ...this.#session,
      ...header,
      // A copy: what crosses to another thread is the whole buffer, and that is of all frames that came together.
      compressed: Uint8Array.from(compressed),
      now: clock.now(),
    };
    const outcome = await store.run("ingestBatch", batch).catch((error: unknown) => {
      if (error instanceof ConnectorError && error.code === "stream-unknown") return undefined;
      throw error;
    });
    if (outcome === undefined) {
      this.#send({ type: "unsupported", of: `stream:${header.stream}` });
      return;
    }
    const { seq, rejected, endedCommands, hasNewCommands, changedActions, differences } = outcome;
    this.#acknowledge(header.stream, seq, rejected);
    if (differences.length > 0) this.#sendAcks();
    for (const message of differences) this.#send(message);
    if (endedCommands.length > 0) this.#onCommandsEnded(endedCommands);
    if (hasNewCommands) unsignedCommands.nudge();
    if (changedActions.length > 0) this.#context.actionNews.tell(changedActions);
  }
  /** One message for all batches of a commit: they end in the same turn. */
  #acknowledge(stream: string, seq: number, rejected: Ack["rejected"]): void {
    if (this.#acks.size === 0) queueMicrotask(() => this.#sendAcks());
    const earlier = this.#acks.get(stream)?.rejected ?? [];
    if (earlier.length + rejected.length > MAX_BATCH_ENTRIES) this.#sendAcks();
    const all = this.#acks.get(stream)?.rejected ?? [];
    this.#acks.set(stream, { seq, rejected: [...all, ...rejected] });
  }

  #sendAcks(): void {
    for (const [stream, { seq, rejected }] of this.#acks) {
      this.#send({ type: "ack", stream, seq, rejected: [...rejected] });
    }
    this.#acks.clear();
  }
}

function isGathered({ header }: BatchFrame): boolean {
  return header.stream === INVENTORY_STREAM;
}
