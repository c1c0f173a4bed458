import { scoredAddress } from "../core/vpn/scores.ts";

/**
 * Own choices. A hostile chain of certificates costs about 0.1 s, so with 15 failures one address (IPv6: /64) has 5 % of a thread
 * at most, and 15 % where a device has come from it: others behind its NAT are not to wait long.
 */
const WINDOW_MS = 60_000;
export const CLOSED_MS = 30_000;
export const CLOSED_FOR_KNOWN_MS = 10_000;
const KNOWN_FOR_MS = 3_600_000;
/** Own limit; what has not been heard of for longest goes first. */
export const MAX_ADDRESSES = 10_000;

interface Heard {
  failures: number;
  /** Of the first of them; ms, as all times here. */
  since: number;
  closedUntil: number;
}

/** Closes the door for a while to addresses whose handshakes fail again and again: nobody is known yet, and each costs. */
export class HandshakeThrottle {
  readonly #now: () => number;
  readonly #maxFailures: number;
  readonly #heard = new Map<string, Heard>();
  /** When a device last came from there. */
  readonly #known = new Map<string, number>();

  /** `now` never goes back; `maxFailures` are those of a minute that close the door. */
  constructor(now: () => number, maxFailures: number) {
    this.#now = now;
    this.#maxFailures = maxFailures;
  }

  isClosedTo(address: string): boolean {
    return (this.#heard.get(scoredAddress(address))?.closedUntil ?? 0) > this.#now();
  }

  /** A handshake has failed. Whether that has closed the door. */
  failed(address: string): boolean {
    const now = this.#now();
    const key = scoredAddress(address);
    const fresh: Heard = { failures: 0, since: now, closedUntil: 0 };
    const former = this.#heard.get(key) ?? fresh;
    if (former.closedUntil > now) return false;
    const heard = now - former.since < WINDOW_MS ? former : fresh;
    heard.failures += 1;
    const closes = heard.failures >= this.#maxFailures;
    const seenAt = this.#known.get(key);
    const isKnown = seenAt !== undefined && now - seenAt < KNOWN_FOR_MS;
    const closedUntil = now + (isKnown ? CLOSED_FOR_KNOWN_MS : CLOSED_MS);
    note(this.#heard, key, closes ? { ...fresh, closedUntil } : heard);
    return closes;
  }

  /** What failed may do well from now on: other authorities are trusted. */
  forget(): void {
    this.#heard.clear();
  }

  /** A handshake has shown a certificate of a trust anchor. What failed there before stays counted. */
  succeeded(address: string): void {
    note(this.#known, scoredAddress(address), this.#now());
  }
}

function note<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > MAX_ADDRESSES && oldest !== undefined) map.delete(oldest);
}
