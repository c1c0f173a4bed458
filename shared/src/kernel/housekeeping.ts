const HOUR_MS = 3_600_000;

/** Runs a step every hour until disposed; what it throws goes to `onError`. */
export function everyHour(
  step: () => Promise<void>,
  onError: (error: unknown) => void,
): Disposable {
  const timer = setInterval(() => {
    step().catch(onError);
  }, HOUR_MS);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
