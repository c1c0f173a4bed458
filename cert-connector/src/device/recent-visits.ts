import type { Clock } from "@isthmus/shared/clock";

/** Our own limits. A client asks for capabilities and certificates right before it sends its message. */
const MAX_ADDRESSES = 4_096;
const RECENT_MS = 600_000;

/** When an address asked for what carries no transaction; kept in memory alone, and for a short while. */
export interface EarlierVisits {
  readonly capabilitiesAt?: number;
  readonly certificatesAt?: number;
}

/** Remembers, for the trace of the message that follows, who asked for capabilities and certificates. */
export class RecentVisits {
  readonly #clock: Clock;
  /** The one that was longest away stands first. */
  readonly #byAddress = new Map<string, EarlierVisits>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  note(address: string, what: keyof EarlierVisits): void {
    const earlier = this.#byAddress.get(address);
    this.#byAddress.delete(address);
    this.#byAddress.set(address, { ...earlier, [what]: this.#clock.now() });
    if (this.#byAddress.size <= MAX_ADDRESSES) return;
    const [oldest] = this.#byAddress.keys();
    if (oldest !== undefined) this.#byAddress.delete(oldest);
  }

  /** What this address asked for in the last ten minutes. */
  before(address: string): EarlierVisits {
    const visits = Object.entries(this.#byAddress.get(address) ?? {});
    const since = this.#clock.now() - RECENT_MS;
    return Object.fromEntries(visits.filter(([, at]) => at >= since));
  }
}
