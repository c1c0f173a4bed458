import { Worker } from "node:worker_threads";
import { ConnectorError } from "../errors.ts";
import { fromPortable } from "./store-errors.ts";
import type { SqlValue } from "./transaction.ts";
import type { FromReader, ReaderSettings, StorePlace, ToReader } from "./worker-messages.ts";

/** Own limits. */
const MAX_WAITING_QUERIES = 1_000;
const DEFAULT_QUERY_TIMEOUT_MS = 30_000;

interface Waiting {
  readonly resolve: (rows: unknown[]) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/** Queries on a thread of their own, so that a long one delays no commit. The thread starts with the first query. */
export class Reader {
  readonly #place: StorePlace;
  readonly #timeoutMs: number;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #lastId = 0;
  #isClosed = false;

  constructor(place: StorePlace, timeoutMs = DEFAULT_QUERY_TIMEOUT_MS) {
    this.#place = place;
    this.#timeoutMs = timeoutMs;
  }

  query(sql: string, parameters: readonly SqlValue[], maxRows: number): Promise<unknown[]> {
    if (this.#isClosed) return Promise.reject(closed());
    if (this.#waiting.size >= MAX_WAITING_QUERIES) return Promise.reject(busy());
    this.#worker ??= this.#start();
    const worker = this.#worker;
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#abandon(timedOut(this.#timeoutMs)), this.#timeoutMs);
      this.#waiting.set(id, { resolve, reject, timer });
      worker.ref();
      worker.postMessage({ id, sql, parameters, maxRows } satisfies ToReader);
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#abandon(closed());
  }

  #start(): Worker {
    const worker = startThread(this.#place, this.#timeoutMs);
    worker.on("message", (answer: FromReader) => this.#settle(worker, answer));
    worker.on("error", (error) => void this.#abandon(died(error)));
    return worker;
  }

  #settle(worker: Worker, answer: FromReader): void {
    const waiting = this.#waiting.get(answer.id);
    if (waiting === undefined) return;
    this.#waiting.delete(answer.id);
    clearTimeout(waiting.timer);
    if (this.#waiting.size === 0) worker.unref();
    if (answer.ok) waiting.resolve(answer.rows);
    else waiting.reject(fromPortable(answer.error));
  }

  /** Gives up the thread and all that waits for it; the next query starts another. */
  async #abandon(reason: Error): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(reason);
    }
    this.#waiting.clear();
    await worker?.terminate();
  }
}

function startThread(place: StorePlace, timeoutMs: number): Worker {
  const start = (file: string, workerData: ReaderSettings) =>
    new Worker(new URL(file, import.meta.url), { workerData, execArgv: [] });
  if ("file" in place) return start("./reader-worker.ts", { kind: "sqlite", file: place.file });
  const workerData = { kind: "postgresql", place: place.postgresql, timeoutMs } as const;
  return start("./postgresql/reader-worker.ts", workerData);
}

function closed(): ConnectorError {
  return new ConnectorError("store-closed", "the store is closed");
}

function busy(): ConnectorError {
  return new ConnectorError("store-busy", `${MAX_WAITING_QUERIES} queries wait already`, {
    isRetryable: true,
  });
}

function timedOut(timeoutMs: number): ConnectorError {
  return new ConnectorError("store-query-timeout", `a query took longer than ${timeoutMs} ms`, {
    isRetryable: true,
  });
}

function died(cause: unknown): ConnectorError {
  return new ConnectorError("store-reader-died", "the store's reader thread ended", {
    isRetryable: true,
    cause,
  });
}
