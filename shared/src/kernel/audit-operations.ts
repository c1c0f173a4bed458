import { ConnectorError, codeOf } from "../errors.ts";
import { appendToStream } from "../link/lane-operations.ts";
import type { AuditEntry } from "../link/messages.ts";
import { systemRandom } from "../random.ts";
import type { Migration, Row, Transaction } from "../store/transaction.ts";
import { auditHash, auditPayloadHash, FIRST_PREVIOUS_HASH } from "./audit-chain.ts";

/** The log stream that carries the chain to the control plane. */
export const AUDIT_STREAM = "audit";

/** Own limits. */
const MAX_PAYLOAD_BYTES = 16_384;
const MAX_EVENT_CHARACTERS = 128;
const MAX_PAGE = 1_000;
/** A receipt for a head vouches for every entry before it, so old receipts add nothing. */
const KEPT_RECEIPTS = 1_000;

export const auditMigrations: readonly Migration[] = [
  {
    id: "kernel-1-audit",
    sql: `
      CREATE TABLE audit_journal (
        idx INTEGER PRIMARY KEY,
        previous_hash TEXT NOT NULL,
        hash TEXT NOT NULL,
        at INTEGER NOT NULL,
        event TEXT NOT NULL,
        payload_hash TEXT NOT NULL,
        payload TEXT
      ) STRICT;
      CREATE TABLE audit_receipt (
        idx INTEGER PRIMARY KEY,
        hash TEXT NOT NULL,
        received_at INTEGER NOT NULL,
        jws TEXT NOT NULL
      ) STRICT;
    `,
  },
];

/** What happened: `event` is a constant such as `enrolment.issued`, `payload` JSON without any secret. */
export interface AuditRecord {
  readonly at: number;
  readonly event: string;
  readonly payload: Readonly<Record<string, unknown>>;
}

export interface AuditHead {
  readonly index: number;
  readonly hash: string;
}

export interface AuditReceipt extends AuditHead {
  readonly receivedAt: number;
  /** By the tenant key over `signedAuditHead`. */
  readonly jws: string;
}

/**
 * Adds a link to the chain, inside the transaction of what it is about. The payload gets a random `salt`, because the
 * hash stays when the payload is erased and few possible values could be tried one after another.
 *
 * @throws ConnectorError `audit-too-large` for a payload over 16 KiB.
 */
export function appendAudit(transaction: Transaction, record: AuditRecord): AuditEntry {
  const payload = { ...record.payload, salt: systemRandom.bytes(16).toString("base64url") };
  const payloadText = JSON.stringify(payload);
  if (Buffer.byteLength(payloadText) > MAX_PAYLOAD_BYTES) {
    throw new ConnectorError("audit-too-large", `audit payload exceeds ${MAX_PAYLOAD_BYTES} bytes`);
  }
  if (record.event.length > MAX_EVENT_CHARACTERS) {
    throw new ConnectorError("audit-too-large", `event name exceeds ${MAX_EVENT_CHARACTERS}`);
  }
  const head = auditHead(transaction);
  const chained = {
    index: (head?.index ?? 0) + 1,
    previousHash: head?.hash ?? FIRST_PREVIOUS_HASH,
    at: record.at,
    event: record.event,
    payloadHash: auditPayloadHash(payloadText),
  };
  const entry: AuditEntry = { ...chained, hash: auditHash(chained), payload };
  transaction.run(
    "INSERT INTO audit_journal (idx, previous_hash, hash, at, event, payload_hash, payload) VALUES (?, ?, ?, ?, ?, ?, ?)",
    entry.index,
    entry.previousHash,
    entry.hash,
    entry.at,
    entry.event,
    entry.payloadHash,
    payloadText,
  );
  return entry;
}

/** The newest link, or undefined in an empty chain. */
export function auditHead(transaction: Transaction): AuditHead | undefined {
  const row = transaction.get("SELECT idx, hash FROM audit_journal ORDER BY idx DESC LIMIT 1");
  return row && { index: Number(row["idx"]), hash: String(row["hash"]) };
}

/** An entry as stored: the payload as text, or undefined where it was erased. */
export interface StoredAuditEntry extends Omit<AuditEntry, "payload"> {
  readonly payloadText: string | undefined;
}

