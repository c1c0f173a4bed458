import { zstdDecompressSync } from "node:zlib";
import { ConnectorError, ProtocolError } from "../errors.ts";
import type { Row, Transaction } from "../store/transaction.ts";
import { packLine } from "./batch-frame.ts";
import { INVENTORY_STREAM } from "./inventory-messages.ts";
import { MAX_ENTRY_BYTES, MAX_STREAMS } from "./messages.ts";
import { takeStreamBatch } from "./stream-batches.ts";
import { findStream, streamOf } from "./stream-rows.ts";

/** Own limit: entries of one stream that the control plane has not acknowledged. */
export const MAX_UNACKED_ENTRIES = 1_000_000;
/** Own limit: rejected entries of one stream that are noted, to be counted; what is above it is in the log alone. */
export const MAX_REJECTED_NOTED = 10_000;
/** Own choice: a longer line of a stream of bulk is worth being compressed by itself. */
const MAX_PLAIN_BYTES = 4_096;
/** Entries removed by one pruning. */
const MAX_PRUNED = 10_000;
const HOUR_MS = 3_600_000;
/** What a restored control plane misses of these is found by a digest and told anew, so they are not kept once acknowledged. */
const KEPT_UNTIL_ACKNOWLEDGED: ReadonlySet<string> = new Set([INVENTORY_STREAM]);

/**
 * Puts an entry into a log stream, in the transaction of what it tells about. Its place in the journal is the
 * row id, which is worth asking for only where it is needed: it may cost a round trip. Throws `entry-too-large`, `stream-full` (retryable: the control plane has been away for very long).
 */
export function appendToStream(
  transaction: Transaction,
  { stream, at, entry }: { readonly stream: string; readonly at: number; readonly entry: unknown },
): Pick<ReturnType<Transaction["run"]>, "lastInsertRowid"> {
  const line = JSON.stringify(entry);
  return insertEntry(transaction, { stream, at, line, bytes: Buffer.byteLength(line) });
}

/**
 * The same for an entry that is JSON text already, one line as `JSON.stringify` gives it, in UTF-8. One of more than 4 KiB is compressed here and
 * goes up by itself: what is written, read again and handed from thread to thread is a tenth of it then.
 */
export function appendPackedToStream(
  transaction: Transaction,
  { stream, at, raw }: { readonly stream: string; readonly at: number; readonly raw: Buffer },
): void {
  const bytes = raw.length;
  if (bytes <= MAX_PLAIN_BYTES) {
    insertEntry(transaction, { stream, at, line: raw.toString(), bytes });
    return;
  }
  refuseTooLarge(stream, bytes);
  const packed = packLine(raw);
  admit(transaction, stream);
  const { lastInsertRowid } = transaction.run(
    "INSERT INTO stream_entry (stream, at, entry, raw_bytes) VALUES (?, ?, '', ?)",
    stream,
    at,
    bytes,
  );
  transaction.run(
    "INSERT INTO packed_entry (position, bytes) VALUES (?, ?)",
    lastInsertRowid,
    packed,
  );
}

/** What `lineOf` reads: `SELECT entry, bytes FROM ...`. */
export const STORED_ENTRIES = "stream_entry LEFT JOIN packed_entry USING (position)";

/** The JSON text of a row of `STORED_ENTRIES`. */
export function lineOf({ entry, bytes }: Row): string {
  if (!(bytes instanceof Uint8Array)) return String(entry);
  return zstdDecompressSync(bytes, { maxOutputLength: MAX_ENTRY_BYTES }).toString("utf8");
}

function insertEntry(
  transaction: Transaction,
  of: {
    readonly stream: string;
    readonly at: number;
    readonly line: string;
    readonly bytes: number;
  },
): Pick<ReturnType<Transaction["run"]>, "lastInsertRowid"> {
  refuseTooLarge(of.stream, of.bytes);
  admit(transaction, of.stream);
  return transaction.run(
    "INSERT INTO stream_entry (stream, at, entry) VALUES (?, ?, ?)",
    of.stream,
    of.at,
    of.line,
  );
}

function refuseTooLarge(stream: string, bytes: number): void {
  if (bytes <= MAX_ENTRY_BYTES) return;
  throw new ConnectorError(
    "entry-too-large",
    `entry of ${bytes} bytes for stream ${stream} exceeds ${MAX_ENTRY_BYTES}`,
  );
}

/** Counts one more entry in. */
function admit(transaction: Transaction, name: string): void {
  const stream = streamOf(transaction, name);
  if (stream.unsequenced + stream.lastSeq - stream.ackedSeq >= MAX_UNACKED_ENTRIES) {
    throw new ConnectorError(
      "stream-full",
      `${MAX_UNACKED_ENTRIES} entries of stream ${name} wait for the control plane`,
      { isRetryable: true },
    );
  }
  transaction.run("UPDATE stream SET unsequenced = unsequenced + 1 WHERE name = ?", name);
}

/** Every stream and the highest seq given in it. */
export function lastSeqs(transaction: Transaction): Record<string, number> {
  const rows = transaction.all("SELECT name, last_seq FROM stream LIMIT ?", MAX_STREAMS);
  return Object.fromEntries(rows.map((row) => [String(row["name"]), Number(row["last_seq"])]));
}

