import {
  appendToStream,
  laneMigrations,
  laneOperations,
} from "@isthmus/shared/link/lane-operations";
import type { Migration, Operations, Transaction } from "@isthmus/shared/store/transaction";

/**
 * The store of a connector that has nothing but the link, and a table of what its commands did.
 *
 * @public
 */
export const migrations: readonly Migration[] = [
  ...laneMigrations,
  {
    id: "test-1",
    sql: `CREATE TABLE effect (command_id TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
          CREATE TABLE certificate (number INTEGER PRIMARY KEY) STRICT;`,
  },
];

function append(
  transaction: Transaction,
  of: { readonly stream: string; readonly entries: readonly unknown[]; readonly at: number },
): void {
  for (const entry of of.entries) {
    appendToStream(transaction, { stream: of.stream, at: of.at, entry });
  }
}

/** What a command does to the world: it can be counted, and asked for after a crash. */
function takeEffect(
  transaction: Transaction,
  { id, at }: { readonly id: string; readonly at: number },
): void {
  transaction.run("INSERT INTO effect (command_id, at) VALUES (?, ?)", id, at);
}

function effects(transaction: Transaction): string[] {
  const rows = transaction.all("SELECT command_id FROM effect ORDER BY at LIMIT 10000");
  return rows.map((row) => String(row["command_id"]));
}

/** Issues the next certificate: the row and the entry that tells of it stand or fall together. */
function issueNext(transaction: Transaction, { at }: { readonly at: number }): void {
  const { lastInsertRowid: number } = transaction.run("INSERT INTO certificate DEFAULT VALUES");
  const serialNumber = number.toString(16).padStart(8, "0");
  appendToStream(transaction, {
    stream: "issuance",
    at,
    entry: { event: "issued", at, transactionId: `t-${number}`, serialNumber, issuer: "CN=CA" },
  });
}

/** A row of the kind that only a fault can make, to see what the link makes of it. */
function execute(transaction: Transaction, { sql }: { readonly sql: string }): void {
  transaction.run(sql);
}

/** @public The store's worker reads it by the module's address. */
export const operations = {
  ...laneOperations,
  append,
  takeEffect,
  effects,
  issueNext,
  execute,
} satisfies Operations;
