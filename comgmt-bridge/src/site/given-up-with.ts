/** What is waited for goes on; whoever gave up hears so at once. Throws the signal's reason. */
export async function givenUpWith<Value>(
  signal: AbortSignal,
  waited: Promise<Value>,
): Promise<Value> {
  signal.throwIfAborted();
  const given = Promise.withResolvers<never>();
  const giveUp = () => given.reject(signal.reason);
  signal.addEventListener("abort", giveUp, { once: true });
  try {
    return await Promise.race([waited, given.promise]);
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}
