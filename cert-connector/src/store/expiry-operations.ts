import { recordAudit } from "@isthmus/shared/kernel/audit-operations";
import type { Migration, Transaction } from "@isthmus/shared/store/transaction";
import type { ExpiryWarning } from "../core/expiry-guard.ts";

/** What was warned of: one row for each end, with the smallest threshold so far. */
export const expiryMigrations: readonly Migration[] = [
  {
    id: "expiry-1",
    sql: `
      CREATE TABLE expiry_warning (
        what TEXT NOT NULL,
        not_after INTEGER NOT NULL,
        threshold_days REAL NOT NULL,
        PRIMARY KEY (what, not_after)
      ) STRICT, WITHOUT ROWID;
    `,
  },
];

/** Past its end a warning is kept this long; a thing that ended longer ago and is still there is warned of again. */
const KEPT_MS = 365 * 86_400_000;
/** Own limit on what one warning clears away. */
const MAX_PRUNED = 50;

/** Whether this threshold is new for this very end; then it is in the audit too, in the same transaction. */
export function recordExpiryWarning(tx: Transaction, warning: ExpiryWarning): boolean {
  const { what, title, notAfter, thresholdDays, remedy, at } = warning;
  const { changes } = tx.run(
    `INSERT INTO expiry_warning (what, not_after, threshold_days) VALUES (?, ?, ?)
     ON CONFLICT (what, not_after) DO UPDATE SET threshold_days = excluded.threshold_days
       WHERE excluded.threshold_days < expiry_warning.threshold_days`,
    what,
    notAfter,
    thresholdDays,
  );
  if (changes === 0) return false;
  prune(tx, at);
  const event = thresholdDays === 0 ? "expiry.passed" : "expiry.warning";
  const payload = { what, title, notAfter, thresholdDays, remedy };
  recordAudit(tx, { at, event, payload });
  return true;
}

function prune(tx: Transaction, at: number): void {
  const old = tx.all(
    `SELECT what, not_after FROM expiry_warning WHERE not_after < ? LIMIT ${MAX_PRUNED}`,
    at - KEPT_MS,
  );
  for (const row of old) {
    tx.run(
      "DELETE FROM expiry_warning WHERE what = ? AND not_after = ?",
      row["what"] as string,
      row["not_after"] as number,
    );
  }
}
