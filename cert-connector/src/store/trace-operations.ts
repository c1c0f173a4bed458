import type { Migration, Row, Transaction } from "@isthmus/shared/store/transaction";
import type { TracedMessage } from "../core/enrolment-trace.ts";

/** What devices' messages came to, one row each; read by transaction, or by device where no certificate came of it. */
export const traceMigrations: readonly Migration[] = [
  {
    id: "trace-1",
    sql: `
      CREATE TABLE trace_message (
        id INTEGER PRIMARY KEY,
        transaction_id TEXT NOT NULL,
        device_id TEXT,
        at INTEGER NOT NULL,
        message_json TEXT NOT NULL
      ) STRICT;
      CREATE INDEX trace_message_by_transaction ON trace_message (transaction_id, id);
      CREATE INDEX trace_message_by_device
        ON trace_message (device_id, id) WHERE device_id IS NOT NULL;
    `,
  },
];

/** One message, written out already: `text` is its JSON without the columns. */
export interface TraceRow {
  readonly transactionId: string;
  readonly deviceId: string | undefined;
  readonly at: number;
  readonly text: string;
}

/** Our own limits: about 400 bytes each. */
const MAX_TRACED_MESSAGES = 250_000;
const KEPT_MS = 30 * 86_400_000;
/** So many old ones go for each new one, until the bounds hold again. */
const PRUNED_FOR_EACH = 4;

/** Keeps messages and lets as many old ones go, in one transaction. `maximum` is set in tests of the limit. */
export function keepTraces(
  tx: Transaction,
  of: { readonly rows: readonly TraceRow[]; readonly at: number; readonly maximum?: number },
): void {
  let newest = 0;
  for (const row of of.rows) {
    const { lastInsertRowid } = tx.run(
      "INSERT INTO trace_message (transaction_id, device_id, at, message_json) VALUES (?, ?, ?, ?)",
      row.transactionId,
      row.deviceId ?? null,
      row.at,
      row.text,
    );
    newest = lastInsertRowid;
  }
  const lastOver = newest - (of.maximum ?? MAX_TRACED_MESSAGES);
  tx.run(
    `DELETE FROM trace_message WHERE id IN (
       SELECT id FROM (SELECT id, at FROM trace_message ORDER BY id LIMIT ?) AS oldest WHERE id <= ? OR at < ?)`,
    of.rows.length * PRUNED_FOR_EACH,
    lastOver,
    of.at - KEPT_MS,
  );
}

/** The message of a row that this code wrote. */
export function tracedMessage(row: Row): TracedMessage {
  const deviceId = row["device_id"] as string | null;
  return {
    ...(JSON.parse(row["message_json"] as string) as Omit<TracedMessage, "transactionId" | "at">),
    transactionId: row["transaction_id"] as string,
    at: row["at"] as number,
    ...(deviceId !== null && { deviceId }),
  };
}
