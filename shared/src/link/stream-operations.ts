import { ConnectorError, ProtocolError } from "../errors.ts";
import type { Row, Transaction } from "../store/transaction.ts";
import { INVENTORY_STREAM } from "./inventory-messages.ts";
import { MAX_ENTRY_BYTES, MAX_STREAMS } from "./messages.ts";

/** Own limit: entries of one stream that the control plane has not acknowledged. */
export const MAX_UNACKED_ENTRIES = 1_000_000;
/** Entries removed by one pruning. */
const MAX_PRUNED = 10_000;
const HOUR_MS = 3_600_000;
/** What a restored control plane misses of these is found by a digest and told anew, so they are not kept once acknowledged. */
const KEPT_UNTIL_ACKNOWLEDGED: ReadonlySet<string> = new Set([INVENTORY_STREAM]);

/** Consecutive entries of a stream, ready to be sent. */
export interface StreamBatch {
  readonly firstSeq: number;
  readonly lines: readonly string[];
  /** Whether entries between those asked for and these are gone by retention. */
  readonly isAfterPruned: boolean;
  /** Whether more entries wait behind these. */
  readonly hasMore: boolean;
}

/**
 * Puts an entry into a log stream, in the transaction of what it tells about. Its place in the journal is the
 * row id, which is worth asking for only where it is needed: it may cost a round trip. Throws `entry-too-large`, `stream-full` (retryable: the control plane has been away for very long).
 */
export function appendToStream(
  transaction: Transaction,
  { stream, at, entry }: { readonly stream: string; readonly at: number; readonly entry: unknown },
): Pick<ReturnType<Transaction["run"]>, "lastInsertRowid"> {
  return appendLineToStream(transaction, { stream, at, line: JSON.stringify(entry) });
}

/** The same for an entry that is JSON text already: one line, as `JSON.stringify` gives it. */
export function appendLineToStream(
  transaction: Transaction,
  of: { readonly stream: string; readonly at: number; readonly line: string },
): Pick<ReturnType<Transaction["run"]>, "lastInsertRowid"> {
  const { line } = of;
  if (Buffer.byteLength(line) > MAX_ENTRY_BYTES) {
    throw new ConnectorError(
      "entry-too-large",
      `entry of ${line.length} characters for stream ${of.stream} exceeds ${MAX_ENTRY_BYTES}`,
    );
  }
  const stream = streamOf(transaction, of.stream);
  if (stream.unsequenced + stream.lastSeq - stream.ackedSeq >= MAX_UNACKED_ENTRIES) {
    throw new ConnectorError(
      "stream-full",
      `${MAX_UNACKED_ENTRIES} entries of stream ${of.stream} wait for the control plane`,
      { isRetryable: true },
    );
  }
  transaction.run("UPDATE stream SET unsequenced = unsequenced + 1 WHERE name = ?", of.stream);
  return transaction.run(
    "INSERT INTO stream_entry (stream, at, entry) VALUES (?, ?, ?)",
    of.stream,
    of.at,
    line,
  );
}

interface StreamRow {
  readonly lastSeq: number;
  readonly ackedSeq: number;
  readonly unsequenced: number;
}

function streamOf(transaction: Transaction, name: string): StreamRow {
  const row = findStream(transaction, name);
  if (row !== undefined) return row;
  const { count } = transaction.get("SELECT count(*) AS count FROM stream") as { count: number };
  if (count >= MAX_STREAMS) {
    throw new ConnectorError("streams-too-many", `stream ${name} would be one over ${MAX_STREAMS}`);
  }
  transaction.run("INSERT INTO stream (name) VALUES (?)", name);
  return { lastSeq: 0, ackedSeq: 0, unsequenced: 0 };
}

function findStream(transaction: Transaction, name: string): StreamRow | undefined {
  const row = transaction.get("SELECT * FROM stream WHERE name = ?", name);
  return row && streamRow(row);
}

function streamRow(row: Row): StreamRow {
  return {
    lastSeq: Number(row["last_seq"]),
    ackedSeq: Number(row["acked_seq"]),
    unsequenced: Number(row["unsequenced"]),
  };
}