/** Up to 1,000 entries after `after`, in order. */
export function auditPage(transaction: Transaction, after: number): StoredAuditEntry[] {
  return transaction
    .all(
      "SELECT idx, previous_hash, hash, at, event, payload_hash, payload FROM audit_journal WHERE idx > ? ORDER BY idx LIMIT ?",
      after,
      MAX_PAGE,
    )
    .map(storedEntry);
}

/** One entry, or undefined. */
export function auditEntryAt(
  transaction: Transaction,
  index: number,
): StoredAuditEntry | undefined {
  const row = transaction.get("SELECT * FROM audit_journal WHERE idx = ?", index);
  return row && storedEntry(row);
}

function storedEntry(row: Row): StoredAuditEntry {
  return {
    index: Number(row["idx"]),
    previousHash: String(row["previous_hash"]),
    hash: String(row["hash"]),
    at: Number(row["at"]),
    event: String(row["event"]),
    payloadHash: String(row["payload_hash"]),
    payloadText: row["payload"] === null ? undefined : String(row["payload"]),
  };
}

/** Erases the payloads of a connector's entries before `before` (ms); the chain stays whole. Returns how many. */
export function eraseAuditPayloads(transaction: Transaction, before: number): number {
  eraseStreamPayloads(transaction, before);
  const sql = "UPDATE audit_journal SET payload = NULL WHERE at < ? AND payload IS NOT NULL";
  return transaction.run(sql, before).changes;
}

/** The same entries as they wait for the control plane; page by page, since the two databases differ in their JSON. */
function eraseStreamPayloads(transaction: Transaction, before: number): void {
  let last = 0;
  for (;;) {
    const rows = transaction.all(
      "SELECT position, entry FROM stream_entry WHERE stream = ? AND at < ? AND position > ? ORDER BY position LIMIT ?",
      AUDIT_STREAM,
      before,
      last,
      MAX_PAGE,
    );
    for (const row of rows) {
      last = Number(row["position"]);
      const { payload, ...entry } = JSON.parse(String(row["entry"])) as Record<string, unknown>;
      if (payload === undefined) continue;
      const text = JSON.stringify(entry);
      transaction.run("UPDATE stream_entry SET entry = ? WHERE position = ?", text, last);
    }
    if (rows.length < MAX_PAGE) return;
  }
}

/** Keeps a countersigned head, already verified by the caller, among the newest 1,000. */
export function storeAuditReceipt(transaction: Transaction, receipt: AuditReceipt): void {
  transaction.run(
    `INSERT INTO audit_receipt (idx, hash, received_at, jws) VALUES (?, ?, ?, ?)
     ON CONFLICT (idx) DO UPDATE SET
       hash = excluded.hash, received_at = excluded.received_at, jws = excluded.jws`,
    receipt.index,
    receipt.hash,
    receipt.receivedAt,
    receipt.jws,
  );
  transaction.run(
    "DELETE FROM audit_receipt WHERE idx <= (SELECT idx FROM audit_receipt ORDER BY idx DESC LIMIT 1 OFFSET ?)",
    KEPT_RECEIPTS,
  );
}

/** The kept receipts, oldest first. */
export function auditReceipts(transaction: Transaction): AuditReceipt[] {
  return transaction
    .all("SELECT idx, hash, received_at, jws FROM audit_receipt ORDER BY idx LIMIT ?", MAX_PAGE)
    .map((row) => ({
      index: Number(row["idx"]),
      hash: String(row["hash"]),
      receivedAt: Number(row["received_at"]),
      jws: String(row["jws"]),
    }));
}

/**
 * Adds a link to the chain and to the `audit` stream; to be called by any operation of a connector, inside its
 * transaction. Where the stream is full (the control plane has been away for very long) the chain goes on without it:
 * the control plane will see that entries are missing, and here none is.
 */
export function recordAudit(transaction: Transaction, record: AuditRecord): void {
  const entry = appendAudit(transaction, record);
  try {
    appendToStream(transaction, { stream: AUDIT_STREAM, at: record.at, entry });
  } catch (error) {
    if (codeOf(error) !== "stream-full") throw error;
  }
}
