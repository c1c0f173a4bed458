import { ProtocolError } from "@isthmus/shared/errors";
import {
  DIGEST_BYTES,
  DigestBuckets,
  differingBuckets,
} from "@isthmus/shared/link/inventory-digest";
import {
  DIGEST_BUCKETS,
  type InventoryDiffers,
  type InventoryEntry,
  MAX_WANTED_BUCKETS,
  MAX_WANTED_KEYS,
  type RecordKind,
} from "@isthmus/shared/link/inventory-messages";
import type { Transaction } from "@isthmus/shared/store/transaction";
import { recordSourceEvent, type Source } from "./inventory-sources.ts";

/**
 * Finds out whether a bridge and this store have the same records. Both sides compute; neither believes a sum that was kept. What was
 * found goes down as a message that may be lost: the next digest finds it again.
 */

type DigestEntry = Extract<InventoryEntry, { readonly type: "digest" }>;
type BucketEntry = Extract<InventoryEntry, { readonly type: "bucket" }>;

/** Own limits: rows read at a time, so that a million records do not lie in memory at once. */
const ROWS_AT_ONCE = 10_000;
/** Rows that are kept for later entries of a batch, about; and far more than that many can be. */
const MAX_ROWS_KEPT = 100_000;
const MAX_ROWS_READ = 1_000_000;
/** Of a batch: after so many readings of many buckets each bucket is read by itself, so that nobody has all of them read time and again. */
const WIDE_READINGS = 4;
/** Digests of a source that are compared within a minute: each reads all rows of a kind. What they would show, a later one does. */
const MAX_DIGESTS = 64;
const DIGESTS_MS = 60_000;
/** Events of a source that are looked through for them. */
const EVENTS_LOOKED_AT = 256;

/**
 * Records of the buckets that a batch lists, read once for many of them: a digest that differs in many buckets is answered with all of
 * them, one after the other. To be forgotten once a record changes.
 */
export class BucketRows {
  #key = "";
  #from = 0;
  #end = 0;
  #rows = new Map<number, Map<string, string>>();
  #readings = 0;

  forget(): void {
    this.#key = "";
    this.#rows = new Map();
  }

  /** The digests of a bucket's records by their keys. */
  bucket(target: DriftTarget, kind: RecordKind, bucket: number): ReadonlyMap<string, string> {
    const key = `${target.source.id} ${kind}`;
    if (key !== this.#key || bucket < this.#from || bucket >= this.#end) {
      this.#key = key;
      this.#read(target, kind, bucket);
    }
    return this.#rows.get(bucket) ?? new Map();
  }

  #read({ transaction, source }: DriftTarget, kind: RecordKind, from: number): void {
    this.#readings += 1;
    this.#from = from;
    this.#end = from + (this.#readings > WIDE_READINGS ? 1 : bucketsAtOnce(transaction, kind));
    this.#rows = new Map();
    const rows = transaction.all(
      `SELECT bucket, key, digest FROM inventory_record
       WHERE kind = ? AND deleted_at IS NULL AND source_id = ? AND bucket >= ? AND bucket < ? LIMIT ${MAX_ROWS_READ}`,
      kind,
      source.id,
      this.#from,
      this.#end,
    );
    for (const row of rows) {
      const number = Number(row["bucket"]);
      const records = this.#rows.get(number) ?? new Map<string, string>();
      records.set(String(row["key"]), String(row["digest"]));
      this.#rows.set(number, records);
    }
  }
}

function bucketsAtOnce(transaction: Transaction, kind: RecordKind): number {
  const row = transaction.get(
    "SELECT count(*) AS n FROM inventory_record WHERE kind = ? AND deleted_at IS NULL",
    kind,
  );
  const share = Math.min(1, MAX_ROWS_KEPT / Math.max(1, Number(row?.["n"])));
  return Math.ceil(DIGEST_BUCKETS * share);
}

/** Where it is compared. */
export interface DriftTarget {
  readonly transaction: Transaction;
  readonly source: Source;
  readonly now: number;
}

/** Compares a digest with the rows; the message that asks for the buckets which differ. */
export function compareDigest(
  target: DriftTarget,
  entry: DigestEntry,
): InventoryDiffers | undefined {
  const { kind } = entry;
  const theirs = Buffer.from(entry.buckets, "base64");
  // Before anything is read: it costs whoever sends it nothing.
  if (theirs.length !== DIGEST_BYTES) {
    throw new ProtocolError("digest-length", `a digest has ${DIGEST_BUCKETS} buckets`);
  }
  if (areTooMany(target)) return undefined;
  const own = ownDigest(target, kind);
  const buckets = differingBuckets(own.toBytes(), theirs) ?? [];
  const isSame = buckets.length === 0 && own.count === entry.count;
  const message = isSame
    ? `${own.count} records, the same on both sides`
    : `${buckets.length} of ${DIGEST_BUCKETS} buckets differ; ${entry.count} records there, ${own.count} here`;
  const figures = { there: entry.count, here: own.count, buckets: buckets.length };
  const event = isSame ? "digest.same" : "digest.differs";
  tell(target, entry, { event, message, figures });
  if (buckets.length === 0) return undefined;
  const asked = buckets.slice(0, MAX_WANTED_BUCKETS);
  return differs(target, kind, { buckets: asked });
}

