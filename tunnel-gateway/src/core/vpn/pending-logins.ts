import type { Clock } from "@isthmus/shared/clock";
import type { Random } from "@isthmus/shared/random";
import { ByAddress } from "./by-address.ts";
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
 * limit of an address its oldest login goes; over the limit of all, the oldest of the address that has most.
 */
export class PendingLogins<State> {
  readonly #clock: Clock;
  readonly #random: Random;
  /** In the order of their expiry, for all live equally long. */
  readonly #kept = new Map<string, Kept<State>>();
  readonly #byAddress = new ByAddress<string>();

  constructor(options: { readonly clock: Clock; readonly random: Random }) {
    this.#clock = options.clock;
    this.#random = options.random;
  }

  get size(): number {
    return this.#kept.size;
  }

  put(state: State, address: string): string {
    this.sweep();
    const isOverShare = this.#byAddress.count(address) >= MAX_PENDING_PER_ADDRESS;
    if (isOverShare) this.#drop(this.#byAddress.oldestOf(address));
    if (this.#kept.size >= MAX_PENDING_LOGINS) this.#drop(this.#byAddress.oldestOfGreediest());
    const opaque = this.#random.bytes(OPAQUE_BYTES).toString("base64url");
    const key = tokenHashOf(opaque);
    this.#kept.set(key, { state, address, expiresAt: this.#clock.now() + LIFE_MS });
    this.#byAddress.add(address, key);
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

  #drop(key: string | undefined): void {
    const kept = key === undefined ? undefined : this.#kept.get(key);
    if (key === undefined || !kept) return;
    this.#kept.delete(key);
    this.#byAddress.remove(kept.address, key);
  }
}
