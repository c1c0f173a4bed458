import type { Row, SqlValue, Transaction } from "../transaction.ts";
import type { Dialect } from "./dialect.ts";
import {
  type PipelineFailure,
  type PipelineOutcome,
  requireStorable,
  type Statement,
  type StatementResult,
} from "./pipeline.ts";

/** Own limit on statements that wait to be sent, so that an operation which writes much does not pile it all up. */
const MAX_DEFERRED = 200;

/** A statement failed. `isWithinOperation`: at that of the operation which runs, behind its savepoint. */
export class StatementFault extends Error {
  readonly failure: PipelineFailure;
  readonly isWithinOperation: boolean;

  constructor(failure: PipelineFailure, isWithinOperation: boolean) {
    super(failure.message);
    this.failure = failure;
    this.isWithinOperation = isWithinOperation;
  }
}

interface Deferred {
  readonly statement: Statement;
  readonly operation: number;
  readonly result: LazyResult | undefined;
}

/** What `run` returns: it is asked for only where somebody looks. */
class LazyResult {
  readonly #settle: () => void;
  readonly #column: string | undefined;
  #result: StatementResult | undefined;

  constructor(settle: () => void, column: string | undefined) {
    this.#settle = settle;
    this.#column = column;
  }

  set(result: StatementResult): void {
    this.#result = result;
  }

  get changes(): number {
    return this.#settled().changes;
  }

  get lastInsertRowid(): number {
    const { rows } = this.#settled();
    return this.#column === undefined ? 0 : Number(rows[0]?.[this.#column] ?? 0);
  }

  #settled(): StatementResult {
    if (this.#result === undefined) this.#settle();
    return this.#result as StatementResult;
  }
}

/**
 * The transaction that operations of one batch see. Writes are not sent until something has to be known: they go ahead of
 * the next read, or of the commit, in one round trip. A savepoint is set by an operation's first write, in that same trip.
 */
export class DeferredTransaction implements Transaction {
  readonly #dialect: Dialect;
  readonly #exchange: (statements: readonly Statement[]) => PipelineOutcome;
  #deferred: Deferred[];
  #operation = 0;
  #hasSavepoint = false;
  #fault: StatementFault | undefined;

  constructor(
    dialect: Dialect,
    opening: readonly Statement[],
    exchange: (statements: readonly Statement[]) => PipelineOutcome,
  ) {
    this.#dialect = dialect;
    this.#exchange = exchange;
    this.#deferred = opening.map((statement) => ({ statement, operation: 0, result: undefined }));
  }

  run(sql: string, ...values: SqlValue[]): { changes: number; lastInsertRowid: number } {
    const { text, isWrite, returns } = this.#dialect.translate(sql);
    requireStorable(values);
    if (isWrite) this.#setSavepoint();
    const result = new LazyResult(() => this.#send(), returns);
    this.#defer({ text, values }, result);
    if (this.#deferred.length >= MAX_DEFERRED) this.#send();
    return result;
  }

  get(sql: string, ...values: SqlValue[]): Row | undefined {
    return this.#rows(sql, values, 1)[0];
  }

  all(sql: string, ...values: SqlValue[]): Row[] {
    return this.#rows(sql, values, undefined);
  }

  /** What follows belongs to another operation. */
  beginOperation(): void {
    this.#operation += 1;
    this.#hasSavepoint = false;
    this.#fault = undefined;
  }

  /** Ends an operation well. Throws the fault that it has met and not passed on. */
  endOperation(): void {
    if (this.#fault !== undefined) throw this.#fault;
    if (this.#hasSavepoint) this.#defer(plain("RELEASE SAVEPOINT operation"), undefined);
  }

  /** Takes back what the operation wrote. Throws where a statement before it turns out to have failed. */
  undoOperation(): void {
    if (!this.#hasSavepoint) return;
    // A fault within the operation has left the transaction waiting for just this.
    this.#fault = undefined;
    this.#defer(plain("ROLLBACK TO SAVEPOINT operation"), undefined);
    this.#defer(plain("RELEASE SAVEPOINT operation"), undefined);
  }

  /** Sends what is left, and the commit behind it: only if all went well does the server come to it. */
  commit(): PipelineOutcome {
    const statements = this.#take().map(({ statement }) => statement);
    return this.#exchange([...statements, plain("COMMIT")]);
  }

  #rows(sql: string, values: readonly SqlValue[], maxRows: number | undefined): Row[] {
    const { text, isWrite } = this.#dialect.translate(sql);
    requireStorable(values);
    if (isWrite) this.#setSavepoint();
    // A write stops at its first row only when it is run to its end.
    const limit = isWrite || maxRows === undefined ? {} : { maxRows };
    this.#defer({ text, values, ...limit }, undefined);
    return this.#send().at(-1)?.rows ?? [];
  }

  #setSavepoint(): void {
    if (this.#hasSavepoint) return;
    this.#hasSavepoint = true;
    this.#defer(plain("SAVEPOINT operation"), undefined);
  }

  #defer(statement: Statement, result: LazyResult | undefined): void {
    if (this.#fault !== undefined) throw this.#fault;
    this.#deferred.push({ statement, operation: this.#operation, result });
  }

  #take(): readonly Deferred[] {
    const taken = this.#deferred;
    this.#deferred = [];
    return taken;
  }

  #send(): readonly StatementResult[] {
    if (this.#fault !== undefined) throw this.#fault;
    const sent = this.#take();
    const outcome = this.#exchange(sent.map(({ statement }) => statement));
    if (outcome.ok) {
      for (const [index, { result }] of sent.entries()) {
        result?.set(outcome.results[index] as StatementResult);
      }
      return outcome.results;
    }
    const { failure } = outcome;
    const isOfThisOperation = sent[failure.index]?.operation === this.#operation;
    const isWithinOperation =
      isOfThisOperation && this.#hasSavepoint && failure.sqlState !== undefined;
    this.#fault = new StatementFault(failure, isWithinOperation && !isSavepoint(sent, failure));
    throw this.#fault;
  }
}

function isSavepoint(sent: readonly Deferred[], { index }: PipelineFailure): boolean {
  return sent[index]?.statement.text === "SAVEPOINT operation";
}

function plain(text: string): Statement {
  return { text, values: [] };
}