function areTooMany({ transaction, source, now }: DriftTarget): boolean {
  const row = transaction.get(
    `SELECT count(*) AS n FROM
       (SELECT side, event, recorded_at FROM inventory_event WHERE source_id = ? ORDER BY id DESC LIMIT ${EVENTS_LOOKED_AT})
     WHERE side = 'cloud' AND event IN ('digest.same', 'digest.differs') AND recorded_at > ?`,
    source.id,
    now - DIGESTS_MS,
  );
  return Number(row?.["n"]) >= MAX_DIGESTS;
}

function ownDigest({ transaction, source }: DriftTarget, kind: RecordKind): DigestBuckets {
  const digest = new DigestBuckets();
  for (let after = 0, isMore = true; isMore; ) {
    const rows = transaction.all(
      `SELECT id, bucket, digest FROM inventory_record
       WHERE kind = ? AND deleted_at IS NULL AND id > ? AND source_id = ? ORDER BY id LIMIT ${ROWS_AT_ONCE}`,
      kind,
      after,
      source.id,
    );
    for (const row of rows) digest.add(Number(row["bucket"]), String(row["digest"]));
    isMore = rows.length === ROWS_AT_ONCE;
    after = Number(rows.at(-1)?.["id"]);
  }
  return digest;
}

/** Compares a bucket's records one by one: what to send again, and what the bridge does not know of. */
export function compareBucket(
  target: DriftTarget,
  entry: BucketEntry,
  kept: BucketRows,
): InventoryDiffers[] {
  const { kind, bucket } = entry;
  const here = kept.bucket(target, kind, bucket);
  const there = new Map(entry.records);
  const wanted = [...there].filter(([key, digest]) => here.get(key) !== digest).map(([key]) => key);
  const unknown = [...here.keys()].filter((key) => !there.has(key));
  if (wanted.length + unknown.length === 0) return [];
  tell(target, entry, {
    event: "bucket.differs",
    message: `bucket ${bucket}: ${wanted.length} to be sent again, ${unknown.length} unknown there`,
    figures: { bucket, wanted: wanted.length, unknown: unknown.length },
  });
  const messages: InventoryDiffers[] = [];
  for (let at = 0; at < Math.max(wanted.length, unknown.length); at += MAX_WANTED_KEYS) {
    const end = at + MAX_WANTED_KEYS;
    const part = { wanted: wanted.slice(at, end), unknown: unknown.slice(at, end) };
    messages.push(differs(target, kind, part));
  }
  return messages;
}

function differs(
  { source }: DriftTarget,
  kind: RecordKind,
  what: Partial<Pick<InventoryDiffers, "buckets" | "wanted" | "unknown">>,
): InventoryDiffers {
  const none = { buckets: [], wanted: [], unknown: [] };
  return { type: "inventory-differs", source: source.name, kind, ...none, ...what };
}

function tell(
  { transaction, source, now }: DriftTarget,
  { kind, at }: { readonly kind: RecordKind; readonly at: number },
  what: {
    readonly event: string;
    readonly message: string;
    readonly figures: Readonly<Record<string, number>>;
  },
): void {
  recordSourceEvent(transaction, { sourceId: source.id, at, now, side: "cloud", kind, ...what });
}

/** Puts small messages about the same kind together, as long as they stay within their limits. */
export function mergeDifferences(messages: readonly InventoryDiffers[]): InventoryDiffers[] {
  const merged: InventoryDiffers[] = [];
  for (const next of messages) {
    const last = merged.at(-1);
    const isJoined = last !== undefined && fits(last, next);
    if (!isJoined) merged.push(next);
    else {
      merged[merged.length - 1] = {
        ...last,
        buckets: [...last.buckets, ...next.buckets],
        wanted: [...last.wanted, ...next.wanted],
        unknown: [...last.unknown, ...next.unknown],
      };
    }
  }
  return merged;
}

function fits(one: InventoryDiffers, other: InventoryDiffers): boolean {
  return (
    one.source === other.source &&
    one.kind === other.kind &&
    one.buckets.length + other.buckets.length <= MAX_WANTED_BUCKETS &&
    one.wanted.length + other.wanted.length <= MAX_WANTED_KEYS &&
    one.unknown.length + other.unknown.length <= MAX_WANTED_KEYS
  );
}
