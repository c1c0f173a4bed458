import { DatabaseSync } from "node:sqlite";
import { type InventoryEntry, inventoryEntry } from "@isthmus/shared/link/inventory-messages";
import { lineOf, STORED_ENTRIES } from "@isthmus/shared/link/lane-operations";
import { MAX_ENTRY_BYTES } from "@isthmus/shared/link/messages";
import { StatementCache } from "@isthmus/shared/store/database";
import type { Row } from "@isthmus/shared/store/transaction";
import { migrations, operations } from "../store/module.ts";

type Operations = typeof operations;
type ArgumentOf<Name extends keyof Operations> = Parameters<Operations[Name]>[1];

const TABLES = [
  "source_state",
  "kind_state",
  "facet_name",
  "record_state",
  "range_page",
  "refusal",
  "stream",
  "stream_entry",
  "packed_entry",
];

/** The bridge's store in memory and on this thread: its operations as they are, without a process around them. */
export class InventoryStore {
  readonly #database = new DatabaseSync(":memory:");
  readonly #transaction = new StatementCache(this.#database);
  #told = 0;

  constructor() {
    for (const { sql } of migrations) this.#database.exec(sql);
  }

  /** Whole or not at all, as the store's worker runs it. */
  run<Name extends keyof Operations>(
    name: Name,
    argument: ArgumentOf<Name>,
  ): ReturnType<Operations[Name]> {
    this.#database.exec("BEGIN");
    try {
      const operation = operations[name] as (...of: unknown[]) => ReturnType<Operations[Name]>;
      const value = operation(this.#transaction, argument);
      this.#database.exec("COMMIT");
      return value;
    } catch (error) {
      this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  /** Entries that were put into the stream since the last call, each within the limits of the wire. */
  told(): InventoryEntry[] {
    const rows = this.rows(
      `SELECT position, entry, bytes FROM ${STORED_ENTRIES} WHERE stream = 'inventory' AND position > ? ORDER BY position`,
      this.#told,
    );
    return rows.map((row) => {
      this.#told = Number(row["position"]);
      const line = lineOf(row);
      if (Buffer.byteLength(line) > MAX_ENTRY_BYTES) throw new Error("an entry is too large");
      const value = JSON.parse(line);
      if (JSON.stringify(value) !== line)
        throw new Error(`not as JSON.stringify gives it: ${line}`);
      return inventoryEntry.parse(value);
    });
  }

  rows(sql: string, ...values: (string | number)[]): Row[] {
    return this.#transaction.all(sql, ...values);
  }

  /** Goes on with an earlier state, as after a restored backup; the link then begins a new epoch. */
  backup(): () => void {
    const kept = TABLES.map((table) => [table, this.rows(`SELECT * FROM ${table}`)] as const);
    return () => {
      for (const [table, rows] of kept) {
        this.#database.exec(`DELETE FROM ${table}`);
        for (const row of rows) this.#insert(table, row);
      }
      this.beginEpoch();
      const [last] = this.rows("SELECT coalesce(max(position), 0) AS position FROM stream_entry");
      this.#told = Number(last?.["position"]);
    };
  }

  beginEpoch(): void {
    this.#database.exec("UPDATE command_lane SET epoch = epoch + 1");
  }

  #insert(table: string, row: Row): void {
    const columns = Object.keys(row);
    const places = columns.map(() => "?").join(", ");
    this.#transaction.run(
      `INSERT INTO ${table} (${columns.join(", ")}) VALUES (${places})`,
      ...Object.values(row),
    );
  }
}
