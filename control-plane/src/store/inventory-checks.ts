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
  return isFacetName(name) && isFacetHash(hash) && isFacetValue(value);
}

/** Own limit: names that were checked. Sources have some dozens. */
const MAX_KNOWN_NAMES = 1_000;
const knownNames = new Set<string>();

export function isFacetName(name: string): boolean {
  if (knownNames.has(name)) return true;
  if (!FACET_NAME.test(name)) return false;
  if (knownNames.size < MAX_KNOWN_NAMES) knownNames.add(name);
  return true;
}

export function isFacetHash(hash: unknown): boolean {
  return typeof hash === "string" && FACET_HASH.test(hash);
}

export function isFacetValue(value: unknown): boolean {
  return value !== undefined && isNestedAtMost(value, MAX_FACET_NESTING);
}

function isObject(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSequence(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** `shared/src/link/nesting.ts`, without a call for each value that holds no others, and without a list of each object's values. */
function isNestedAtMost(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  if (depth === 0) return false;
  return Array.isArray(value)
    ? areItemsNestedAtMost(value, depth - 1)
    : areMembersNestedAtMost(value as Members, depth - 1);
}

function areItemsNestedAtMost(items: readonly unknown[], depth: number): boolean {
  for (const item of items) {
    if (typeof item === "object" && item !== null && !isNestedAtMost(item, depth)) return false;
  }
  return true;
}

function areMembersNestedAtMost(members: Members, depth: number): boolean {
  for (const name in members) {
    const member = members[name];
    if (typeof member === "object" && member !== null && !isNestedAtMost(member, depth))
      return false;
  }
  return true;
}
