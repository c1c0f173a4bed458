import type { Transaction } from "../store/transaction.ts";

/** Entries of each stream that a connector without a control plane keeps, should it be enrolled one day. */
const KEPT_ENTRIES = 10_000;

/** Bounds the streams of a standalone connector, which nobody acknowledges: the oldest entries go. */
export function trimStandaloneStreams(transaction: Transaction): void {
  const streams = transaction.all("SELECT name FROM stream LIMIT 100");
  for (const { name } of streams) {
    const stream = String(name);
    const oldest = transaction.get(
      "SELECT position FROM stream_entry WHERE stream = ? AND seq IS NULL ORDER BY position DESC LIMIT 1 OFFSET ?",
      stream,
      KEPT_ENTRIES,
    );
    if (oldest === undefined) continue;
    const { changes } = transaction.run(
      "DELETE FROM stream_entry WHERE stream = ? AND seq IS NULL AND position <= ?",
      stream,
      Number(oldest["position"]),
    );
    transaction.run(
      "UPDATE stream SET unsequenced = unsequenced - ? WHERE name = ?",
      changes,
      stream,
    );
  }
}
