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
];

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
