/** A value that SQLite and PostgreSQL both store as it is. Times are integers in ms, booleans 0 or 1, JSON is text. */
export type SqlValue = null | number | bigint | string | Uint8Array;
export type Row = Readonly<Record<string, SqlValue>>;

/** What a store operation sees of the database while it runs inside one transaction, on the store's worker. */
export interface Transaction {
  /**
   * Runs a statement for its effect. On PostgreSQL it is sent with the next one whose answer is needed, so what it returns
   * is best not looked at where it does not matter; a fault of it may show at a later statement of the same operation.
   */
  run(
    sql: string,
    ...values: SqlValue[]
  ): { readonly changes: number; readonly lastInsertRowid: number };
  /** The first row, or undefined. */
  get(sql: string, ...values: SqlValue[]): Row | undefined;
  /** Every row. Whoever calls it bounds the result with LIMIT. */
  all(sql: string, ...values: SqlValue[]): Row[];
}

/**
 * A named step that runs whole or not at all: synchronous, on the worker that owns the database, inside a transaction.
 * Arguments and result cross a thread and so are structured-cloneable. A thrown `ConnectorError` rolls this operation
 * alone back and reaches the caller with code and message.
 */
// biome-ignore lint/suspicious/noExplicitAny: the parameter position of a registry of differently typed operations
export type Operation = (transaction: Transaction, argument: any) => unknown;
export type Operations = Readonly<Record<string, Operation>>;

/** One step of a schema, applied once, in order, and never edited after a release. */
export interface Migration {
  /** Unique and stable, e.g. `kernel-1-audit`. */
  readonly id: string;
  /** For SQLite; in the form that `postgresql/dialect.ts` translates. */
  readonly sql: string;
  /** For PostgreSQL, where a translation would not do. */
  readonly postgresql?: string;
  /** Where replicas share the tables: a release that does not know this migration may not use them any more. */
  readonly breaksOlder?: boolean;
}

/** What a store module (a file that the worker loads by URL) exports. */
export interface StoreModule {
  readonly migrations: readonly Migration[];
  readonly operations: Operations;
  /** Of `migrations`, those whose tables belong to one replica. The tables of the others are shared. All where absent. */
  readonly ownMigrations?: readonly Migration[];
  /** Of `operations`, those that touch no shared table. All where absent. */
  readonly ownOperations?: Operations;
}
