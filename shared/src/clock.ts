/** Wall-clock time as a parameter, so that whatever decides by time can be tested by moving it. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };
