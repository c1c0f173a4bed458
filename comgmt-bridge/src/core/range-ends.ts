import type { ConnectorError } from "@isthmus/shared/errors";
import type { KeyBounds } from "./inventory-state.ts";

/** Where a part of a range seems to end: so many rows of its last key, and nothing behind them. */
export interface OpenEnd extends KeyBounds {
  readonly ofLast: number;
  /** If it does not. */
  readonly fault: ConnectorError;
}

/**
 * Parts without rows become one with the part in front of them, if there is one: where a site passes over some of what it is asked, rows that
 * it had to give are missing, but not those of an empty part.
 */
export function joinedEnds(ends: readonly OpenEnd[]): readonly OpenEnd[] {
  const joined: OpenEnd[] = [];
  for (const end of ends) {
    const before = joined.at(-1);
    if (end.ofLast > 0 || before?.through !== end.after) joined.push(end);
    else joined[joined.length - 1] = { ...before, through: end.through };
  }
  return joined;
}

/** The first ends that may be asked for at once: no more rows than a site gives, and without rows only alone. */
export function endsAtOnce(
  ends: readonly OpenEnd[],
  { ends: mostEnds, rows: mostRows }: { readonly ends: number; readonly rows: number },
): readonly OpenEnd[] {
  const [first, ...others] = ends;
  if (first === undefined) return [];
  const taken = [first];
  for (const end of first.ofLast === 0 ? [] : others.slice(0, mostEnds - 1)) {
    if (end.ofLast === 0 || rowsOf([...taken, end]) >= mostRows) break;
    taken.push(end);
  }
  return taken;
}

/** Rows that there are to be of these ends. */
export function rowsOf(ends: readonly OpenEnd[]): number {
  return ends.reduce((sum, { ofLast }) => sum + ofLast, 0);
}

/** What these keys say: the fault of the first end that they are more than, or less; undefined where they are as they have to be. */
export function faultOfEnds(
  ends: readonly OpenEnd[],
  keys: readonly unknown[],
): ConnectorError | undefined {
  const short = ends.find((end) => keys.filter((key) => isWithin(key, end)).length !== end.ofLast);
  // Rows of which nobody knows whose they are.
  return short?.fault ?? (keys.length === rowsOf(ends) ? undefined : ends.at(-1)?.fault);
}

function isWithin(key: unknown, { after, through }: KeyBounds): boolean {
  return typeof key === "number" && key > after && key <= through;
}
