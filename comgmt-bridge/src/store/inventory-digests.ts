import { bucketOf, DigestBuckets } from "@isthmus/shared/link/inventory-digest";
import { MAX_ENTRY_BYTES } from "@isthmus/shared/link/messages";
import type { SqlValue, Transaction } from "@isthmus/shared/store/transaction";
import type { InventoryState } from "../core/inventory-state.ts";
import { withFacetsWanted } from "./facet-states.ts";
import { tell, tellEvent } from "./inventory-entries.ts";
import { Telling } from "./inventory-telling.ts";
import {
  countRecords,
  forgetPagesAt,
  type KindState,
  kindState,
  NO_NUMBER,
  numberOf,
} from "./kind-state.ts";
import { deleteRecord, findRecord, insertRecord } from "./record-rows.ts";
import { isRecordKey } from "./refusals.ts";

/** Scans before a digest says anything: in the first one the state is still coming to be, and in the second deletions are. */
const SCANS_BEFORE_DIGEST = 2;
/** Rows read at a time, so that a million of them are never in memory. */
const ROWS_AT_A_TIME = 2_000;
/** Added to a bucket's number, so that it has as many digits as any other; with a digest it is a row of a list. */
const BUCKET_BASE = 10_000;
const BUCKET_CHARACTERS = 5;
const LISTED_CHARACTERS = BUCKET_CHARACTERS + 16;
/** Of a `bucket` entry. */
const MAX_RECORDS_OF_BUCKET = 4_000;
/** Own limit, held in memory at once: what 256 buckets of a kind of two million records have. Over it none is listed. */
const MAX_LISTED_RECORDS = 131_072;

/** Own limit: keys of a kind that only the control plane knows, and that are looked for. Those above it wait for a later digest. */
export const MAX_SUSPECTED = 50_000;

/** See `InventoryState.tellDigest`. */
export function tellDigest(
  transaction: Transaction,
  argument: Parameters<InventoryState["tellDigest"]>[0],
): boolean {
  const { source, lease, at } = new Telling(transaction, argument);
  const { id, kind, completeScans } = kindState(transaction, argument);
  if (completeScans < SCANS_BEFORE_DIGEST) return false;
  const sum = sumUp(transaction, id);
  const buckets = sum.toBytes().toString("base64");
  tell(transaction, { type: "digest", source, lease, kind, at, count: sum.count, buckets });
  transaction.run("UPDATE kind_state SET last_digest_at = ? WHERE id = ?", at, id);
  return true;
}

/** Numbers first, which are keys by themselves, then keys that are no numbers. */
function sumUp(transaction: Transaction, kindId: number): DigestBuckets {
  const sum = new DigestBuckets();
  addAll(transaction, sum, { kindId, column: "number", which: "number > ?", first: NO_NUMBER });
  const which = `number = ${NO_NUMBER} AND key > ?`;
  addAll(transaction, sum, { kindId, column: "key", which, first: "" });
  return sum;
}

/** As one text for many rows: an object for each costs more than all the rest of it. */
function addAll(
  transaction: Transaction,
  sum: DigestBuckets,
  of: {
    readonly kindId: number;
    readonly column: string;
    readonly which: string;
    readonly first: SqlValue;
  },
): void {
  const { kindId, column, which } = of;
  for (let last = of.first; ; ) {
    const row = transaction.get(
      `SELECT max(${column}) AS last, group_concat((bucket + ${BUCKET_BASE}) || digest, '') AS listed
       FROM (SELECT ${column}, bucket, digest FROM record_state
         WHERE kind_id = ? AND ${which} AND is_suspected = 0 ORDER BY ${column} LIMIT ?)`,
      kindId,
      last,
      ROWS_AT_A_TIME,
    );
    if (typeof row?.["listed"] !== "string") return;
    const { listed } = row;
    for (let at = 0; at < listed.length; at += LISTED_CHARACTERS) {
      const digestAt = at + BUCKET_CHARACTERS;
      const bucket = Number(listed.slice(at, digestAt)) - BUCKET_BASE;
      sum.add(bucket, listed.slice(digestAt, at + LISTED_CHARACTERS));
    }
    last = row["last"] ?? null;
  }
}

