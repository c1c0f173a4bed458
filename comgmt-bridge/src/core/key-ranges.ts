import type { KeyBounds } from "./inventory-state.ts";

/** Keys of a range: fixed, so that a device that comes or goes shifts none of the others to another page. */
export const RANGE_KEYS = 1_024;
/** The highest that a key of 32 bits with a sign can be. */
export const MAX_KEY = 0x7fff_ffff;

/** The range that a key lies in. */
export function rangeOf(key: number): KeyBounds {
  const start = Math.floor(key / RANGE_KEYS) * RANGE_KEYS;
  return { after: start - 1, through: Math.min(start + RANGE_KEYS - 1, MAX_KEY) };
}

/** The range behind another; undefined where there are no more keys. */
export function rangeBehind({ through }: KeyBounds): KeyBounds | undefined {
  return through >= MAX_KEY ? undefined : rangeOf(through + 1);
}

/** All keys between two ranges, or behind the last one as far as numbers go: nobody has them. Undefined where there is nothing between. */
export function gapBetween(
  before: KeyBounds | undefined,
  next: KeyBounds | undefined,
): KeyBounds | undefined {
  const after = before?.through ?? -1;
  const through = next?.after ?? Number.MAX_SAFE_INTEGER;
  return after >= through ? undefined : { after, through };
}

/**
 * Own choice: parts that are read one behind the other, before the next pause. To wake up for each alone costs a good part of what reading it
 * does; more of them would be felt by a site that is slow.
 */
const PARTS_TOGETHER = 4;

/** When parts of a scan are due so that it takes as long as it may, and asks the site for little at once. */
export interface Pace {
  readonly beganAt: number;
  readonly spanMs: number;
  /** Parts that there are expected to be. */
  readonly parts: number;
}

/** When a part may begin, by the clock of `beganAt`; parts beyond those expected go at once. */
export function dueAt({ beganAt, spanMs, parts }: Pace, done: number): number {
  if (parts <= 0) return beganAt;
  const before = Math.floor(done / PARTS_TOGETHER) * PARTS_TOGETHER;
  return beganAt + Math.floor(spanMs * Math.min(1, before / parts));
}

/** A pace for what is left of a scan that stopped in the middle: as if it had been on time. */
export function resumedPace(pace: Omit<Pace, "beganAt">, done: number, now: number): Pace {
  const share = pace.parts <= 0 ? 0 : Math.min(1, done / pace.parts);
  return { ...pace, beganAt: now - Math.floor(pace.spanMs * share) };
}
