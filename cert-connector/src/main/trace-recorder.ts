import type { Store } from "@isthmus/shared/store/store";
import type { TracedMessage, TraceSink } from "../core/enrolment-trace.ts";
import type { CertificateOperations } from "../store/operations.ts";

/** Messages are stored in groups, apart from what devices wait for: after so many, or so long. */
const MAX_GROUP = 200;
const WAIT_MS = 500;
/** Own limits: what waits while the store is busy, and messages without a certificate, which anybody can cause. */
const MAX_WAITING = 4_000;
const MAX_OTHERS_PER_MINUTE = 600;
const MINUTE_MS = 60_000;
const MAX_TEXT = 1_024;

export interface TraceRecorderParts {
  readonly store: Pick<Store<CertificateOperations>, "run">;
  readonly clock: { now(): number };
  readonly onError: (error: unknown) => void;
  /** A message was not kept, because there were too many. */
  readonly onDropped: () => void;
}

/** Keeps what devices' messages came to. A crash loses the last half second of it; the ledger's own times stay. */
export class TraceRecorder implements TraceSink, AsyncDisposable {
  readonly #parts: TraceRecorderParts;
  #waiting: TracedMessage[] = [];
  #timer: NodeJS.Timeout | undefined;
  #storing: Promise<void> = Promise.resolve();
  #minute = 0;
  #others = 0;

  constructor(parts: TraceRecorderParts) {
    this.#parts = parts;
  }

  keep(message: TracedMessage): void {
    if (this.#waiting.length >= MAX_WAITING || !this.#isWithinRate(message)) {
      this.#parts.onDropped();
      return;
    }
    this.#waiting.push(bounded(message));
    if (this.#waiting.length >= MAX_GROUP) void this.flush();
    else this.#timer ??= setTimeout(() => void this.flush(), WAIT_MS).unref();
  }

  /** Resolves once all that was kept so far can be read. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const messages = this.#waiting;
    if (messages.length === 0) return this.#storing;
    this.#waiting = [];
    this.#storing = this.#storing.then(() => this.#store(messages));
    return this.#storing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.flush();
  }

  async #store(messages: readonly TracedMessage[]): Promise<void> {
    try {
      await this.#parts.store.run("keepTraces", {
        rows: messages.map(({ transactionId, deviceId, at, ...rest }) => ({
          transactionId,
          deviceId,
          at,
          text: JSON.stringify(rest),
        })),
        at: this.#parts.clock.now(),
      });
    } catch (error) {
      this.#parts.onError(error);
    }
  }

  #isWithinRate({ status }: TracedMessage): boolean {
    if (status === "SUCCESS") return true;
    const minute = Math.floor(this.#parts.clock.now() / MINUTE_MS);
    if (minute !== this.#minute) [this.#minute, this.#others] = [minute, 0];
    this.#others += 1;
    return this.#others <= MAX_OTHERS_PER_MINUTE;
  }
}

function bounded(message: TracedMessage): TracedMessage {
  const { failure } = message;
  if (failure === undefined) return message;
  return { ...message, failure: { ...failure, message: failure.message.slice(0, MAX_TEXT) } };
}
