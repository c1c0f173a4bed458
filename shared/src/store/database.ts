import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { makePrivateFile } from "./private-file.ts";
import type { Row, SqlValue, Transaction } from "./transaction.ts";

/** Own limit: prepared statements kept per connection; above it all of them are prepared anew as they are needed. */
const MAX_CACHED_STATEMENTS = 500;
/**
 * Pages kept in memory, where the database has that many. The default of 2 MB is less than what one batch of inventory touches: with it
 * each row costs several reads from the system.
 */
const PAGE_CACHE_KIB = 16_384;
/**
 * Pages of the write-ahead log (32 MB) after which it is copied into the database. A page that was changed several times meanwhile is copied
 * once: rows of a first sync fall all over the indexes, and with the default of 1000 such pages are written nearly as often there as here.
 */
const CHECKPOINT_PAGES = 8_000;
/** The write-ahead log is cut back to this after a checkpoint, so that one burst does not hold the disk forever. */
const MAX_IDLE_LOG_BYTES = 67_108_864;

/** Opens the database for writing: WAL, each commit synced to disk, file mode 0600. */
export function openForWriting(file: string): DatabaseSync {
  makePrivateFile(file);
  const database = new DatabaseSync(file, { timeout: 5_000 });
  database.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA trusted_schema = OFF;
    PRAGMA secure_delete = FAST;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -${PAGE_CACHE_KIB};
    PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};
    PRAGMA journal_size_limit = ${MAX_IDLE_LOG_BYTES};
  `);
  return database;
}

/** Opens an existing database so that no statement can change it. */
export function openForReading(file: string): DatabaseSync {
  const database = new DatabaseSync(file, { readOnly: true, timeout: 5_000 });
  database.exec("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY");
  return database;
}

/** Statements prepared once per connection and text. */
export class StatementCache implements Transaction {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  run(sql: string, ...values: SqlValue[]): { changes: number; lastInsertRowid: number } {
    const { changes, lastInsertRowid } = this.#prepare(sql).run(...(values as SQLInputValue[]));
    return { changes: Number(changes), lastInsertRowid: Number(lastInsertRowid) };
  }

  get(sql: string, ...values: SqlValue[]): Row | undefined {
    return this.#prepare(sql).get(...(values as SQLInputValue[])) as Row | undefined;
  }

  all(sql: string, ...values: SqlValue[]): Row[] {
    return this.#prepare(sql).all(...(values as SQLInputValue[])) as Row[];
  }

  #prepare(sql: string): StatementSync {
    const cached = this.#statements.get(sql);
    if (cached !== undefined) return cached;
    const statement = this.#database.prepare(withFixedPlan(sql));
    if (this.#statements.size >= MAX_CACHED_STATEMENTS) this.#statements.clear();
    this.#statements.set(sql, statement);
    return statement;
  }
}

/**
 * SQLite looks at the value of a bare `LIMIT ?` to plan, and so parses and plans the statement anew each time it is run, which costs several times
 * what running it does. The value of an expression it leaves alone.
 */
function withFixedPlan(sql: string): string {
  return sql.replaceAll(/\bLIMIT \?/g, "LIMIT +?");
}
