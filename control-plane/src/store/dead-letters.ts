import type { Migration, Transaction } from "@isthmus/shared/store/transaction";
import { recordConnectorEvent } from "./connector-sessions.ts";

/**
 * Entries that could not be taken, kept with their bytes for a person to look at. Few are enough to see what is wrong: a connector that
 * sends nothing else must not fill the disk with them.
 */

/** Own limits of one connector. */
export const MAX_DEAD_LETTERS = 10_000;
export const MAX_DEAD_LETTER_OCTETS = 50_000_000;
const TOLD_EVERY_MS = 3_600_000;
const FULL = "dead-letters.full";

export interface DeadLetter {
  readonly connectorId: string;
  readonly stream: string;
  readonly seq: number;
  readonly code: string;
  readonly bytes: Uint8Array;
  readonly now: number;
}

/** Keeps one where there is room; the connector is told that its entry was rejected in any case. */
export function keepDeadLetter(transaction: Transaction, letter: DeadLetter): void {
  const { connectorId, stream, seq, code, bytes, now } = letter;
  const kept = transaction.get(
    "SELECT letters, octets FROM dead_letter_usage WHERE connector_id = ?",
    connectorId,
  );
  const isFull =
    Number(kept?.["letters"] ?? 0) >= MAX_DEAD_LETTERS ||
    Number(kept?.["octets"] ?? 0) + bytes.length > MAX_DEAD_LETTER_OCTETS;
  if (isFull) {
    tellFull(transaction, letter);
    return;
  }
  transaction.run(
    "INSERT INTO dead_letter (connector_id, stream, seq, code, bytes, at) VALUES (?, ?, ?, ?, ?, ?)",
    connectorId,
    stream,
    seq,
    code,
    bytes,
    now,
  );
}

function tellFull(transaction: Transaction, { connectorId, stream, code, now }: DeadLetter): void {
  const told = transaction.get(
    "SELECT 1 FROM connector_event WHERE connector_id = ? AND at > ? AND event = ? LIMIT 1",
    connectorId,
    now - TOLD_EVERY_MS,
    FULL,
  );
  if (told !== undefined) return;
  const detail = `${stream}: ${code}; no more entries that cannot be taken are kept of it`;
  recordConnectorEvent(transaction, connectorId, now, FULL, detail);
}

/** Rejected entries are rare, so triggers may count them: whatever takes them away, the figures are right. */
export const deadLetterMigrations: readonly Migration[] = [
  {
    id: "dead-letter-1-usage",
    sql: `
      CREATE TABLE dead_letter_usage (
        connector_id TEXT PRIMARY KEY,
        letters INTEGER NOT NULL,
        octets INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;
      INSERT INTO dead_letter_usage SELECT connector_id, count(*), sum(length(bytes)) FROM dead_letter GROUP BY connector_id;
      CREATE TRIGGER dead_letter_kept AFTER INSERT ON dead_letter BEGIN
        INSERT INTO dead_letter_usage (connector_id, letters, octets) VALUES (NEW.connector_id, 1, length(NEW.bytes))
          ON CONFLICT (connector_id) DO UPDATE SET letters = letters + 1, octets = octets + excluded.octets;
      END;
      CREATE TRIGGER dead_letter_gone AFTER DELETE ON dead_letter BEGIN
        UPDATE dead_letter_usage SET letters = letters - 1, octets = octets - length(OLD.bytes)
          WHERE connector_id = OLD.connector_id;
      END;
    `,
  },
];
