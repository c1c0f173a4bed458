import type { IncomingHttpHeaders } from "node:http";

/** Our own limit: whoever asks for more than a day is asked again after a day. */
const MAX_WAIT_MS = 86_400_000;

/**
 * How long a service wants to be left alone, in ms: `x-ms-retry-after-ms`, or Retry-After in seconds or as a date (RFC
 * 9110 section 10.2.3). Undefined where it says nothing that can be read.
 */
export function retryAfterMs(headers: IncomingHttpHeaders, now: number): number | undefined {
  const inMs = headers["x-ms-retry-after-ms"];
  if (typeof inMs === "string" && /^\d{1,12}$/.test(inMs)) return bounded(Number(inMs));
  const value = headers["retry-after"];
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value)) return bounded(Number(value) * 1_000);
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : bounded(at - now);
}

function bounded(ms: number): number {
  return Math.min(Math.max(ms, 0), MAX_WAIT_MS);
}
