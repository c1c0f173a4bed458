/**
 * Runs a synchronous act of `node:crypto` that takes a key beside options. Node 24 finds out by an exception of its own, twice
 * or four times, that bytes or options are no key object, and the stacks of these cost as much as the act: 10 of the 19 us
 * of an imported key. What `act` itself throws has no stack either, so its message has to say enough.
 */
export function withoutStack<T>(act: () => T): T {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return act();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}
