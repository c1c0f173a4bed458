import { z } from "zod";

/**
 * Which rows moved since the last look, by the stamps that the site writes. Stamps are compared with the provider's clock (its `Date`), the
 * only one that both answers and most stamps share. They may still lie behind it: a client's own clock is behind, or a report is
 * processed later than it is stamped. So each look begins a while before the last one, and what was seen in it already is passed over.
 * What comes later than that is found by the scan.
 */

/** Own choice: site servers process most reports within a minute. */
export const OVERLAP_MS = 60_000;
/** Own limit on rows that are remembered between looks; the older half is forgotten. */
const MAX_REMEMBERED = 400_000;

const stamps = z.object({
  /** By look: the provider's clock when it was last taken. */
  at: z.record(z.string(), z.number().int()),
  /** The highest key that is known, by kind. */
  highest: z.record(z.string(), z.number().int()),
});
export type HotStamps = z.infer<typeof stamps>;

export function readStamps(text: string | undefined): HotStamps {
  try {
    return stamps.parse(JSON.parse(text ?? ""));
  } catch {
    return { at: {}, highest: {} };
  }
}

/** From when on a look asks; undefined for the first, which only learns the provider's time. */
export function since({ at }: HotStamps, look: string): number | undefined {
  const last = at[look];
  return last === undefined ? undefined : Math.max(0, last - OVERLAP_MS);
}

/** What was seen of each row, in two halves of which the older one is forgotten. */
export class SeenRows {
  #recent = new Map<string, string>();
  #older = new Map<string, string>();

  /** Whether the row is new, or was another when it was last seen. */
  isNews(row: string, state: string): boolean {
    const known = this.#recent.get(row) ?? this.#older.get(row);
    if (known === state) return false;
    if (this.#recent.size >= MAX_REMEMBERED / 2) {
      this.#older = this.#recent;
      this.#recent = new Map();
    }
    this.#recent.set(row, state);
    return true;
  }
}
