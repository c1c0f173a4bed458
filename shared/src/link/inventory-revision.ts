/**
 * Revisions count changes, so nobody has had more of them than time for them. One that is higher would use up the numbers: what counts on above
 * it is beyond what JSON carries, and whoever took it could never tell of the source again.
 */

/** Own limits: far above any source; and how far clocks may be apart. The sum stays a safe integer until the year 2255. */
const REVISIONS_PER_MS = 1_000;
const SKEW_MS = 86_400_000;

/** Whether a source may have come to this revision by now (ms since the epoch, by one's own clock). */
export function isPlausibleRevision(revision: number, now: number): boolean {
  return revision <= (now + SKEW_MS) * REVISIONS_PER_MS;
}
