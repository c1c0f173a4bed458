import type { Logger } from "pino";

/** How long a stop may take before the process gives up on it. */
const STOP_WITHIN_MS = 10_000;

/** What a running process owns and when it ends. */
export interface Lifetime {
  /** Aborts when the process has to stop. */
  readonly signal: AbortSignal;
  /** Disposed in reverse order at the end. */
  readonly resources: AsyncDisposableStack;
  /** Ends the process with exit code 1 because of an error that nobody can handle. */
  fail(error: unknown): void;
}

/**
 * Runs a process: `start` brings everything up and returns; SIGTERM, SIGINT or `fail` brings it down again within 10 s.
 * A second signal, or a stop that takes longer, ends the process at once: all state is durable at any moment.
 *
 * @returns the exit code.
 */
export async function runUntilStopped(
  start: (lifetime: Lifetime) => Promise<void>,
  log: Logger,
): Promise<number> {
  const stopping = new AbortController();
  const end = Promise.withResolvers<number>();
  const fail = (error: unknown) => {
    log.fatal({ err: error }, "process.failed");
    stopping.abort(error);
    end.resolve(1);
  };
  const onSignal = (signal: NodeJS.Signals) => {
    if (stopping.signal.aborted) process.exit(1);
    log.info({ signal }, "process.stopping");
    stopping.abort();
    end.resolve(0);
  };
  const resources = new AsyncDisposableStack();
  using _handlers = handleProcessEvents(onSignal, fail);
  try {
    const started = start({ signal: stopping.signal, resources, fail });
    // A signal during the start ends it there; what it had built so far is on the stack.
    await Promise.race([started, end.promise]);
    const exitCode = await end.promise;
    await started.catch(() => {});
    const stopped = await stop(resources, exitCode, log);
    log.info({ exitCode: stopped }, "process.stopped");
    return stopped;
  } catch (error) {
    stopping.abort(error);
    await stop(resources, 1, log);
    throw error;
  }
}

function handleProcessEvents(
  onSignal: (signal: NodeJS.Signals) => void,
  onError: (error: unknown) => void,
): Disposable {
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  process.on("uncaughtException", onError);
  process.on("unhandledRejection", onError);
  return {
    [Symbol.dispose]() {
      process.off("SIGTERM", onSignal);
      process.off("SIGINT", onSignal);
      process.off("uncaughtException", onError);
      process.off("unhandledRejection", onError);
    },
  };
}

async function stop(
  resources: AsyncDisposableStack,
  exitCode: number,
  log: Logger,
): Promise<number> {
  const deadline = setTimeout(() => {
    log.error({ afterMs: STOP_WITHIN_MS }, "process.stop-abandoned");
    process.exit(1);
  }, STOP_WITHIN_MS);
  try {
    await resources.disposeAsync();
    return exitCode;
  } catch (error) {
    log.error({ err: error }, "process.stop-failed");
    return 1;
  } finally {
    clearTimeout(deadline);
  }
}