/** Notes what the control plane has stored or refused. Throws ProtocolError `ack-ahead` for what was never sent. */
function acknowledgeStream(
  transaction: Transaction,
  of: {
    readonly stream: string;
    readonly seq: number;
    readonly rejected: readonly { readonly seq: number; readonly code: string }[];
    readonly at: number;
  },
): void {
  const stream = findStream(transaction, of.stream);
  if (stream === undefined || of.seq > stream.lastSeq) {
    throw new ProtocolError("ack-ahead", `ack of ${of.stream} ${of.seq}, which was never sent`);
  }
  setAcknowledged(transaction, of.stream, Math.max(of.seq, stream.ackedSeq), of.at);
  if (KEPT_UNTIL_ACKNOWLEDGED.has(of.stream)) {
    transaction.run("DELETE FROM stream_entry WHERE stream = ? AND seq <= ?", of.stream, of.seq);
  }
  noteRejected(transaction, of);
}

function noteRejected(
  transaction: Transaction,
  { stream, seq: last, rejected, at }: Parameters<typeof acknowledgeStream>[1],
): void {
  if (rejected.length === 0) return;
  const sql = "SELECT count(*) AS n FROM stream_rejected WHERE stream = ?";
  const room = MAX_REJECTED_NOTED - Number(transaction.get(sql, stream)?.["n"]);
  for (const { seq, code } of rejected
    .filter(({ seq }) => seq <= last)
    .slice(0, Math.max(0, room))) {
    transaction.run(
      "INSERT INTO stream_rejected (stream, seq, code, at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
      stream,
      seq,
      code,
      at,
    );
  }
}

function setAcknowledged(transaction: Transaction, name: string, seq: number, at: number): void {
  transaction.run("UPDATE stream SET acked_seq = ? WHERE name = ?", seq, name);
  transaction.run(
    `INSERT INTO stream_ack (stream, hour, seq) VALUES (?, ?, ?)
     ON CONFLICT (stream, hour) DO UPDATE SET seq = excluded.seq`,
    name,
    Math.floor(at / HOUR_MS),
    seq,
  );
}

/**
 * Takes over what a control plane has stored of each stream. Behind what it once acknowledged: it was restored, and gets the
 * rest again. Ahead of what was ever sent: this side was restored, and goes on after it; the entries that have a seq are
 * among those stored. Throws ProtocolError `welcome-contradicts` where that is so without a new epoch.
 */
export function adoptCursors(
  transaction: Transaction,
  of: {
    readonly lastAppliedSeq: Readonly<Record<string, number>>;
    readonly isNewEpoch: boolean;
    readonly at: number;
  },
): Record<string, number> {
  const cursors: Record<string, number> = {};
  for (const [name, applied] of Object.entries(of.lastAppliedSeq)) {
    const { lastSeq } = streamOf(transaction, name);
    if (applied > lastSeq) {
      if (!of.isNewEpoch) {
        throw new ProtocolError("welcome-contradicts", `${name} ${applied} was never sent`);
      }
      transaction.run("UPDATE stream SET last_seq = ? WHERE name = ?", applied, name);
    }
  }
  for (const name of Object.keys(lastSeqs(transaction))) {
    const applied = of.lastAppliedSeq[name] ?? 0;
    setAcknowledged(transaction, name, applied, of.at);
    cursors[name] = applied;
  }
  return cursors;
}

/** Removes entries whose acknowledgement is older than `retentionMs`, at most 10,000 of each stream. */
export function pruneStreams(
  transaction: Transaction,
  of: { readonly now: number; readonly retentionMs: number },
): void {
  const hour = Math.floor((of.now - of.retentionMs) / HOUR_MS);
  const rows = transaction.all(
    "SELECT stream, max(seq) AS seq FROM stream_ack WHERE hour < ? GROUP BY stream LIMIT ?",
    hour,
    MAX_STREAMS,
  );
  for (const row of rows) {
    const name = String(row["stream"]);
    // A control plane that was restored has moved the acknowledgement back: what it lacks stays.
    const acked = findStream(transaction, name)?.ackedSeq ?? 0;
    transaction.run(
      `DELETE FROM stream_entry WHERE position IN
         (SELECT position FROM stream_entry WHERE stream = ? AND seq <= ? ORDER BY seq LIMIT ?)`,
      name,
      Math.min(acked, Number(row["seq"])),
      MAX_PRUNED,
    );
    transaction.run(
      "DELETE FROM stream_ack WHERE stream = ? AND hour < ? AND seq < ?",
      name,
      hour,
      Number(row["seq"]),
    );
  }
}

/** Counts and cursors of every stream, for health and status. */
function streamFigures(transaction: Transaction) {
  return transaction
    .all(
      `SELECT name, last_seq, acked_seq, unsequenced,
         (SELECT count(*) FROM stream_rejected WHERE stream = stream.name) AS rejected
       FROM stream LIMIT ?`,
      MAX_STREAMS,
    )
    .map((row) => ({
      stream: String(row["name"]),
      unackedEntries:
        Number(row["last_seq"]) - Number(row["acked_seq"]) + Number(row["unsequenced"]),
      rejectedEntries: Number(row["rejected"]),
    }));
}

/** The up-lane's share of a store. */
export const streamOperations = {
  takeStreamBatch,
  acknowledgeStream,
  streamFigures,
};
