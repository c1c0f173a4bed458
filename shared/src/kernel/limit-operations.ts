import { RefusalError } from "../errors.ts";
import type { Migration, Transaction } from "../store/transaction.ts";

/** A window is counted in this many steps, so that a limit of a million costs no more rows than one of ten. */
const STEPS_PER_WINDOW = 120;

export const limitMigrations: readonly Migration[] = [
  {
    id: "kernel-2-limits",
    sql: `
      CREATE TABLE limit_use (
        kind TEXT NOT NULL,
        step_ends_at INTEGER NOT NULL,
        count INTEGER NOT NULL,
        PRIMARY KEY (kind, step_ends_at)
      ) STRICT, WITHOUT ROWID;
    `,
  },
];

export interface LimitUse {
  readonly kind: string;
  /** How many are wanted, whole or not at all. */
  readonly count: number;
  readonly max: number;
  readonly windowMs: number;
  readonly now: number;
}

/**
 * Counts a use against a sliding window. A use leaves the window when the step it fell in has left it as a whole, up to
 * 1/120 of the window late, never early; uses dated in the future (the clock was set back) count as well.
 *
 * @throws RefusalError `limit-exceeded`, rule `guardrails.commands.limits.<kind>`.
 */
export function consumeLimit(transaction: Transaction, use: LimitUse): void {
  const { kind, count, max, windowMs, now } = use;
  const stepMs = Math.max(1, Math.ceil(windowMs / STEPS_PER_WINDOW));
  transaction.run(
    "DELETE FROM limit_use WHERE kind = ? AND step_ends_at <= ?",
    kind,
    now - windowMs,
  );
  const row = transaction.get(
    "SELECT coalesce(sum(count), 0) AS used FROM limit_use WHERE kind = ?",
    kind,
  );
  const used = Number(row?.["used"]);
  if (used + count > max) {
    throw new RefusalError(
      "limit-exceeded",
      `guardrails.commands.limits.${kind}`,
      `${count} more of ${kind} exceed the limit of ${max} in ${windowMs / 60_000} minutes, ${used} are used`,
    );
  }
  transaction.run(
    `INSERT INTO limit_use (kind, step_ends_at, count) VALUES (?, ?, ?)
     ON CONFLICT (kind, step_ends_at) DO UPDATE SET count = limit_use.count + excluded.count`,
    kind,
    (Math.floor(now / stepMs) + 1) * stepMs,
    count,
  );
}
