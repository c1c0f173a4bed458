import type { LinkPeer } from "./link-peer.ts";

/**
 * Bounds the batch bytes that wait to be stored, of all connections together: over the limit the connections that send more
 * are not read from until half of it is stored.
 */
export class IngestGate {
  readonly #maxBytes: number;
  readonly #paused = new Set<LinkPeer>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  enter(bytes: number, peer: LinkPeer): void {
    this.#bytes += bytes;
    if (this.#bytes <= this.#maxBytes || this.#paused.has(peer)) return;
    this.#paused.add(peer);
    peer.pause();
  }

  leave(bytes: number): void {
    this.#bytes -= bytes;
    if (this.#bytes > this.#maxBytes / 2) return;
    for (const peer of this.#paused) peer.resume();
    this.#paused.clear();
  }

  /** Forgets a peer that is gone. */
  forget(peer: LinkPeer): void {
    this.#paused.delete(peer);
  }
}
