import type { Clock } from "@isthmus/shared/clock";
import type { Random } from "@isthmus/shared/random";
import { tokenHashOf } from "./cookie.ts";

/** Own limits. */
export const MAX_PENDING_LOGINS = 10_000;
export const MAX_PENDING_PER_ADDRESS = 2_500;
const LIFE_MS = 300_000;
const OPAQUE_BYTES = 32;

interface Kept<State> {
  readonly state: State;
  readonly address: string;
  readonly expiresAt: number;
}

/**
 * Logins that wait for an answer, by an opaque token of 256 random bits, which is good once: every round has its own. Over the
 * limit of an address its oldest login goes; over the limit of all, no new one is taken.
 */
export class PendingLogins<State> {
  readonly #clock: Clock;
  readonly #random: Random;
  /** In the order of their expiry, for all live equally long. */
  readonly #kept = new Map<string, Kept<State>>();
  readonly #byAddress = new Map<string, Set<string>>();

  constructor(options: { readonly clock: Clock; readonly random: Random }) {
    this.#clock = options.clock;
    this.#random = options.random;
  }

  get size(): number {
    return this.#kept.size;
  }

  /** Keeps a login; undefined where there is no room. */
  put(state: State, address: string): string | undefined {
    this.sweep();
    const ofAddress = this.#byAddress.get(address) ?? new Set();
    const [oldest] = ofAddress;
    if (ofAddress.size >= MAX_PENDING_PER_ADDRESS && oldest !== undefined) this.#drop(oldest);
    if (this.#kept.size >= MAX_PENDING_LOGINS) return undefined;
    const opaque = this.#random.bytes(OPAQUE_BYTES).toString("base64url");
    const key = tokenHashOf(opaque);
    this.#kept.set(key, { state, address, expiresAt: this.#clock.now() + LIFE_MS });
    this.#byAddress.set(address, ofAddress.add(key));
    return opaque;
  }

  /** Takes a login out; undefined for a token that is unknown, used or too old. */
  take(opaque: string): State | undefined {
    const key = tokenHashOf(opaque);
    const kept = this.#kept.get(key);
    this.#drop(key);
    return kept && kept.expiresAt > this.#clock.now() ? kept.state : undefined;
  }

  sweep(): void {
    const now = this.#clock.now();
    for (const [key, { expiresAt }] of this.#kept) {
      if (expiresAt > now) return;
      this.#drop(key);
    }
  }

  #drop(key: string): void {
    const kept = this.#kept.get(key);
    if (!kept) return;
    this.#kept.delete(key);
    const ofAddress = this.#byAddress.get(kept.address);
    ofAddress?.delete(key);
    if (ofAddress?.size === 0) this.#byAddress.delete(kept.address);
  }
}
