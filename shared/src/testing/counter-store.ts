import { RefusalError } from "../errors.ts";
import type { Migration, Operations, Transaction } from "../store/transaction.ts";

/**
 * A small store module for tests of the store itself: numbered entries and operations that fail on purpose.
 *
 * @public
 */
export const migrations: readonly Migration[] = [
  {
    id: "counter-1",
    sql: "CREATE TABLE entry (n INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT",
  },
  {
    id: "counter-2",
    sql: `
      -- Every kind of value; the semicolon and the 'STRICT' of this comment are none of the table's.
      CREATE TABLE kept (
        id INTEGER PRIMARY KEY,
        n INTEGER NOT NULL,
        text TEXT NOT NULL DEFAULT 'INTEGER -- BLOB',
        bytes BLOB NOT NULL,
        absent INTEGER
      ) STRICT;
      CREATE UNIQUE INDEX kept_by_n ON kept (n) WHERE absent IS NULL;
    `,
  },
];

interface KeptValues {
  readonly n: number;
  readonly text: string;
  readonly bytes: Uint8Array;
  readonly absent: number | null;
}

/** @public The store's worker reads it by the module's address. */
export const operations = {
  add(transaction: Transaction, entry: { readonly n: number; readonly text: string }): number {
    transaction.run("INSERT INTO entry (n, text) VALUES (?, ?)", entry.n, entry.text);
    return entry.n;
  },
  addThenRefuse(transaction: Transaction, n: number): void {
    transaction.run("INSERT INTO entry (n, text) VALUES (?, 'gone')", n);
    throw new RefusalError("counter-refused", "counter.rule", `entry ${n} is refused`);
  },
  addSwallowing(transaction: Transaction, n: number): void {
    try {
      transaction.run("INSERT INTO entry (n, text) VALUES (?, 'twice')", n);
      transaction.get("SELECT n FROM entry WHERE n = ?", n);
    } catch {
      transaction.run("INSERT INTO entry (n, text) VALUES (?, 'other')", n + 1_000);
    }
  },
  addMany(transaction: Transaction, count: number): { counted: number; last: string } {
    for (let n = 0; n < count; n++) {
      transaction.run("INSERT INTO entry (n, text) VALUES (?, ?)", n, String(n));
    }
    const row = transaction.get("SELECT count(*) AS c, max(n) AS last FROM entry");
    return { counted: Number(row?.["c"]), last: String(row?.["last"]) };
  },
  keep(transaction: Transaction, { n, text, bytes, absent }: KeptValues) {
    const { lastInsertRowid, changes } = transaction.run(
      "INSERT INTO kept (n, text, bytes, absent) VALUES (?, ?, ?, ?)",
      n,
      text,
      bytes,
      absent,
    );
    return { id: lastInsertRowid, changes };
  },
  kept(transaction: Transaction, id: number) {
    return transaction.get("SELECT * FROM kept WHERE id = ?", id);
  },
  count(transaction: Transaction): number {
    return Number(transaction.get("SELECT count(*) AS c FROM entry")?.["c"]);
  },
  asynchronous(): Promise<number> {
    return Promise.resolve(1);
  },
  returnFunction(): () => void {
    return () => {};
  },
  crash(): void {
    process.exit(3);
  },
} satisfies Operations;
