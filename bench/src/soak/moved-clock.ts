/**
 * Preloaded (`--import`) into the processes of a soak: the wall clock of this process and its threads runs faster, from a
 * moment of its own, so that an hour passes through a day of expiries. Waits of over a minute are for that clock and
 * shortened with it; shorter ones (time-outs, retries, ticks) stay as they are.
 */

/** `real start,moved start,factor`; times in ms since the epoch. */
const SETTING = process.env["ISTHMUS_SOAK_CLOCK"];
const LONG_WAIT_MS = 60_000;

if (SETTING !== undefined) move(SETTING);

function move(setting: string): void {
  const [realStart = Number.NaN, movedStart = Number.NaN, factor = Number.NaN] = setting
    .split(",")
    .map(Number);
  const RealDate = Date;
  const realNow = RealDate.now;
  const now = () => Math.floor(movedStart + (realNow() - realStart) * factor);
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, values: [], newTarget) =>
      Reflect.construct(target, values.length === 0 ? [now()] : values, newTarget) as Date,
    apply: () => new RealDate(now()).toString(),
    get: (target, key, receiver) => (key === "now" ? now : Reflect.get(target, key, receiver)),
  });
  globalThis.setTimeout = shortened(globalThis.setTimeout, factor);
  globalThis.setInterval = shortened(globalThis.setInterval, factor);
}

/** The same timer function, with long waits shortened. */
function shortened<T extends typeof setTimeout | typeof setInterval>(
  original: T,
  factor: number,
): T {
  return new Proxy(original, {
    apply: (target, self, [callback, wait, ...rest]: [() => void, number | undefined]) => {
      const isLong = wait !== undefined && wait > LONG_WAIT_MS;
      const inMs = isLong ? Math.max(LONG_WAIT_MS / factor, wait / factor) : wait;
      return Reflect.apply(target, self, [callback, inMs, ...rest]) as unknown;
    },
  });
}
