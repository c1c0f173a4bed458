import type { SqlValue, Transaction } from "@isthmus/shared/store/transaction";

/** Rows that one statement writes: more would be another statement to prepare for each count, and gain little. */
const ROWS_AT_ONCE = 32;

/** Writes rows of one table, several with each statement: a statement costs about as much as a row does. */
export class RowInsert {
  readonly #start: string;
  readonly #row: string;
  readonly #end: string;
  readonly #texts: string[] = [];

  constructor(table: string, columns: readonly string[], end = "") {
    this.#start = `INSERT INTO ${table} (${columns.join(", ")}) VALUES `;
    this.#row = `(${columns.map(() => "?").join(", ")})`;
    this.#end = end;
  }

  /** Answers the ids that the rows got, where the table counts them up and leaves none out. */
  run(transaction: Transaction, rows: readonly (readonly SqlValue[])[]): number[] {
    const ids: number[] = [];
    for (let from = 0; from < rows.length; from += ROWS_AT_ONCE) {
      const some = rows.slice(from, from + ROWS_AT_ONCE);
      const values: SqlValue[] = [];
      for (const row of some) values.push(...row);
      const { lastInsertRowid } = transaction.run(this.#text(some.length), ...values);
      // One statement numbers its rows in their order, without gaps.
      for (let left = some.length - 1; left >= 0; left--) ids.push(lastInsertRowid - left);
    }
    return ids;
  }

  #text(count: number): string {
    this.#texts[count] ??= `${this.#start}${Array(count).fill(this.#row).join(", ")}${this.#end}`;
    return this.#texts[count];
  }
}
