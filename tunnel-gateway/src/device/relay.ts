import type { Duplex } from "node:stream";
import type { RelayEnd } from "../core/ports.ts";
import { resetSocket } from "./reset-socket.ts";
import type { TargetConnection } from "./target-connection.ts";

/** Own limit: bytes read from a target that the device has not taken yet; reading pauses beyond. */
export const MAX_IN_FLIGHT_BYTES = 524_288;
/**
 * Own limits on what goes up: TLS and HTTP/2 cut it into 16 KiB at most, and writing three such pieces at once takes 5 to 30 % less
 * CPU than one by one. A piece of the first size waits for others of the same turn of the event loop, up to the second size
 * together: with more of them HTTP/1.1 lost what was won.
 */
export const MIN_GATHERED_CHUNK_BYTES = 4_096;
export const MAX_GATHERED_BYTES = 49_152;

/** The device's side: a TLS socket or an HTTP/2 stream. */
export type DeviceStream = Duplex;

/**
 * Relays bytes between a device and a target until both have ended their half. The end of one half is passed on and
 * leaves the other open; an error on one side resets the other, so that cut data never looks complete.
 *
 *     both open --end of one half--> half closed --end of the other--> complete
 *        \------error, idle, cut-----------\-------------------------> that end
 */
export class Relay {
  /** Bytes from the device to the target, and back. */
  bytesUp = 0;
  bytesDown = 0;
  readonly #device: DeviceStream;
  readonly #resetDevice: () => void;
  readonly #wasDeviceCut: () => boolean;
  readonly #target: TargetConnection;
  readonly #onEnd: (end: RelayEnd) => void;
  #inFlight = 0;
  /** Bytes to the target that wait for others; 0 while none does. */
  #gathered = 0;
  #awaitsEndOfTurn = false;
  #openHalves = 2;
  #openStreams = 2;
  #end: RelayEnd | undefined;
  #bytesAtSweep = 0;
  #idleSince: number;

  constructor(options: {
    readonly device: DeviceStream;
    /** Ends the device's side without a clean end. */
    readonly resetDevice: () => void;
    /** Whether the end of the device's half comes of a cut: Node ends HTTP/2 streams that were reset as others. */
    readonly wasDeviceCut: () => boolean;
    readonly target: TargetConnection;
    /** What the device sent along with its request. */
    readonly head: Buffer;
    /** ms on any clock that `sweep` uses too. */
    readonly now: number;
    readonly onEnd: (end: RelayEnd) => void;
  }) {
    this.#device = options.device;
    this.#resetDevice = options.resetDevice;
    this.#wasDeviceCut = options.wasDeviceCut;
    this.#target = options.target;
    this.#onEnd = options.onEnd;
    this.#idleSince = options.now;
    this.#watch();
    if (options.head.length > 0) this.#sendUp(options.head);
    this.#device.on("data", (bytes: Buffer) => this.#sendUp(bytes));
    this.#target.receive((bytes, release) => this.#sendDown(bytes, release));
  }

  /** Ends both sides now, without a clean end. */
  cut(): void {
    this.#abort("cut");
  }

  /** Ends the connection when no byte has moved for `idleMs`, or `halfClosedIdleMs` once one half has ended. */
  sweep(now: number, idleMs: number, halfClosedIdleMs: number): void {
    const bytes = this.bytesUp + this.bytesDown;
    if (bytes !== this.#bytesAtSweep) {
      this.#bytesAtSweep = bytes;
      this.#idleSince = now;
    }
    const limit = this.#openHalves === 2 ? idleMs : halfClosedIdleMs;
    if (now - this.#idleSince > limit) this.#abort("idle");
  }

  #sendUp(bytes: Buffer): void {
    const { socket } = this.#target;
    this.bytesUp += bytes.length;
    const isGathered = this.#gathered > 0 || bytes.length >= MIN_GATHERED_CHUNK_BYTES;
    if (isGathered) this.#gather(bytes.length);
    if (!socket.write(bytes)) this.#device.pause();
    if (this.#gathered >= MAX_GATHERED_BYTES) this.#sendGathered();
  }

  #gather(bytes: number): void {
    if (this.#gathered === 0) this.#target.socket.cork();
    this.#gathered += bytes;
    if (this.#awaitsEndOfTurn) return;
    this.#awaitsEndOfTurn = true;
    setImmediate(() => {
      this.#awaitsEndOfTurn = false;
      this.#sendGathered();
    });
  }

  #sendGathered(): void {
    if (this.#gathered === 0) return;
    this.#gathered = 0;
    this.#target.socket.uncork();
  }

  #sendDown(bytes: Buffer, release: () => void): boolean {
    this.bytesDown += bytes.length;
    this.#inFlight += bytes.length;
    this.#device.write(bytes, () => {
      release();
      this.#inFlight -= bytes.length;
      if (this.#inFlight < MAX_IN_FLIGHT_BYTES / 2 && !this.#end) this.#target.socket.resume();
    });
    return this.#inFlight < MAX_IN_FLIGHT_BYTES;
  }

  #watch(): void {
    const device = this.#device;
    const { socket } = this.#target;
    device.on("end", () => {
      if (this.#wasDeviceCut()) this.#abort("device-error");
      else this.#passEnd(() => socket.end());
    });
    socket.on("end", () => this.#passEnd(() => device.end()));
    socket.on("drain", () => device.resume());
    device.on("error", () => this.#abort("device-error"));
    socket.on("error", () => this.#abort("target-error"));
    device.on("close", () => this.#onClosed("device-error"));
    socket.on("close", () => this.#onClosed("target-error"));
  }

  #passEnd(pass: () => void): void {
    this.#openHalves -= 1;
    pass();
  }

  /** A side that closes before both halves have ended closed by error. */
  #onClosed(side: RelayEnd): void {
    this.#openStreams -= 1;
    if (this.#openHalves > 0) this.#abort(side);
    if (this.#openStreams === 0) this.#onEnd(this.#end ?? "complete");
  }

  #abort(end: RelayEnd): void {
    if (this.#end) return;
    this.#end = end;
    resetSocket(this.#target.socket);
    this.#resetDevice();
  }
}
