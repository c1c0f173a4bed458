import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError, codeOf } from "@isthmus/shared/errors";
import { BackOff } from "@isthmus/shared/link/back-off";
import type { Random } from "@isthmus/shared/random";
import type { Pause } from "./request-lanes.ts";
import { isUntrusted, isUnusableAnswer } from "./unusable-answer.ts";

/** Own limits: how often pages that cannot be trusted, or do not come, are asked for, and the wait where a person has to act. */
const UNTRUSTED_READINGS = 3;
/** Own choice, some minutes: what the provider fails at may be the site as a whole, which is worth being waited for. */
const FAILED_READINGS = 20;
const REFUSED_WAIT_MS = 60_000;

export interface PatienceParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly pause: Pause;
  /** Told of each fault that is waited out. */
  readonly onFault?: (code: string, message: string) => void;
}

export type Outcome<Value> =
  | { readonly isDone: true; readonly value: Value }
  /** The site answers, and its answers cannot be used. */
  | { readonly isDone: false; readonly fault: ConnectorError };

/**
 * Does a step until it is done. A site that is away, busy or does not let us in is waited for as long as it takes; what cannot be trusted or used,
 * or does not come while others do, is asked for a few times, and the rest of the scan goes on without it. Throws the signal's reason.
 */
export async function patiently<Value>(
  step: () => Promise<Value>,
  parts: PatienceParts,
  signal: AbortSignal,
): Promise<Outcome<Value>> {
  const backOff = new BackOff(parts.random);
  for (let unusable = 0; ; ) {
    try {
      return { isDone: true, value: await step() };
    } catch (error) {
      signal.throwIfAborted();
      const fault = bearable(error);
      parts.onFault?.(codeOf(fault), fault.message);
      const most = readingsOf(fault);
      if (most !== undefined) unusable += 1;
      if (most !== undefined && unusable >= most) return { isDone: false, fault };
      const ms = fault.isRetryable ? backOff.next(0) : REFUSED_WAIT_MS;
      await parts.pause(Math.max(1, ms), signal);
    }
  }
}

/** A fault of ours, or of the store for good, is for whoever runs the source. */
function bearable(error: unknown): ConnectorError {
  const isStore = error instanceof ConnectorError && error.code.startsWith("store-");
  if (error instanceof ConnectorError && (error.isRetryable || !isStore)) return error;
  throw error;
}

/** How often it is asked for; undefined for what says nothing of it. */
function readingsOf(fault: ConnectorError): number | undefined {
  if (isUntrusted(fault)) return UNTRUSTED_READINGS;
  if (!isUnusableAnswer(fault)) return undefined;
  return fault.isRetryable ? FAILED_READINGS : UNTRUSTED_READINGS;
}
