import { ConnectorError } from "../../errors.ts";
import { failed, operationOf, refuseAsync } from "../operation-outcome.ts";
import type { Operations } from "../transaction.ts";
import type { Outcome, QueuedOperation } from "../worker-messages.ts";
import { DeferredTransaction, StatementFault } from "./deferred-transaction.ts";
import type { Dialect } from "./dialect.ts";
import { endsConnection, fromPostgresql, isOutdated } from "./failures.ts";
import type { PipelineFailure, PipelineOutcome, Statement } from "./pipeline.ts";
import { lockNumber, SHARED_SCHEMA } from "./place.ts";
import type { SessionBridge } from "./session-bridge.ts";

/** Statements that a failure in them has not to do with any operation: BEGIN and the lock. */
const OPENING_STATEMENTS = 2;

export interface BatchCommitOptions {
  readonly session: Pick<SessionBridge, "begin" | "proceed">;
  readonly operations: Operations;
  /** Names of operations that touch nothing which other replicas have, and so wait for none. */
  readonly ownOperations: ReadonlySet<string>;
  readonly dialect: Dialect;
  /** For messages. */
  readonly place: string;
  readonly isReadOnly: boolean;
}

type Attempt =
  | { readonly kind: "committed"; readonly outcomes: Outcome[] }
  /** Nothing of the batch is there; run one by one, most of it may pass. */
  | { readonly kind: "broken"; readonly error: unknown }
  /** Nothing of the batch is there; the next attempt has a connection on which all is prepared anew. */
  | { readonly kind: "outdated"; readonly error: unknown }
  /** Nothing is to be had from the database now, whatever the operation. */
  | { readonly kind: "unavailable"; readonly error: unknown };

/**
 * Runs batches of operations as SQLite's group commit does: one transaction for all, each operation taken back alone where
 * it throws. One batch at a time over all replicas holds the lock of the shared tables, so operations see the strict order
 * that a single writer gives.
 */
export class BatchCommit {
  readonly #options: BatchCommitOptions;
  readonly #lock: Statement;

  constructor(options: BatchCommitOptions) {
    this.#options = options;
    const number = lockNumber(`schema ${SHARED_SCHEMA}`);
    this.#lock = { text: "SELECT pg_advisory_xact_lock($1)", values: [number] };
  }

  /** The outcome of each operation, in order. A success is returned only once its commit is on the server's disk. */
  run(batch: readonly QueuedOperation[]): Outcome[] {
    const first = this.#attempt(batch);
    const attempt = first.kind === "outdated" ? this.#attempt(batch) : first;
    switch (attempt.kind) {
      case "committed":
        return attempt.outcomes;
      case "unavailable":
        return batch.map(() => failed(attempt.error));
      case "outdated":
      case "broken":
        if (batch.length === 1) return [failed(attempt.error)];
        // Operations touch nothing but the database and can be run again.
        return batch.flatMap((operation) => this.run([operation]));
    }
  }

  #attempt(batch: readonly QueuedOperation[]): Attempt {
    let isBegun = false;
    const exchange = (statements: readonly Statement[]): PipelineOutcome => {
      const { session } = this.#options;
      const outcome = isBegun ? session.proceed(statements) : session.begin(statements);
      isBegun = true;
      return outcome;
    };
    try {
      const transaction = new DeferredTransaction(
        this.#options.dialect,
        this.#opening(batch),
        exchange,
      );
      const outcomes = batch.map((operation) => this.#runOne(transaction, operation));
      return this.#ended(transaction.commit(), outcomes);
    } catch (error) {
      if (isBegun) this.#options.session.proceed([{ text: "ROLLBACK", values: [] }]);
      if (!(error instanceof StatementFault)) return { kind: "unavailable", error };
      return this.#failure(error.failure);
    }
  }

  #opening(batch: readonly QueuedOperation[]): Statement[] {
    const { isReadOnly, ownOperations } = this.#options;
    const begin: Statement = { text: isReadOnly ? "BEGIN READ ONLY" : "BEGIN", values: [] };
    const isOwn = isReadOnly || batch.every(({ name }) => ownOperations.has(name));
    return isOwn ? [begin] : [begin, this.#lock];
  }

  #runOne(transaction: DeferredTransaction, { name, argument }: QueuedOperation): Outcome {
    const operation = operationOf(this.#options.operations, name);
    if (operation instanceof ConnectorError) return failed(operation);
    transaction.beginOperation();
    try {
      const value = operation(transaction, argument);
      refuseAsync(name, value);
      transaction.endOperation();
      return { ok: true, value };
    } catch (thrown) {
      if (thrown instanceof StatementFault && !isOfOperationAlone(thrown)) throw thrown;
      transaction.undoOperation();
      return failed(thrown instanceof StatementFault ? this.#errorOf(thrown.failure) : thrown);
    }
  }

  #ended(outcome: PipelineOutcome, outcomes: Outcome[]): Attempt {
    if (outcome.ok) {
      // A transaction that the server had given up is rolled back by COMMIT, without an error.
      if (outcome.results.at(-1)?.command === "COMMIT") return { kind: "committed", outcomes };
      return {
        kind: "broken",
        error: this.#errorOf({ sqlState: "40000", message: "rolled back", index: 0 }),
      };
    }
    if (outcome.failure.sqlState === undefined) {
      return { kind: "unavailable", error: this.#unknownOutcome(outcome.failure) };
    }
    this.#options.session.proceed([{ text: "ROLLBACK", values: [] }]);
    return this.#failure(outcome.failure);
  }

  #failure(failure: PipelineFailure): Attempt {
    const error = this.#errorOf(failure);
    if (isOutdated(failure)) return { kind: "outdated", error };
    const isOpening = failure.index < OPENING_STATEMENTS && failure.sqlState === "55P03";
    const isOfServer = error instanceof ConnectorError && error.code === "store-unreachable";
    return { kind: isOpening || isOfServer ? "unavailable" : "broken", error };
  }

  #errorOf(failure: PipelineFailure): Error {
    return fromPostgresql(failure, this.#options.place);
  }

  /** The commit was sent and not answered: it may have been made. Whoever repeats the request finds it then. */
  #unknownOutcome({ message }: PipelineFailure): ConnectorError {
    return new ConnectorError(
      "store-outcome-unknown",
      `${this.#options.place} was lost while it committed: ask again, and what was done is found (${message})`,
      { isRetryable: true },
    );
  }
}

function isOfOperationAlone({ isWithinOperation, failure }: StatementFault): boolean {
  return isWithinOperation && !endsConnection(failure);
}
