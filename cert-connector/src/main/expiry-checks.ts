import { makeGauge } from "@isthmus/shared/kernel/gauge";
import type { CheckResult } from "@isthmus/shared/kernel/service-definition";
import { type GuardedExpiry, thresholdOf } from "../core/expiry-guard.ts";

const HOUR_MS = 3_600_000;

/** What a health check says of one end at `now` (ms). */
export function expiryResult(expiry: GuardedExpiry, now: number): CheckResult {
  const { title, notAfter, warnDays, remedy, isVital } = expiry;
  const inTrouble = isVital ? "unhealthy" : "warning";
  if (notAfter === undefined) return { status: inTrouble, reason: `there is no ${title}`, remedy };
  const ends = new Date(notAfter).toISOString().slice(0, 10);
  const left = notAfter - now;
  if (left <= 0) return { status: inTrouble, reason: `the ${title} expired on ${ends}`, remedy };
  if (thresholdOf(left, warnDays) === undefined) {
    return { status: "healthy", reason: `the ${title} is valid until ${ends}` };
  }
  return {
    status: "warning",
    reason: `the ${title} ends on ${ends}, in ${spanText(left)}`,
    remedy,
  };
}

function spanText(ms: number): string {
  const hours = Math.floor(ms / HOUR_MS);
  return hours < 48 ? `${hours} hours` : `${Math.floor(hours / 24)} days`;
}

/** Of several in one check: what is unhealthy first, then what ends first. */
export function expiriesResult(expiries: readonly GuardedExpiry[], now: number): CheckResult {
  const results = expiries
    .toSorted((one, other) => (one.notAfter ?? 0) - (other.notAfter ?? 0))
    .map((expiry) => expiryResult(expiry, now));
  const bad = results.filter(({ status }) => status !== "healthy");
  const worst = bad.find(({ status }) => status === "unhealthy") ?? bad[0];
  if (worst !== undefined) {
    return bad.length === 1
      ? worst
      : { ...worst, reason: `${worst.reason}; ${bad.length - 1} more end soon` };
  }
  return results[0] ?? { status: "healthy", reason: "no credentials of others are used" };
}

/** Seconds that are left, below 0 past the end. */
export function publishExpiries(
  registry: Parameters<typeof makeGauge>[0],
  expiries: () => readonly GuardedExpiry[],
  now: () => number,
): void {
  makeGauge(registry, {
    name: "isthmus_expiry_seconds",
    help: "Seconds until something that the connector needs ends",
    label: "what",
    read: () =>
      expiries().flatMap(({ what, notAfter }) =>
        notAfter === undefined ? [] : [[what, Math.round((notAfter - now()) / 1_000)] as const],
      ),
  });
}
