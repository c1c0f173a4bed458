import { setTimeout as delay } from "node:timers/promises";

/** Awaits a condition: returns its first truthy value, polled every 10 ms; throws after `timeoutMs` with `what`. */
export async function until<T>(
  condition: () => T | Promise<T>,
  what = "the condition",
  timeoutMs = 10_000,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (performance.now() > deadline) throw new Error(`${what} was not met in ${timeoutMs} ms`);
    await delay(10);
  }
}
