import { ConnectorError, ProtocolError } from "@isthmus/shared/errors";
import type { BatchFrame } from "@isthmus/shared/link/batch-frame";
import { openBatch, readBatchFrame } from "@isthmus/shared/link/batch-frame";
import { COMMANDS_STREAM } from "@isthmus/shared/link/inbox-operations";
import type { FromControlPlane } from "@isthmus/shared/link/messages";
import type { SessionKey } from "../core/link-records.ts";
import type { LinkContext } from "./link-context.ts";
import type { LinkPeer } from "./link-peer.ts";

/** The credit each connector gets, and what a connection may go over it before it is ended: one frame of the largest size. */
export const CREDIT_BYTES = 1_048_576;
const MAX_WAITING_BYTES = CREDIT_BYTES + 600_000;
/**
 * Batches of one connection that are on their way into the store. What waits for the same commit shares it: rows of a first sync fall
 * all over the indexes, and the pages that two batches touch are then written once.
 */
const MAX_STORING = 4;

interface Waiting {
  readonly frame: BatchFrame;
  readonly bytes: number;
}

/** Takes the batches of one connection in, in their order: decompressed off the event loop, stored, acknowledged. */
export class Ingest {
  readonly #context: LinkContext;
  readonly #session: SessionKey;
  readonly #peer: LinkPeer;
  readonly #send: (message: FromControlPlane) => void;
  readonly #onCommandsEnded: (ids: readonly string[]) => void;
  readonly #onFailed: (error: unknown) => void;
  #queue: Waiting[] = [];
  #waitingBytes = 0;
  #isWorking = false;
  #isStopped = false;

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
    for (const { bytes } of this.#queue) this.#release(bytes);
    this.#queue = [];
    this.#context.gate.forget(this.#peer);
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    const storing: Promise<void>[] = [];
    for (;;) {
      const next = storing.length < MAX_STORING ? this.#queue.shift() : undefined;
      if (next !== undefined) {
        storing.push(this.#store(next, await outcomeOf(textOf(next.frame))));
      } else if (storing.length > 0) {
        await storing.shift();
      } else break;
    }
    this.#isWorking = false;
  }

  async #store({ frame, bytes }: Waiting, opened: () => string | undefined): Promise<void> {
    try {
      const text = opened();
      if (!this.#isStopped) await this.#take(frame, text);
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

  async #take(frame: BatchFrame, text: string | undefined): Promise<void> {
    const { header, compressed } = frame;
    const { store, clock, unsignedCommands } = this.#context;
    const batch = {
      ...this.#session,
      ...header,
      text,
      sealed: text === undefined ? Uint8Array.from(compressed) : new Uint8Array(),
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
    this.#send({ type: "ack", stream: header.stream, seq, rejected: [...rejected] });
    for (const message of differences) this.#send(message);
    if (endedCommands.length > 0) this.#onCommandsEnded(endedCommands);
    if (hasNewCommands) unsignedCommands.nudge();
    if (changedActions.length > 0) this.#context.actionNews.tell(changedActions);
  }
}

/** Undefined where the payload is none. */
function textOf(frame: BatchFrame): Promise<string | undefined> {
  return openBatch(frame).catch((error: unknown) => {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  });
}

/** What a promise came to, to be taken or thrown later. */
function outcomeOf<T>(promise: Promise<T>): Promise<() => T> {
  return promise.then(
    (value) => () => value,
    (error: unknown) => () => {
      throw error;
    },
  );
}
