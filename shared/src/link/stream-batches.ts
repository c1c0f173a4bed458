import type { Row, Transaction } from "../store/transaction.ts";
import type { Packed } from "./batch-frame.ts";
import { findStream, type StreamRow } from "./stream-rows.ts";

/** Consecutive entries of a stream, ready to be sent. */
export interface StreamBatch {
  readonly firstSeq: number;
  readonly lines: readonly string[];
  /** In place of lines: one entry, compressed already. */
  readonly packed?: Packed;
  /** Whether entries between those asked for and these are gone by retention. */
  readonly isAfterPruned: boolean;
  /** Whether more entries wait behind these. */
  readonly hasMore: boolean;
}

/**
 * The entries after `afterSeq`: first those that have a seq, then new ones, which get theirs here, so that the order of
 * sending is the order of committing. At least one entry whatever its size, and a packed one alone; undefined when there is none.
 */
export function takeStreamBatch(
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
  const reached = firstSeq === undefined ? stream.lastSeq : firstSeq + budget.entries - 1;
  const given = reached === stream.lastSeq ? giveSeqs(transaction, of.stream, stream, budget) : 0;
  if (budget.entries === 0) return undefined;
  const first = firstSeq ?? stream.lastSeq + 1;
  return {
    firstSeq: first,
    ...readEntries(transaction, of.stream, first, budget.entries),
    isAfterPruned: first > of.afterSeq + 1,
    hasMore: reached < stream.lastSeq || given < stream.unsequenced,
  };
}

/** Counts entries while they fit, by their sizes: the texts are read once it is known which. */
class BatchBudget {
  entries = 0;
  readonly #maxEntries: number;
  #bytesLeft: number;
  #isClosed = false;

  constructor(maxEntries: number, maxBytes: number) {
    this.#maxEntries = maxEntries;
    this.#bytesLeft = maxBytes;
  }

  get entriesLeft(): number {
    return this.#isClosed ? 0 : this.#maxEntries - this.entries;
  }

  /** Whether the entry of this row goes with those before it. */
  add(row: Row): boolean {
    const isPacked = row["raw_bytes"] !== null;
    const bytes = Number(isPacked ? row["raw_bytes"] : row["bytes"]) + 1;
    const fits = this.entries === 0 || (!isPacked && bytes <= this.#bytesLeft);
    if (!fits || this.#isClosed) return false;
    this.#isClosed = isPacked;
    this.#bytesLeft -= bytes;
    this.entries += 1;
    return true;
  }
}

function takeSequenced(
  transaction: Transaction,
  { stream, afterSeq }: { readonly stream: string; readonly afterSeq: number },
  budget: BatchBudget,
): number | undefined {
  const rows = transaction.all(
    `SELECT seq, raw_bytes, octet_length(entry) AS bytes FROM stream_entry
     WHERE stream = ? AND seq > ? ORDER BY seq LIMIT ?`,
    stream,
    afterSeq,
    budget.entriesLeft,
  );
  const firstSeq = rows[0] && Number(rows[0]["seq"]);
  for (const [index, row] of rows.entries()) {
    const isNext = Number(row["seq"]) === Number(firstSeq) + index;
    if (!(isNext && budget.add(row))) break;
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
    `SELECT position, raw_bytes, octet_length(entry) AS bytes FROM stream_entry
     WHERE stream = ? AND seq IS NULL ORDER BY position LIMIT ?`,
    name,
    budget.entriesLeft,
  );
  const overflow = rows.findIndex((row) => !budget.add(row));
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

function readEntries(
  transaction: Transaction,
  stream: string,
  firstSeq: number,
  entries: number,
): Pick<StreamBatch, "lines" | "packed"> {
  const rows = transaction.all(
    `SELECT entry, packed, raw_bytes FROM stream_entry
     WHERE stream = ? AND seq >= ? AND seq < ? ORDER BY seq LIMIT ?`,
    stream,
    firstSeq,
    firstSeq + entries,
    entries,
  );
  const [first] = rows;
  const bytes = first?.["packed"];
  if (bytes instanceof Uint8Array) {
    return { lines: [], packed: { bytes, rawBytes: Number(first?.["raw_bytes"]) } };
  }
  return { lines: rows.map((row) => String(row["entry"])) };
}
