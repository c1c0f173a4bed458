import { ProtocolError } from "@isthmus/shared/errors";
import { DigestBuckets, differingBuckets } from "@isthmus/shared/link/inventory-digest";
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

/** Where it is compared. */
export interface DriftTarget {
  readonly transaction: Transaction;
  readonly source: Source;
  readonly now: number;
}

/** Buckets read at a time, so that a million records do not lie in memory at once. */
const BUCKETS_AT_ONCE = 64;
/** Own limit: far over what falls into 64 of 4,096 buckets. */
const MAX_ROWS_AT_ONCE = 1_000_000;

/** Compares a digest with the rows; the message that asks for the buckets which differ. */
export function compareDigest(
  target: DriftTarget,
  entry: DigestEntry,
): InventoryDiffers | undefined {
  const { kind } = entry;
  const own = ownDigest(target, kind);
  const buckets = differingBuckets(own.toBytes(), Buffer.from(entry.buckets, "base64"));
  if (buckets === undefined) {
    throw new ProtocolError("digest-length", `a digest has ${DIGEST_BUCKETS} buckets`);
  }
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

function ownDigest({ transaction, source }: DriftTarget, kind: RecordKind): DigestBuckets {
  const digest = new DigestBuckets();
  for (let from = 0; from < DIGEST_BUCKETS; from += BUCKETS_AT_ONCE) {
    const rows = transaction.all(
      `SELECT bucket, digest FROM inventory_record
       WHERE source_id = ? AND kind = ? AND deleted_at IS NULL AND bucket >= ? AND bucket < ? LIMIT ${MAX_ROWS_AT_ONCE}`,
      source.id,
      kind,
      from,
      from + BUCKETS_AT_ONCE,
    );
    for (const row of rows) digest.add(Number(row["bucket"]), String(row["digest"]));
  }
  return digest;
}

/** Compares a bucket's records one by one: what to send again, and what the bridge does not know of. */
export function compareBucket(target: DriftTarget, entry: BucketEntry): InventoryDiffers[] {
  const { kind, bucket } = entry;
  const rows = target.transaction.all(
    `SELECT key, digest FROM inventory_record
     WHERE source_id = ? AND kind = ? AND deleted_at IS NULL AND bucket = ? LIMIT ${MAX_ROWS_AT_ONCE}`,
    target.source.id,
    kind,
    bucket,
  );
  const here = new Map(rows.map((row) => [String(row["key"]), String(row["digest"])]));
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
