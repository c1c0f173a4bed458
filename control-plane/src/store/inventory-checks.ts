import {
  type InventoryRecord,
  MAX_FACETS,
  MAX_RECORDS_IN_ENTRY,
  RECORD_KINDS,
} from "@isthmus/shared/link/inventory-messages";

/**
 * The rules of `inventoryEntry` for entries that hold records, by hand: a first sync brings them by the hundred thousand, and the schema
 * takes longer over one than the rest of the ingest. `inventory-checks.fuzz.ts` holds the two against each other.
 */

/** An entry of records as it was sent. */
export interface SentRecords {
  readonly type: "records";
  readonly source: string;
  readonly lease: number;
  readonly records: readonly InventoryRecord[];
}

/** A record without its facets. */
export type RecordHead = Omit<InventoryRecord, "facets">;

const SOURCE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const FACET_NAME = /^[A-Za-z][A-Za-z0-9_.-]{0,127}$/;
const FACET_HASH = /^[0-9a-f]{16}$/;
const MAX_KEY_CHARACTERS = 256;
const MAX_TIME = 8_640_000_000_000_000;
const MAX_FACET_NESTING = 16;
const KINDS: ReadonlySet<unknown> = new Set(RECORD_KINDS);

/** A bridge's clock may be ahead by this; what it dates later would be kept and be the newest for good. */
const MAX_AHEAD_MS = 86_400_000;

/** The latest time that is believed of a bridge, by our clock. */
export function latestTime(now: number): number {
  return now + MAX_AHEAD_MS;
}

type Members = Readonly<Record<string, unknown>>;

/** Whether an entry of type `records` is one. */
export function isRecordsEntry(entry: Members): entry is Members & SentRecords {
  const { source, lease, records } = entry;
  if (!isSourceHead(source, lease) || !Array.isArray(records) || records.length < 1) return false;
  return records.length <= MAX_RECORDS_IN_ENTRY && records.every(isRecord);
}

export function isSourceHead(source: unknown, lease: unknown): boolean {
  return typeof source === "string" && SOURCE_NAME.test(source) && isSequence(lease);
}

function isRecord(value: unknown): boolean {
  return (
    isObject(value) &&
    isRecordHead(value) &&
    isObject(value["facets"]) &&
    areFacets(value["facets"])
  );
}

export function isRecordHead(value: Members): value is Members & RecordHead {
  const { kind, key, revision, at, isWhole } = value;
  return (
    KINDS.has(kind) &&
    typeof key === "string" &&
    key.length >= 1 &&
    key.length <= MAX_KEY_CHARACTERS &&
    isSequence(revision) &&
    isSequence(at) &&
    at <= MAX_TIME &&
    typeof isWhole === "boolean"
  );
}

function areFacets(facets: Members): boolean {
  let count = 0;
  for (const name in facets) {
    const facet = facets[name];
    count += 1;
    if (count > MAX_FACETS || !isObject(facet)) return false;
    if (!isFacet(name, facet["hash"], facet["value"])) return false;
  }
  return true;
}

export function isFacet(name: string, hash: unknown, value: unknown): boolean {
  return (
    FACET_NAME.test(name) &&
    typeof hash === "string" &&
    FACET_HASH.test(hash) &&
    value !== undefined &&
    isNestedAtMost(value, MAX_FACET_NESTING)
  );
}

function isObject(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSequence(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** `shared/src/link/nesting.ts`, without a call for each value that holds no others. */
function isNestedAtMost(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  if (depth === 0) return false;
  const parts: readonly unknown[] = Array.isArray(value) ? value : Object.values(value);
  for (const part of parts) {
    if (typeof part === "object" && part !== null && !isNestedAtMost(part, depth - 1)) return false;
  }
  return true;
}
