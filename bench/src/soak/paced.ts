import { setTimeout as delay } from "node:timers/promises";

/** How often the pace is looked at. */
const TICK_MS = 50;

/** Something to do over and over: `act` at a pace, never more than so many at once. */
export interface Pace {
  /** Infinity goes as fast as the limit on what is under way allows. */
  readonly perSecond: number;
  readonly atOnce: number;
  readonly signal: AbortSignal;
}

/** Until the signal aborts; then waits for what is under way. What is due and finds no place is dropped. */
export async function paced(act: () => Promise<void>, pace: Pace): Promise<void> {
  const underWay = new Set<Promise<void>>();
  const begin = () => {
    const one = act().finally(() => underWay.delete(one));
    underWay.add(one);
  };
  let last = performance.now();
  let due = 0;
  while (!pace.signal.aborted) {
    const now = performance.now();
    due = Math.min(due + ((now - last) / 1000) * pace.perSecond, pace.atOnce);
    last = now;
    while (due >= 1 && underWay.size < pace.atOnce) {
      due -= 1;
      begin();
    }
    if (Number.isFinite(pace.perSecond) || underWay.size === 0) await delay(TICK_MS);
    else await Promise.race(underWay);
  }
  await Promise.all(underWay);
}
