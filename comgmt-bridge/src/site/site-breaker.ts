import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError } from "@isthmus/shared/errors";
import type { Random } from "@isthmus/shared/random";
import {
  type BreakerEvent,
  type BreakerState,
  breakerStep,
  CLOSED,
} from "../core/circuit-breaker.ts";
import type { SiteLimits } from "./site-settings.ts";
import { isUnanswered } from "./unanswered.ts";

/** Own limit: the longest that a site which keeps failing is left alone at a time. */
const MAX_OPEN_MS = 300_000;
/** What says that the provider is gone, as against an answer that we do not like. */
const GONE = new Set(["site-timeout", "site-unreachable", "site-interrupted", "site-unavailable"]);

export interface SiteBreakerOptions {
  readonly limits: Pick<SiteLimits, "breakerFailures" | "breakerOpenMs">;
  readonly clock: Clock;
  readonly random: Random;
  /** Asks for one row of another class than the one of this path, as a witness, and tells here what came of it. */
  readonly callWitness: (path: string) => Promise<void>;
}

/**
 * Whether the site is asked at all. It is left alone where nobody is answered: what hangs, or is away behind the provider's front, may be one call
 * of all, so before the breaker opens for that another class has to say the same.
 */
export class SiteBreaker {
  readonly #options: SiteBreakerOptions;
  #state: BreakerState = CLOSED;
  /** What opened it, in words. */
  #lastFailure = "";
  #witness: Promise<void> | undefined;

  constructor(options: SiteBreakerOptions) {
    this.#options = options;
  }

  get state(): BreakerState {
    return this.#state;
  }

  /** Throws ConnectorError `site-circuit-open`. */
  ask(): void {
    const before = this.#state;
    if (this.#tell({ kind: "asked" })) return;
    const left = before.kind === "open" ? before.until - this.#options.clock.now() : 0;
    const when =
      left > 0 ? `again in ${Math.ceil(left / 1_000)} s` : "one request is finding out about it";
    throw new ConnectorError(
      "site-circuit-open",
      `the site has not answered for a while and is left alone; ${when}. The last attempt: ${this.#lastFailure}`,
      { isRetryable: true },
    );
  }

  succeeded(): void {
    this.#tell({ kind: "succeeded" });
  }

  /** What a request ended with that was asked for at this path. */
  failed(error: unknown, path: string, isWitness: boolean): void {
    const fault = faultOf(error);
    if (fault === undefined) {
      this.#tell({ kind: "given-up" });
      return;
    }
    if (!GONE.has(fault.code)) {
      this.#tell({ kind: "succeeded" });
      return;
    }
    const share = this.#options.random.bytes(4).readUInt32BE() / 2 ** 32;
    const event = { kind: "failed", share } as const;
    const isOneCall = isUnanswered(fault) && !isWitness;
    if (isOneCall && this.#opensWith(event)) {
      // The witness is the one that finds out; until it has, nothing is said.
      this.#tell({ kind: "given-up" });
      this.#witness ??= this.#options.callWitness(path).finally(() => {
        this.#witness = undefined;
      });
      return;
    }
    this.#lastFailure = fault.message;
    this.#tell(event);
  }

  #opensWith(event: BreakerEvent): boolean {
    return this.#state.kind !== "open" && this.#step(event).state.kind === "open";
  }

  #tell(event: BreakerEvent): boolean {
    const step = this.#step(event);
    this.#state = step.state;
    return step.isAllowed;
  }

  #step(event: BreakerEvent) {
    const { limits, clock } = this.#options;
    const { breakerFailures, breakerOpenMs } = limits;
    const bounds = { failures: breakerFailures, openMs: breakerOpenMs, maxOpenMs: MAX_OPEN_MS };
    return breakerStep(this.#state, event, clock.now(), bounds);
  }
}

/** Undefined for what says nothing about the site: it was given up. */
function faultOf(error: unknown): ConnectorError | undefined {
  if (!(error instanceof ConnectorError)) return undefined;
  const cause = error.code === "site-outcome-unknown" ? error.cause : error;
  return cause instanceof ConnectorError && cause.code !== "site-closed" ? cause : undefined;
}
