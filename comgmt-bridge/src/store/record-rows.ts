import type { Row, Transaction } from "@isthmus/shared/store/transaction";
import type { KeyBounds } from "../core/inventory-state.ts";
import { numberOf } from "./kind-state.ts";

/** A record as its row has it. */
export interface RecordRow {
  readonly number: number;
  readonly key: string;
  readonly facets: string;
  readonly digest: string;
  /** Undefined while it is there. */
  readonly missedAfter: number | undefined;
  readonly isSuspected: boolean;
  readonly isWanted: boolean;
}

const COLUMNS = "number, key, facets, digest, missed_after, is_suspected, is_wanted";

/** The rows of a range, however many they are: those who read a range hold all its records at once, too. */
export function rowsOfRange(
  transaction: Transaction,
  kindId: number,
  { after, through }: KeyBounds,
): RecordRow[] {
  return transaction
    .all(
      `SELECT ${COLUMNS} FROM record_state WHERE kind_id = ? AND number > ? AND number <= ?`,
      kindId,
      after,
      through,
    )
    .map(fromRow);
}

export function findRecord(
  transaction: Transaction,
  kindId: number,
  key: string,
): RecordRow | undefined {
  const row = transaction.get(
    `SELECT ${COLUMNS} FROM record_state WHERE kind_id = ? AND number = ? AND key = ?`,
    kindId,
    numberOf(key),
    key,
  );
  return row && fromRow(row);
}

function fromRow(row: Row): RecordRow {
  const missedAfter = row["missed_after"];
  return {
    number: row["number"] as number,
    key: row["key"] as string,
    facets: row["facets"] as string,
    digest: row["digest"] as string,
    missedAfter: missedAfter === null ? undefined : (missedAfter as number),
    isSuspected: row["is_suspected"] === 1,
    isWanted: row["is_wanted"] === 1,
  };
}

export function insertRecord(
  transaction: Transaction,
  kindId: number,
  row: {
    readonly key: string;
    readonly facets: string;
    readonly digest: string;
    readonly bucket: number;
    readonly isSuspected: boolean;
    readonly isWanted: boolean;
  },
): void {
  transaction.run(
    `INSERT INTO record_state (kind_id, number, key, facets, digest, bucket, is_suspected, is_wanted)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    kindId,
    numberOf(row.key),
    row.key,
    row.facets,
    row.digest,
    row.bucket,
    row.isSuspected ? 1 : 0,
    row.isWanted ? 1 : 0,
  );
}

/** Notes a record that was found: whatever was held against it is no more. */
export function updateFoundRecord(
  transaction: Transaction,
  kindId: number,
  row: Pick<RecordRow, "number" | "key" | "facets" | "digest" | "isWanted">,
): void {
  transaction.run(
    `UPDATE record_state SET facets = ?, digest = ?, is_wanted = ?, is_suspected = 0,
       missed_after = NULL, missed_at = NULL, waits = 0, approved_by = NULL
     WHERE kind_id = ? AND number = ? AND key = ?`,
    row.facets,
    row.digest,
    row.isWanted ? 1 : 0,
    kindId,
    row.number,
    row.key,
  );
}

export function deleteRecord(
  transaction: Transaction,
  kindId: number,
  { number, key }: Pick<RecordRow, "number" | "key">,
): void {
  transaction.run(
    "DELETE FROM record_state WHERE kind_id = ? AND number = ? AND key = ?",
    kindId,
    number,
    key,
  );
}

/** A record that its range did not have: missing since the scan that goes on after `completeScans`, unless it has been for longer. */
export function missRecord(
  transaction: Transaction,
  kindId: number,
  { number, key }: Pick<RecordRow, "number" | "key">,
  of: { readonly completeScans: number; readonly at: number },
): void {
  transaction.run(
    `UPDATE record_state SET missed_after = coalesce(missed_after, ?), missed_at = ?
     WHERE kind_id = ? AND number = ? AND key = ?`,
    of.completeScans,
    of.at,
    kindId,
    number,
    key,
  );
}

/** All of a range that is missing was not there once more. */
export function missAgain(
  transaction: Transaction,
  kindId: number,
  { after, through }: KeyBounds,
  at: number,
): void {
  transaction.run(
    `UPDATE record_state INDEXED BY record_state_missing SET missed_at = ?
     WHERE kind_id = ? AND number > ? AND number <= ? AND missed_after IS NOT NULL`,
    at,
    kindId,
    after,
    through,
  );
}
