import type { ServerResponse } from "node:http";
import type { Frame } from "@isthmus/shared/link/frame-list";
import { bytesInList, takeFrameList } from "@isthmus/shared/link/frame-list";
import { MAX_POLL_BYTES, POLL_HOLD_MS } from "@isthmus/shared/link/long-poll";
import { SILENCE_LIMIT_MS } from "@isthmus/shared/link/messages";
import type { LinkPeer, PeerOwner } from "./link-peer.ts";

/** Own limit: bytes that wait for a connector to ask for them. */
const MAX_WAITING_BYTES = 4 * MAX_POLL_BYTES;

/** A connector on HTTPS requests: frames wait for its next request down, or answer the one that waits. */
export class LongPollPeer implements LinkPeer {
  readonly #onEnd: () => void;
  /** Directions of the requests whose bodies are being read. */
  readonly reading = new Set<"up" | "close">();
  #owner: PeerOwner | undefined;
  #queue: Frame[] = [];
  #queuedBytes = 0;
  #held: ServerResponse | undefined;
  #heldSince = 0;
  #askedAt = performance.now();
  #isFlushing = false;
  #isClosed = false;
  #resumed: PromiseWithResolvers<void> | undefined;

  /** `onEnd` is called once when it is over. */
  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  listen(owner: PeerOwner): void {
    this.#owner = owner;
  }

  get isWelcome(): boolean {
    return this.#owner?.isWelcome === true;
  }

  get bufferedBytes(): number {
    return this.#queuedBytes;
  }

  send(frame: Frame): void {
    if (this.#isClosed) return;
    this.#queue.push(frame);
    this.#queuedBytes += bytesInList(frame);
    if (this.#queuedBytes > MAX_WAITING_BYTES) {
      this.#end();
      return;
    }
    this.#flushSoon();
  }

  /** The body of an answer: what waits, now. */
  take(): Buffer {
    const body = takeFrameList(this.#queue, MAX_POLL_BYTES);
    this.#queuedBytes -= body.length;
    return body;
  }

  /** Holds a request down until there is something to say. A second one sends the first away empty. */
  hold(response: ServerResponse): void {
    this.#release();
    this.#askedAt = performance.now();
    this.#held = response;
    this.#heldSince = this.#askedAt;
    response.on("close", () => {
      if (this.#held === response && !response.writableEnded) this.#end();
    });
    if (this.#queue.length > 0 || this.#isClosed) this.#flushSoon();
  }

  /** Takes the frames of a request up in. Resolves when more may come. */
  async receive(frames: readonly Frame[]): Promise<void> {
    for (const frame of frames) {
      if (!this.#isClosed) this.#owner?.onFrame(frame);
    }
    await this.#resumed?.promise;
  }

  /** To be called about every second: answers what was held long enough, and ends what nobody asks for. */
  tick(): void {
    const now = performance.now();
    if (this.#held !== undefined && now - this.#heldSince > POLL_HOLD_MS) this.#release();
    if (this.#held === undefined && now - this.#askedAt > SILENCE_LIMIT_MS) this.#end();
  }

  close(): void {
    if (this.#queue.length === 0) this.#end();
    else this.#isClosed = true;
    this.#flushSoon();
  }

  /** The connector says goodbye, or is gone. */
  drop(): void {
    this.#queue = [];
    this.#end();
  }

  pause(): void {
    this.#resumed ??= Promise.withResolvers<void>();
  }

  resume(): void {
    this.#resumed?.resolve();
    this.#resumed = undefined;
  }

  /** A turn later, so that frames sent in one turn share an answer. */
  #flushSoon(): void {
    if (this.#isFlushing || this.#held === undefined) return;
    this.#isFlushing = true;
    setImmediate(() => {
      this.#isFlushing = false;
      if (this.#queue.length > 0) this.#release();
      if (this.#isClosed && this.#queue.length === 0) this.#end();
    });
  }

  #release(): void {
    const held = this.#held;
    this.#held = undefined;
    if (held === undefined) return;
    this.#askedAt = performance.now();
    const body = this.take();
    held.writeHead(200, {
      "content-type": "application/octet-stream",
      "content-length": body.length,
    });
    held.end(body);
  }

  #end(): void {
    const owner = this.#owner;
    this.#owner = undefined;
    this.#isClosed = true;
    this.#release();
    this.resume();
    if (owner === undefined) return;
    this.#onEnd();
    owner.onClosed();
  }
}
