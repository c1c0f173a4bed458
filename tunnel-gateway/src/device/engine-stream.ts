import { Duplex } from "node:stream";
import type { VpnEngine } from "../core/vpn-engine.ts";

export type StreamEngine = Pick<VpnEngine, "write" | "end" | "stream">;

/** Own limit on what is written before the engine says that it has gone; the engine closes a connection on four times that. */
export const MAX_UNDRAINED_BYTES = 65_536;

/**
 * A connection of the engine as a stream, for the relay. Whoever hears of the connection calls `receive`, `drained` and
 * `gone`. The end of what is written ends the connection: libssl's half-closed connections are not worth their cases.
 */
export class EngineStream extends Duplex {
  readonly #engine: StreamEngine;
  readonly #id: number;
  #writtenBytes = 0;
  #sentBytes = 0;
  /** What waits for the engine to drain: the rest of a chunk, and whom to tell. */
  #waiting: { readonly rest: Buffer; readonly done: () => void } | undefined;
  #isWanted = true;
  #isGone = false;

  constructor(engine: StreamEngine, connectionId: number) {
    super({ allowHalfOpen: true });
    this.#engine = engine;
    this.#id = connectionId;
    engine.stream(connectionId, true);
  }

  /** Bytes from the peer. */
  receive(bytes: Buffer): void {
    if (this.push(bytes) || this.#isGone) return;
    this.#isWanted = false;
    this.#engine.stream(this.#id, false);
  }

  /**
   * The engine has sent so many bytes of the stream. Where several writes were under way, it may have told that before it had
   * the last of them: to take it for all of them would let more and more wait, until the engine closed the connection.
   */
  drained(sentBytes: number): void {
    this.#sentBytes = sentBytes;
    this.#goOn();
  }

  #goOn(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting) this.#send(waiting.rest, waiting.done);
  }

  /**
   * The connection is no more. After a goodbye of the peer nothing is missing, and what is still written goes nowhere; without
   * one its last bytes may be missing, which is an error.
   */
  gone(isClean: boolean): void {
    this.#isGone = true;
    if (isClean) this.push(null);
    else this.destroy(new Error("the connection ended without close_notify"));
    this.#goOn();
  }

  /** Ends it at once and without a goodbye. */
  reset(): void {
    if (!this.#isGone) this.#engine.end(this.#id, "reset");
    this.#isGone = true;
    this.destroy();
  }

  override _read(): void {
    if (this.#isWanted || this.#isGone) return;
    this.#isWanted = true;
    this.#engine.stream(this.#id, true);
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#send(chunk, done);
  }

  override _final(done: () => void): void {
    if (!this.#isGone) this.#engine.end(this.#id, "clean");
    this.#isGone = true;
    this.push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.#isGone) this.#engine.end(this.#id, error ? "reset" : "clean");
    this.#isGone = true;
    this.#waiting = undefined;
    done(error);
  }

  get #undrainedBytes(): number {
    return this.#writtenBytes - this.#sentBytes;
  }

  #send(bytes: Buffer, done: () => void): void {
    if (this.#isGone) {
      done();
      return;
    }
    const now = bytes.subarray(0, MAX_UNDRAINED_BYTES - this.#undrainedBytes);
    if (now.length > 0) this.#engine.write(this.#id, now);
    this.#writtenBytes += now.length;
    const rest = bytes.subarray(now.length);
    if (this.#undrainedBytes < MAX_UNDRAINED_BYTES) done();
    else this.#waiting = { rest, done };
  }
}