/** Every stream and the highest seq given in it. */
export function lastSeqs(transaction: Transaction): Record<string, number> {
  const rows = transaction.all("SELECT name, last_seq FROM stream LIMIT ?", MAX_STREAMS);
  return Object.fromEntries(rows.map((row) => [String(row["name"]), Number(row["last_seq"])]));
}

/**
 * The entries after `afterSeq`: first those that have a seq, then new ones, which get theirs here, so that the order of
 * sending is the order of committing. At least one entry whatever its size; undefined when there is none.
 */
function takeStreamBatch(
  transaction: Transaction,
  of: {
    readonly stream: string;
    readonly afterSeq: number;
    readonly maxEntries: number;
    readonly maxBytes: number;
  },
): StreamBatch | undefined {
  const stream = findStream(transaction, of.stream);
  if (stream === undefined) return undefined;
  const budget = new BatchBudget(of.maxEntries, of.maxBytes);
  const firstSeq = takeSequenced(transaction, of, budget);
  const reached = firstSeq === undefined ? stream.lastSeq : firstSeq + budget.lines.length - 1;
  const given = reached === stream.lastSeq ? giveSeqs(transaction, of.stream, stream, budget) : 0;
  if (budget.lines.length === 0) return undefined;
  const first = firstSeq ?? stream.lastSeq + 1;
  return {
    firstSeq: first,
    lines: budget.lines,
    isAfterPruned: first > of.afterSeq + 1,
    hasMore: reached < stream.lastSeq || given < stream.unsequenced,
  };
}

/** Collects lines while they fit. */
class BatchBudget {
  readonly lines: string[] = [];
  readonly maxEntries: number;
  #bytesLeft: number;

  constructor(maxEntries: number, maxBytes: number) {
    this.maxEntries = maxEntries;
    this.#bytesLeft = maxBytes;
  }

  get entriesLeft(): number {
    return this.maxEntries - this.lines.length;
  }

  add(line: string): boolean {
    const bytes = Buffer.byteLength(line) + 1;
    if (this.lines.length > 0 && bytes > this.#bytesLeft) return false;
    this.#bytesLeft -= bytes;
    this.lines.push(line);
    return true;
  }
}

function takeSequenced(
  transaction: Transaction,
  { stream, afterSeq }: { readonly stream: string; readonly afterSeq: number },
  budget: BatchBudget,
): number | undefined {
  const rows = transaction.all(
    "SELECT seq, entry FROM stream_entry WHERE stream = ? AND seq > ? ORDER BY seq LIMIT ?",
    stream,
    afterSeq,
    budget.entriesLeft,
  );
  const firstSeq = rows[0] && Number(rows[0]["seq"]);
  for (const [index, row] of rows.entries()) {
    const isNext = Number(row["seq"]) === Number(firstSeq) + index;
    if (!(isNext && budget.add(String(row["entry"])))) break;
  }
  return firstSeq;
}

function giveSeqs(
  transaction: Transaction,
  name: string,
  stream: StreamRow,
  budget: BatchBudget,
): number {
  if (stream.unsequenced === 0 || budget.entriesLeft === 0) return 0;
  const rows = transaction.all(
    "SELECT position, entry FROM stream_entry WHERE stream = ? AND seq IS NULL ORDER BY position LIMIT ?",
    name,
    budget.entriesLeft,
  );
  const overflow = rows.findIndex((row) => !budget.add(String(row["entry"])));
  const taken = overflow === -1 ? rows : rows.slice(0, overflow);
  for (const [index, row] of taken.entries()) {
    transaction.run(
      "UPDATE stream_entry SET seq = ? WHERE position = ?",
      stream.lastSeq + index + 1,
      Number(row["position"]),
    );
  }
  transaction.run(
    "UPDATE stream SET last_seq = last_seq + ?, unsequenced = unsequenced - ? WHERE name = ?",
    taken.length,
    taken.length,
    name,
  );
  return taken.length;
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
  for (const { seq, code } of of.rejected) {
    transaction.run(
      "INSERT INTO stream_rejected (stream, seq, code, at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
      of.stream,
      seq,
      code,
      of.at,
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
