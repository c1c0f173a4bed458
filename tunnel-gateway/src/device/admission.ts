import type { Duplex } from "node:stream";
import { scoredAddress } from "../core/vpn/scores.ts";

export interface AdmissionLimits {
  /** Connections on which no device is known yet, in all and from one address (IPv6: /64). */
  readonly pending: number;
  readonly pendingPerAddress: number;
}

/** A place among the pending connections; `release` gives it back and may be called more than once. */
export interface PendingPlace {
  release(): void;
}

/**
 * Bounds what strangers can hold: a connection counts from its acceptance until a device stands behind it or it is
 * closed.
 */
export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #byAddress = new Map<string, number>();
  #pending = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  get pending(): number {
    return this.#pending;
  }

  /** A place for this connection, given back when it closes; undefined where there is none. `remoteAddress` is its client's. */
  enter(
    socket: Duplex & { readonly remoteAddress?: string | undefined },
    remoteAddress = socket.remoteAddress ?? "",
  ): PendingPlace | undefined {
    const address = scoredAddress(remoteAddress);
    const fromAddress = this.#byAddress.get(address) ?? 0;
    if (this.#pending >= this.#limits.pending) return undefined;
    if (fromAddress >= this.#limits.pendingPerAddress) return undefined;
    this.#pending += 1;
    this.#byAddress.set(address, fromAddress + 1);
    let isHeld = true;
    const release = () => {
      if (!isHeld) return;
      isHeld = false;
      this.#leave(address);
    };
    socket.once("close", release);
    return { release };
  }

  #leave(address: string): void {
    this.#pending -= 1;
    const left = (this.#byAddress.get(address) ?? 1) - 1;
    if (left === 0) this.#byAddress.delete(address);
    else this.#byAddress.set(address, left);
  }
}
