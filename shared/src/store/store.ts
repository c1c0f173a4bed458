import { Worker } from "node:worker_threads";
import { ConnectorError } from "../errors.ts";
import { describePlace } from "./postgresql/place.ts";
import { Reader } from "./reader.ts";
import { fromPortable, isFatal } from "./store-errors.ts";
import type { Operations, Row, SqlValue } from "./transaction.ts";
import type {
  FromWriter,
  Outcome,
  QueuedOperation,
  StorePlace,
  ToWriter,
  WriterSettings,
} from "./worker-messages.ts";

/** Own limits: operations that may wait, and how many share one commit. */
export const MAX_QUEUED_OPERATIONS = 10_000;
const MAX_BATCH_OPERATIONS = 500;

type ArgumentsOf<O> = O extends (transaction: never, ...rest: infer Rest) => unknown ? Rest : never;
type ResultOf<O> = O extends (...all: never[]) => infer Result ? Result : never;

/** The store of one process: named operations that are durable when they return, and bounded queries. */
export interface Store<Ops extends Operations> extends AsyncDisposable {
  /** For messages: the file, or which database where. */
  readonly where: string;
  /**
   * Runs an operation of the store's module in a transaction. The promise resolves once the commit is on disk.
   *
   * @throws ConnectorError what the operation threw, or `store-busy` (retryable: the queue is full), `store-full`
   * (retryable), `store-io`, `store-corrupt`, `store-constraint`, `store-closed`; on PostgreSQL also `store-unreachable`,
   * `store-locked`, and `store-outcome-unknown` where the connection broke while it was committed (all retryable).
   */
  run<Name extends keyof Ops & string>(
    name: Name,
    ...argument: ArgumentsOf<Ops[Name]>
  ): Promise<ResultOf<Ops[Name]>>;
  /**
   * Runs a SELECT on a connection of its own that sees every finished `run` and cannot write.
   *
   * @throws ConnectorError `store-result-too-large` over `maxRows`, `store-query-timeout`, `store-busy`.
   */
  query<R = Row>(sql: string, parameters: readonly SqlValue[], maxRows: number): Promise<R[]>;
  /** Resolves with the reason when the store can no longer be used although nobody closed it. */
  readonly failed: Promise<ConnectorError>;
}

/**
 * Opens (and where needed makes and migrates) a store: an own file, or a replica's part of a shared database. `module` is the URL of the file that exports `migrations` and
 * `operations`; it is loaded by the worker thread that owns the database. `isReadOnly` opens an existing one beside
 * whoever holds it, and no operation can change it.
 *
 * @throws ConnectorError `store-in-use`, `store-corrupt`, `store-schema-newer`, `store-unopenable` and others.
 */
export async function openStore<Ops extends Operations>(
  options: StorePlace & {
    readonly module: URL;
    readonly isReadOnly?: boolean;
    readonly maxQueued?: number;
    readonly queryTimeoutMs?: number;
  },
): Promise<Store<Ops>> {
  const { isReadOnly = false } = options;
  const place: StorePlace =
    "file" in options ? { file: options.file } : { postgresql: options.postgresql };
  const where = "file" in place ? place.file : describePlace(place.postgresql);
  const workerData: WriterSettings = { place, moduleUrl: options.module.href, isReadOnly };
  const worker = new Worker(new URL("./writer-worker.ts", import.meta.url), {
    workerData,
    execArgv: [],
  });
  const reader = new Reader(place, options.queryTimeoutMs);
  const store = new WorkerStore(worker, reader, where, options.maxQueued ?? MAX_QUEUED_OPERATIONS);
  await store.ready;
  return store as unknown as Store<Ops>;
}

interface Queued {
  readonly operation: QueuedOperation;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** Sends one batch at a time; what arrives while it is being committed makes up the next one. */
class WorkerStore {
  readonly where: string;
  readonly failed: Promise<ConnectorError>;
  readonly ready: Promise<void>;
  readonly #worker: Worker;
  readonly #exited: Promise<void>;
  readonly #opening = Promise.withResolvers<void>();
  readonly #reader: Reader;
  readonly #maxQueued: number;
  readonly #reportFailure: (reason: ConnectorError) => void;
  #queue: Queued[] = [];
  #inFlight: readonly Queued[] = [];
  #isFlushScheduled = false;
  #ended: ConnectorError | undefined;
  #onIdle: (() => void) | undefined;

