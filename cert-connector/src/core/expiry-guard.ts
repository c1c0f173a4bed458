import type { Clock } from "@isthmus/shared/clock";

const DAY_MS = 86_400_000;

/** What needs a person: warned so many days before the end. */
export const ALERT_DAYS: readonly number[] = [90, 60, 30, 14, 7, 3, 1];
/** A CA's successor wants a ceremony, and devices that learn of it. */
export const CEREMONY_DAYS: readonly number[] = [365, 180, ...ALERT_DAYS];
/** What renews itself earlier than this: a warning says that it did not. */
export const OVERDUE_DAYS: readonly number[] = [30, 14, 7, 3, 1];

/** Something that ends, and what is done about it. */
export interface GuardedExpiry {
  /** Lower case with hyphens; a label of the metric, so of a set that the configuration closes. */
  readonly what: string;
  /** In a sentence: "the certificate of the issuing CA". */
  readonly title: string;
  /** ms; undefined where there is none, e.g. before the first one is made. */
  readonly notAfter: number | undefined;
  /** Days before the end at which it is warned, longest first; a fraction is hours. */
  readonly warnDays: readonly number[];
  /** What a person does about it. */
  readonly remedy: string;
  /** Whether nothing can be served once it has ended. */
  readonly isVital: boolean;
  /** What the connector itself can do, tried at each look from the first warning on. */
  readonly renew?: (() => Promise<unknown>) | undefined;
}

/** One threshold that was crossed; `thresholdDays` 0 says that it has ended. Times are ms. */
export interface ExpiryWarning {
  readonly what: string;
  readonly title: string;
  readonly notAfter: number;
  readonly thresholdDays: number;
  readonly remedy: string;
  readonly at: number;
}

export interface ExpiryGuardParts {
  /** Asked at each look: what is there changes with renewals and configuration. */
  readonly expiries: () => readonly GuardedExpiry[];
  /** Puts a warning on record; false if this threshold of this very end is on record already. */
  readonly record: (warning: ExpiryWarning) => Promise<boolean>;
  readonly onWarning: (warning: ExpiryWarning) => void;
  readonly onRenewalFailed: (what: string, error: unknown) => void;
  readonly clock: Clock;
}

/**
 * Watches over what the connector itself would stop for: warns once at each threshold, also across restarts, and renews
 * what it can. Complaints about other connectors are of certificates that ended in silence.
 */
export class ExpiryGuard {
  readonly #parts: ExpiryGuardParts;

  constructor(parts: ExpiryGuardParts) {
    this.#parts = parts;
  }

  /** Looks at everything; a second look at the same time changes nothing. */
  async look(): Promise<void> {
    for (const { what } of this.#parts.expiries()) await this.#lookAt(what);
  }

  async #lookAt(what: string): Promise<void> {
    const before = this.#find(what);
    if (before === undefined || this.#threshold(before) === undefined) return;
    await this.#renew(before);
    // Renewed, it has another end, and there is nothing to warn of.
    const after = this.#find(what);
    const thresholdDays = after && this.#threshold(after);
    if (after?.notAfter === undefined || thresholdDays === undefined) return;
    const { title, notAfter, remedy } = after;
    const at = this.#parts.clock.now();
    const warning = { what, title, notAfter, thresholdDays, remedy, at };
    if (await this.#parts.record(warning)) this.#parts.onWarning(warning);
  }

  async #renew({ what, renew }: GuardedExpiry): Promise<void> {
    try {
      await renew?.();
    } catch (error) {
      this.#parts.onRenewalFailed(what, error);
    }
  }

  #find(what: string): GuardedExpiry | undefined {
    return this.#parts.expiries().find((expiry) => expiry.what === what);
  }

  #threshold({ notAfter, warnDays }: GuardedExpiry): number | undefined {
    return notAfter === undefined
      ? undefined
      : thresholdOf(notAfter - this.#parts.clock.now(), warnDays);
  }
}

/** The smallest threshold that has been crossed with so much left; 0 past the end, undefined before all of them. */
export function thresholdOf(leftMs: number, warnDays: readonly number[]): number | undefined {
  if (leftMs <= 0) return 0;
  const crossed = warnDays.filter((days) => leftMs <= days * DAY_MS);
  return crossed.length === 0 ? undefined : Math.min(...crossed);
}