/** See `InventoryState.takeDifferences`. */
export function takeDifferences(
  transaction: Transaction,
  argument: Parameters<InventoryState["takeDifferences"]>[0],
): { readonly toRead: readonly string[] } {
  const telling = new Telling(transaction, argument);
  const kind = kindState(transaction, argument);
  const { buckets, wanted, unknown } = argument;
  if (buckets.length > 0) listBuckets(transaction, telling, kind, buckets);
  const toRead = wanted.filter((key) => want(transaction, kind, key));
  const suspected = suspectAll(transaction, kind, unknown);
  if (wanted.length + suspected > 0) {
    const figures = { wanted: wanted.length, unknown: suspected };
    const message = `the control plane lacks ${wanted.length} records of kind ${kind.kind} and has ${suspected} that are not known here`;
    tellEvent(transaction, telling, { event: "repair.began", message, kind: kind.kind, figures });
  }
  telling.end();
  return { toRead };
}

/** One entry for each bucket, also for one that is empty here. One pass over the kind finds them all: there is no index by bucket. */
function listBuckets(
  transaction: Transaction,
  telling: Telling,
  kind: KindState,
  numbers: readonly number[],
): void {
  const records = new Map(numbers.map((number): [number, [string, string][]] => [number, []]));
  const rows = transaction.all(
    `SELECT bucket, key, digest FROM record_state
     WHERE kind_id = ? AND is_suspected = 0 AND bucket IN (SELECT value FROM json_each(?)) LIMIT ?`,
    kind.id,
    JSON.stringify(numbers),
    MAX_LISTED_RECORDS,
  );
  if (rows.length === MAX_LISTED_RECORDS) records.clear();
  for (const row of rows) {
    records.get(Number(row["bucket"]))?.push([String(row["key"]), String(row["digest"])]);
  }
  for (const [bucket, listed] of records) tellBucket(transaction, telling, kind, bucket, listed);
}

function tellBucket(
  transaction: Transaction,
  telling: Telling,
  { kind }: KindState,
  bucket: number,
  records: [string, string][],
): void {
  const { source, lease, at } = telling;
  const entry = { type: "bucket" as const, source, lease, kind, at, bucket, records };
  const isTooLarge =
    records.length > MAX_RECORDS_OF_BUCKET ||
    Buffer.byteLength(JSON.stringify(entry)) > MAX_ENTRY_BYTES;
  if (isTooLarge) {
    const message = `bucket ${bucket} of kind ${kind} has too many records to be listed`;
    tellEvent(transaction, telling, { event: "bucket.too-large", message, kind });
  } else {
    tell(transaction, entry);
  }
}

/**
 * The record is told whole when it is next read, and its range is read even if it comes in the bytes of before. Whether it is worth looking for: one
 * that the site has not either is nobody's. It is forgotten, and no approval is awaited to delete what is gone, as where another bridge deleted it.
 */
function want(transaction: Transaction, { id }: KindState, key: string): boolean {
  const row = findRecord(transaction, id, key);
  forgetPagesAt(transaction, id, numberOf(key));
  if (row === undefined) return true;
  if (row.missedAfter !== undefined && !row.isSuspected) {
    deleteRecord(transaction, id, row);
    countRecords(transaction, id, -1);
    return false;
  }
  transaction.run(
    "UPDATE record_state SET facets = ?, is_wanted = 1 WHERE kind_id = ? AND number = ? AND key = ?",
    withFacetsWanted(row.facets),
    id,
    row.number,
    key,
  );
  return true;
}

/** How many of them are looked for from now on. */
function suspectAll(transaction: Transaction, kind: KindState, keys: readonly string[]): number {
  if (keys.length === 0) return 0;
  const row = transaction.get(
    "SELECT count(*) AS n FROM record_state WHERE kind_id = ? AND is_suspected = 1",
    kind.id,
  );
  let room = MAX_SUSPECTED - Number(row?.["n"]);
  let suspected = 0;
  for (const key of keys) {
    if (room <= 0) break;
    if (!suspect(transaction, kind, key)) continue;
    suspected += 1;
    room -= 1;
  }
  return suspected;
}

/** Whether it is a record that is not known here: from now on it is looked for, as one that was there once. */
function suspect(transaction: Transaction, { id }: KindState, key: string): boolean {
  if (!isRecordKey(key) || findRecord(transaction, id, key) !== undefined) return false;
  insertRecord(transaction, id, {
    key,
    facets: "",
    digest: "",
    bucket: bucketOf(key),
    isSuspected: true,
    isWanted: true,
  });
  forgetPagesAt(transaction, id, numberOf(key));
  return true;
}