  constructor(worker: Worker, reader: Reader, where: string, maxQueued: number) {
    const failure = Promise.withResolvers<ConnectorError>();
    this.failed = failure.promise;
    this.#reportFailure = failure.resolve;
    this.where = where;
    this.#worker = worker;
    this.#reader = reader;
    this.#maxQueued = maxQueued;
    this.ready = this.#opening.promise;
    // Listeners stay for the worker's life: removing its last message listener stops its port for good.
    worker.on("message", (message: FromWriter) => this.#receive(message));
    worker.on("error", (cause) => this.#fail(died(where, cause)));
    this.#exited = new Promise((resolve) => {
      worker.on("exit", () => {
        this.#fail(died(where));
        resolve();
      });
    });
  }

  run(name: string, argument?: unknown): Promise<unknown> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    if (this.#queue.length >= this.#maxQueued) return Promise.reject(busy(this.#maxQueued));
    return new Promise((resolve, reject) => {
      this.#queue.push({ operation: { name, argument }, resolve, reject });
      this.#scheduleFlush();
    });
  }

  query(sql: string, parameters: readonly SqlValue[], maxRows: number): Promise<unknown[]> {
    return this.#reader.query(sql, parameters, maxRows);
  }

  /** Waits for what is queued, then closes the database. */
  async [Symbol.asyncDispose](): Promise<void> {
    const wasOpen = this.#ended === undefined;
    this.#ended ??= new ConnectorError("store-closed", `store ${this.where} is closed`);
    await this.#reader.close();
    if (!wasOpen) return;
    if (this.#queue.length + this.#inFlight.length > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    this.#worker.ref();
    this.#worker.postMessage({ type: "close" } satisfies ToWriter);
    await this.#exited;
  }

  /** One turn later, so that all that is asked for in this one shares a commit. */
  #scheduleFlush(): void {
    if (this.#isFlushScheduled || this.#inFlight.length > 0) return;
    this.#isFlushScheduled = true;
    queueMicrotask(() => {
      this.#isFlushScheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    const batch = this.#queue.splice(0, MAX_BATCH_OPERATIONS);
    if (batch.length === 0) {
      this.#worker.unref();
      this.#onIdle?.();
      return;
    }
    this.#worker.ref();
    this.#inFlight = this.#send(batch);
    if (this.#inFlight.length === 0) this.#flush();
  }

  /** Sends what can cross the thread and returns it; an argument that cannot be cloned fails its own operation only. */
  #send(batch: readonly Queued[]): readonly Queued[] {
    try {
      this.#post(batch);
      return batch;
    } catch {
      const sendable = batch.filter((queued) => isCloneable(queued));
      if (sendable.length > 0) this.#post(sendable);
      return sendable;
    }
  }

  #post(batch: readonly Queued[]): void {
    const operations = batch.map(({ operation }) => operation);
    this.#worker.postMessage({ type: "batch", operations } satisfies ToWriter);
  }

  #receive(message: FromWriter): void {
    switch (message.type) {
      case "ready":
        this.#worker.unref();
        this.#opening.resolve();
        break;
      case "unopened":
        this.#opening.reject(fromPortable(message.error));
        break;
      case "outcomes":
        this.#settleBatch(message.outcomes);
        break;
    }
  }

  #settleBatch(outcomes: readonly Outcome[]): void {
    const settled = this.#inFlight;
    this.#inFlight = [];
    settled.forEach((queued, index) => {
      this.#settle(queued, outcomes[index]);
    });
    this.#flush();
  }

  #settle(queued: Queued, outcome: Outcome | undefined): void {
    if (outcome?.ok) {
      queued.resolve(outcome.value);
      return;
    }
    const error = outcome === undefined ? died(this.where) : fromPortable(outcome.error);
    if (error instanceof ConnectorError && isFatal(error)) this.#reportFailure(error);
    queued.reject(error);
  }

  #fail(reason: ConnectorError): void {
    this.#opening.reject(reason);
    if (this.#ended === undefined) this.#reportFailure(reason);
    this.#ended ??= reason;
    const lost = [...this.#inFlight, ...this.#queue];
    this.#inFlight = [];
    this.#queue = [];
    for (const { reject } of lost) reject(reason);
    this.#onIdle?.();
  }
}

function isCloneable(queued: Queued): boolean {
  try {
    structuredClone(queued.operation);
    return true;
  } catch (cause) {
    const { name } = queued.operation;
    queued.reject(
      new ConnectorError("store-argument", `argument of ${name} cannot cross threads`, { cause }),
    );
    return false;
  }
}

function busy(maxQueued: number): ConnectorError {
  return new ConnectorError("store-busy", `${maxQueued} store operations wait already`, {
    isRetryable: true,
  });
}

function died(where: string, cause?: unknown): ConnectorError {
  return new ConnectorError("store-died", `the thread that owns store ${where} ended`, { cause });
}
