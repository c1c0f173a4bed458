import type { Row, Transaction } from "../store/transaction.ts";
import type { Packed } from "./batch-frame.ts";
import { findStream, type StreamRow } from "./stream-rows.ts";

/** Consecutive entries of a stream, ready to be sent. */
export interface StreamBatch {
  readonly firstSeq: number;
  readonly lines: readonly string[];
  /** In place of lines: entries that are compressed already, each for a frame of its own. */
  readonly packed: readonly Packed[];
  /** Whether entries between those asked for and these are gone by retention. */
  readonly isAfterPruned: boolean;
  /** Whether more entries wait behind these. */
  readonly hasMore: boolean;
}

/**
 * The entries after `afterSeq`: first those that have a seq, then new ones, which get theirs here, so that the order of
 * sending is the order of committing. At least one entry whatever its size, and packed ones without others; undefined when there is none.
 */
export function takeStreamBatch(
  transaction: Transaction,
  of: {
    readonly stream: string;
    readonly afterSeq: number;
    readonly maxEntries: number;
    readonly maxBytes: number;
    /** Of packed entries; one where it is absent. */
    readonly maxPacked?: number;
    readonly maxPackedBytes?: number;
  },
): StreamBatch | undefined {
  const stream = findStream(transaction, of.stream);
  if (stream === undefined) return undefined;
  const budget = new BatchBudget(of);
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

/** Counts entries while they fit, by their sizes: the texts are read once it is known which. All of a batch are packed, or none is. */
class BatchBudget {
  entries = 0;
  readonly #of: Parameters<typeof takeStreamBatch>[1];
  #bytes = 0;
  #isPacked = false;

  constructor(of: Parameters<typeof takeStreamBatch>[1]) {
    this.#of = of;
  }

  get entriesLeft(): number {
    const { maxEntries, maxPacked = 1 } = this.#of;
    return (this.#isPacked ? maxPacked : maxEntries) - this.entries;
  }

  /** Whether the entry of this row goes with those before it. */
  add(row: Row): boolean {
    const isPacked = row["packed_bytes"] !== null;
    const bytes = this.#bytes + Number(isPacked ? row["packed_bytes"] : row["bytes"]) + 1;
    const { maxBytes, maxPackedBytes = 0 } = this.#of;
    const goesWith = isPacked === this.#isPacked && this.entriesLeft > 0;
    const fits = goesWith && bytes <= (isPacked ? maxPackedBytes : maxBytes);
    if (this.entries > 0 && !fits) return false;
    this.#isPacked = isPacked;
    this.#bytes = bytes;
    this.entries += 1;
    return true;
  }
}

const SIZES = `octet_length(entry) AS bytes,
  (SELECT octet_length(bytes) FROM packed_entry WHERE position = stream_entry.position) AS packed_bytes`;

function takeSequenced(
  transaction: Transaction,
  { stream, afterSeq }: { readonly stream: string; readonly afterSeq: number },
  budget: BatchBudget,
): number | undefined {
  const rows = transaction.all(
    `SELECT seq, ${SIZES} FROM stream_entry
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
    `SELECT position, ${SIZES} FROM stream_entry
     WHERE stream = ? AND seq IS NULL ORDER BY position LIMIT ?`,
    name,
    budget.entriesLeft,
  );
  const overflow = rows.findIndex((row) => !budget.add(row));
  const taken = overflow === -1 ? rows : rows.slice(0, overflow);
  if (taken.length === 0) return 0;
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
    `SELECT entry, raw_bytes, bytes FROM stream_entry LEFT JOIN packed_entry USING (position)
     WHERE stream = ? AND seq >= ? AND seq < ? ORDER BY seq LIMIT ?`,
    stream,
    firstSeq,
    firstSeq + entries,
    entries,
  );
  const packed: Packed[] = [];
  const lines: string[] = [];
  for (const { entry, raw_bytes: rawBytes, bytes } of rows) {
    if (bytes instanceof Uint8Array) packed.push({ bytes, rawBytes: Number(rawBytes) });
    else lines.push(String(entry));
  }
  return { lines, packed };
}
