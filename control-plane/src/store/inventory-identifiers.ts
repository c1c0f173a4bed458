import type { Transaction } from "@isthmus/shared/store/transaction";

/** Finds records by ids that come in no order: clients' and Entra's. By their ends: whoever looks one up compares the whole as well. */

/** So many records apart, by their numbers, what is fresh is put to the rest: in its order, so that a page of the large table is written once. */
const RECORDS_APART = 8_192;

/** For an SQL text: the numbers of records with an id that may be one of these expressions. */
export function recordsEndingAs(...ids: readonly string[]): string {
  const endings = ids.map((id) => `substr(${id}, -6)`).join(", ");
  const tables = ["inventory_identifier", "inventory_fresh_identifier"];
  // Both by themselves: each is then looked up by its key.
  return tables
    .map((table) => `SELECT record_id FROM ${table} WHERE ending IN (${endings})`)
    .join(" UNION ALL ");
}

/** To be called with the numbers of the first and the last record that were just written. */
export function arrangeIdentifiers(transaction: Transaction, first: number, last: number): void {
  const isFull = Math.floor(first / RECORDS_APART) !== Math.floor((last + 1) / RECORDS_APART);
  if (!isFull) return;
  transaction.run(
    `INSERT OR IGNORE INTO inventory_identifier
     SELECT ending, record_id FROM inventory_fresh_identifier ORDER BY ending, record_id`,
  );
  transaction.run("DELETE FROM inventory_fresh_identifier");
}
