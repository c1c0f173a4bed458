import type { DatabaseSync } from "node:sqlite";
import { ConnectorError } from "../errors.ts";
import { StatementCache } from "./database.ts";
import { failed, operationOf, refuseAsync } from "./operation-outcome.ts";
import { fromSqlite, isFatal } from "./store-errors.ts";
import type { Operations } from "./transaction.ts";
import type { Outcome, QueuedOperation } from "./worker-messages.ts";

/** After an operation threw, so many batches have a savepoint for each operation from the start. */
const CAREFUL_BATCHES = 100;

/**
 * Runs batches of operations: one transaction and one sync to disk per batch. An operation that throws takes only itself back: the batch
 * is run once more, with a savepoint for each. Most batches need none, and under one SQLite copies each page that is changed.
 */
export class GroupCommit {
  readonly #database: DatabaseSync;
  readonly #operations: Operations;
  readonly #file: string;
  readonly #statements: StatementCache;
  readonly #begin: string;
  #failure: ConnectorError | undefined;
  #carefulBatches = 0;

  constructor(options: {
    readonly database: DatabaseSync;
    readonly operations: Operations;
    readonly file: string;
    readonly isReadOnly: boolean;
  }) {
    this.#database = options.database;
    this.#operations = options.operations;
    this.#file = options.file;
    this.#statements = new StatementCache(options.database);
    this.#begin = options.isReadOnly ? "BEGIN" : "BEGIN IMMEDIATE";
  }

  /** The outcome of each operation, in order. A success is returned only once its commit is on disk. */
  run(batch: readonly QueuedOperation[]): Outcome[] {
    // Operations touch nothing but the database and can be run again.
    if (this.#carefulBatches > 0) this.#carefulBatches -= 1;
    else {
      const plain = this.#attempt(batch, (operation) => this.#runPlainly(operation));
      if (plain.ok) return plain.outcomes;
      this.#carefulBatches = CAREFUL_BATCHES;
    }
    const careful = this.#attempt(batch, (operation) => this.#runInSavepoint(operation));
    if (careful.ok) return careful.outcomes;
    // The whole transaction is gone. One operation alone may be at fault (too large for the disk), so each one gets a
    // transaction of its own.
    if (batch.length === 1) return [failed(careful.error)];
    return batch.map((operation) => {
      const alone = this.#attempt([operation], (each) => this.#runInSavepoint(each));
      return alone.ok ? (alone.outcomes[0] as Outcome) : failed(alone.error);
    });
  }

  #attempt(
    batch: readonly QueuedOperation[],
    run: (operation: QueuedOperation) => Outcome,
  ): { ok: true; outcomes: Outcome[] } | { ok: false; error: unknown } {
    if (this.#failure !== undefined) return { ok: false, error: this.#failure };
    try {
      this.#database.exec(this.#begin);
      const outcomes = batch.map(run);
      this.#database.exec("COMMIT");
      return { ok: true, outcomes };
    } catch (thrown) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      return { ok: false, error: this.#noteFatal(fromSqlite(thrown, this.#file)) };
    }
  }

  /** Throws what the operation throws. */
  #runPlainly({ name, argument }: QueuedOperation): Outcome {
    const operation = operationOf(this.#operations, name);
    if (operation instanceof ConnectorError) return failed(operation);
    const value = operation(this.#statements, argument);
    refuseAsync(name, value);
    return { ok: true, value };
  }

  #runInSavepoint({ name, argument }: QueuedOperation): Outcome {
    const operation = operationOf(this.#operations, name);
    if (operation instanceof ConnectorError) return failed(operation);
    this.#statements.run("SAVEPOINT operation");
    try {
      const value = operation(this.#statements, argument);
      refuseAsync(name, value);
      this.#statements.run("RELEASE operation");
      return { ok: true, value };
    } catch (thrown) {
      // A full disk or an I/O error ends the whole transaction: sqlite.org/lang_transaction.html, section 3.
      if (!this.#database.isTransaction) throw thrown;
      this.#statements.run("ROLLBACK TO operation");
      this.#statements.run("RELEASE operation");
      return failed(this.#noteFatal(fromSqlite(thrown, this.#file)));
    }
  }

  #noteFatal(error: unknown): unknown {
    if (error instanceof ConnectorError && isFatal(error)) this.#failure ??= error;
    return error;
  }
}
