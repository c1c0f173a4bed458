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
 * limit of an address its oldest login goes; over the limit of all, the oldest of the address that has most. Anybody may begin
 * logins: were a full table closed, a few addresses would keep everyone out.
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

  put(state: State, address: string): string {
    this.sweep();
    if (this.#ofAddress(address).size >= MAX_PENDING_PER_ADDRESS) this.#dropOldestOf(address);
    if (this.#kept.size >= MAX_PENDING_LOGINS) this.#dropOldestOf(this.#greediest());
    const opaque = this.#random.bytes(OPAQUE_BYTES).toString("base64url");
    const key = tokenHashOf(opaque);
    this.#kept.set(key, { state, address, expiresAt: this.#clock.now() + LIFE_MS });
    this.#byAddress.set(address, this.#ofAddress(address).add(key));
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

  #ofAddress(address: string): Set<string> {
    return this.#byAddress.get(address) ?? new Set();
  }

  /** The address that has most; of several the one that has had one for longest. */
  #greediest(): string {
    let greediest = "";
    let most = 0;
    for (const [address, { size }] of this.#byAddress) {
      if (size > most) [greediest, most] = [address, size];
    }
    return greediest;
  }

  #dropOldestOf(address: string): void {
    const [oldest] = this.#ofAddress(address);
    if (oldest !== undefined) this.#drop(oldest);
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
