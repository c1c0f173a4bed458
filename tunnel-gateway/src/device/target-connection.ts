import { connect, type Socket } from "node:net";
import { ConnectorError } from "@isthmus/shared/errors";
import { formatAddress, type IpAddress } from "../core/ip-address.ts";
import type { ReadBuffers } from "./read-buffers.ts";

/** Takes what a target sent. `release` has to be called once `bytes` are no longer needed; false pauses reading. */
export type BytesReceiver = (bytes: Buffer, release: () => void) => boolean;

/** A connection to a target whose bytes arrive in buffers that are used again. */
export class TargetConnection {
  readonly socket: Socket;
  readonly #buffers: ReadBuffers;
  #receiver: BytesReceiver | undefined;
  #early: (() => boolean) | undefined;
  #isBusy = false;

  constructor(to: { readonly address: IpAddress; readonly port: number }, buffers: ReadBuffers) {
    this.#buffers = buffers;
    this.socket = connect({
      host: formatAddress(to.address),
      port: to.port,
      family: to.address.family,
      autoSelectFamily: false,
      allowHalfOpen: true,
      noDelay: true,
      onread: {
        buffer: () => this.#buffers.take(this.#isBusy),
        callback: (count, buffer) => this.#deliver(count, buffer as Buffer),
      },
    });
  }

  /** From now on `receiver` gets what the target sends, first what came before. */
  receive(receiver: BytesReceiver): void {
    this.#receiver = receiver;
    const early = this.#early;
    this.#early = undefined;
    if (early === undefined || early()) this.socket.resume();
  }

  #deliver(count: number, buffer: Buffer): boolean {
    this.#isBusy = count * 2 > buffer.length;
    const hand = () => {
      const release = () => this.#buffers.give(buffer);
      return this.#receiver?.(buffer.subarray(0, count), release) ?? false;
    };
    if (this.#receiver) return hand();
    this.#early = hand;
    return false;
  }
}

/**
 * Connects to the first of `addresses` that answers, each in turn within a share of the time left.
 *
 * @throws ConnectorError `connect-timeout`, `connect-refused`, `connect-unreachable` or `connect-failed`, all retryable.
 */
export async function connectTarget(options: {
  readonly addresses: readonly IpAddress[];
  readonly port: number;
  readonly timeoutMs: number;
  readonly buffers: ReadBuffers;
  readonly signal: AbortSignal;
}): Promise<{ readonly target: TargetConnection; readonly address: IpAddress }> {
  const deadline = performance.now() + options.timeoutMs;
  let failure: ConnectorError = failed("connect-failed", "there is no address to connect to");
  for (const [index, address] of options.addresses.entries()) {
    const left = deadline - performance.now();
    const share = left / (options.addresses.length - index);
    if (share <= 0 || options.signal.aborted) break;
    const target = new TargetConnection({ address, port: options.port }, options.buffers);
    const outcome = await connected(target.socket, share, options.signal);
    if (outcome === undefined) return { target, address };
    failure = outcome;
  }
  throw failure;
}

/** Undefined once connected, or why not; the socket is then destroyed. */
function connected(
  socket: Socket,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<ConnectorError | undefined> {
  const { promise, resolve } = Promise.withResolvers<ConnectorError | undefined>();
  const timer = setTimeout(() => end(failed("connect-timeout", "no answer in time")), timeoutMs);
  const onAbort = () => end(failed("connect-failed", "the client has gone"));
  const onError = (error: NodeJS.ErrnoException) => end(classify(error));
  function end(failure: ConnectorError | undefined): void {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
    if (failure) socket.destroy();
    resolve(failure);
  }
  signal.addEventListener("abort", onAbort);
  // Stays on: after the connection stands, its owner adds a listener that acts on errors.
  socket.on("error", onError);
  socket.once("connect", () => end(undefined));
  return promise;
}

function classify(error: NodeJS.ErrnoException): ConnectorError {
  switch (error.code) {
    case "ECONNREFUSED":
      return failed("connect-refused", "the destination refused the connection", error);
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return failed("connect-unreachable", "there is no route to the destination", error);
    case "ETIMEDOUT":
      return failed("connect-timeout", "no answer in time", error);
    default:
      return failed("connect-failed", "the connection failed", error);
  }
}

function failed(code: string, message: string, cause?: unknown): ConnectorError {
  return new ConnectorError(code, message, { isRetryable: true, cause });
}
