import type { Row, Transaction } from "@isthmus/shared/store/transaction";
import {
  type CountedUsage,
  DEFAULT_QUOTA,
  type InventoryQuotas,
  MEMBERSHIP_OCTETS,
  RECORD_OCTETS,
  ROW_OCTETS,
} from "../core/inventory-quota.ts";
import { COLLECTIONS_FACET } from "./inventory-facets.ts";
import { recordSourceEvent, type Source } from "./inventory-sources.ts";
import type { ToldFacet } from "./told-records.ts";

/**
 * Keeps each source within its limits, so that a bridge that was taken over cannot fill the disk with what it makes up. Over them nothing is
 * stored and everything else goes on: the stream is acknowledged, deletions are made, and what was refused is found by the first digest
 * after there is room again.
 *
 *     room ──an entry that does not fit──▶ over (event, health) ──below 99 % of every limit──▶ room (event)
 */

/** What a key that an entry names takes beside its octets, about: never too low. */
const KEY_OCTETS = 600;
/** A value that changes is kept as it is now, and stands in the timeline as what came and later as what went. */
const COPIES_OF_A_CHANGE = 3;
/** Not at the limit itself, where every other entry would end it and begin it again. */
const ROOM_AGAIN = 0.99;

interface Entry {
  readonly type: string;
  readonly keys?: readonly string[] | undefined;
  readonly records?: readonly unknown[];
}

interface Told {
  readonly kind: string;
  readonly key: string;
  readonly facets: readonly Pick<ToldFacet, "name" | "text">[];
}

export interface QuotaTarget {
  readonly transaction: Transaction;
  readonly source: Source;
  readonly now: number;
  /** Of the entry's line. */
  readonly octets: number;
}

/** Applies of an entry what there is room for: all of it, the records that are known already, or nothing. */
export function withinQuota<E extends Entry>(
  target: QuotaTarget,
  entry: E,
  apply: (entry: E) => void,
): void {
  const allowed = allowedOf(target, entry);
  if (allowed === undefined) return;
  const before = sequences(target.transaction);
  try {
    apply(allowed);
  } finally {
    add(target, allowed, before);
  }
}

/** Deletions need no room: what they end becomes history, which counts the same. */
function allowedOf<E extends Entry>(target: QuotaTarget, entry: E): E | undefined {
  if (entry.type === "deleted") return entry;
  const usage = usageOf(target);
  const all = recordsIn(entry);
  const told = all?.length ?? 1;
  if (usage.octets + target.octets > usage.maxOctets) {
    refuse(target, told, `${usage.maxOctets} octets`);
    return undefined;
  }
  if (all === undefined || usage.records + told <= usage.maxRecords) return entry;
  let room = Math.max(0, usage.maxRecords - usage.records);
  const records = all.filter(({ kind, key }) => {
    if (isKnown(target, kind, key)) return true;
    room -= 1;
    return room >= 0;
  });
  if (records.length === told) return entry;
  refuse(target, told - records.length, `${usage.maxRecords} records`);
  return records.length === 0 ? undefined : { ...entry, records };
}

/** Undefined for an entry of another type: those of a bucket are no records. */
function recordsIn({ type, records }: Entry): readonly Told[] | undefined {
  return type === "records" ? (records as readonly Told[]) : undefined;
}

interface Usage {
  readonly records: number;
  readonly octets: number;
  readonly maxRecords: number;
  readonly maxOctets: number;
}

function usageOf({ transaction, source }: QuotaTarget): Usage {
  const row = transaction.get(
    `SELECT u.records + u.added_records AS records, u.octets + u.added_octets AS octets,
       coalesce(q.records, d.records) AS max_records, coalesce(q.octets, d.octets) AS max_octets
     FROM (SELECT 1) LEFT JOIN inventory_usage u ON u.source_id = ?
       LEFT JOIN inventory_quota q ON q.source = ? LEFT JOIN inventory_quota d ON d.source = ''`,
    source.id,
    source.name,
  );
  return {
    records: Number(row?.["records"] ?? 0),
    octets: Number(row?.["octets"] ?? 0),
    maxRecords: Number(row?.["max_records"] ?? DEFAULT_QUOTA.records),
    maxOctets: Number(row?.["max_octets"] ?? DEFAULT_QUOTA.octets),
  };
}

function isKnown({ transaction, source }: QuotaTarget, kind: string, key: string): boolean {
  const row = transaction.get(
    "SELECT 1 FROM inventory_record WHERE source_id = ? AND kind = ? AND key = ?",
    source.id,
    kind,
    key,
  );
  return row !== undefined;
}

interface Sequences {
  readonly record: number;
  readonly line: number;
}

/** The last numbers that a record and a line of a timeline got: each grows by one for what is new. */
function sequences(transaction: Transaction): Sequences {
  const rows = transaction.all("SELECT name, seq FROM sqlite_sequence");
  const of = (table: string) => Number(rows.find(({ name }) => name === table)?.["seq"] ?? 0);
  return { record: of("inventory_record"), line: of("timeline_event") };
}

/** What the lines after this one take: a short entry may have long ones, with what was there before and with words of ours. */
function linesAfter(transaction: Transaction, line: number): number {
  const row = transaction.get(
    "SELECT sum(? + octet_length(title) + coalesce(octet_length(detail), 0)) AS octets FROM timeline_event WHERE id > ?",
    ROW_OCTETS,
    line,
  );
  return Number(row?.["octets"] ?? 0);
}

function add({ transaction, source, octets }: QuotaTarget, entry: Entry, before: Sequences): void {
  const after = sequences(transaction);
  const inserted = after.record - before.record;
  const lines = after.line === before.line ? 0 : linesAfter(transaction, before.line);
  const records = recordsIn(entry) ?? [];
  const told = records.length;
  const memberships = records.reduce((sum, record) => sum + membershipsOf(record), 0);
  // Each key stands in the facet and in the row of its membership.
  const ofKeys = memberships > 0 ? 1 : 0;
  const kept = (1 + ofKeys) * octets;
  const copies = ofKeys + (told > 0 && inserted < told ? COPIES_OF_A_CHANGE : 1);
  const rows =
    RECORD_OCTETS * Math.max(1, told) +
    MEMBERSHIP_OCTETS * memberships +
    KEY_OCTETS * (entry.keys?.length ?? 0);
  const values = [source.id, inserted, Math.max(copies * octets, kept + lines) + rows];
  transaction.run(
    `INSERT INTO inventory_usage (source_id, added_records, added_octets) VALUES (?, ?, ?)
     ON CONFLICT (source_id) DO UPDATE SET added_records = added_records + excluded.added_records,
       added_octets = added_octets + excluded.added_octets`,
    ...values,
  );
}

/** At least as many as there are: each but the last has a comma behind it. */
function membershipsOf({ facets }: Told): number {
  const text = facets.find(({ name }) => name === COLLECTIONS_FACET)?.text ?? "[]";
  return text === "[]" ? 0 : text.split(",").length;
}

/** Counted, told of once until there is room again, and kept nowhere: the bridge has it. */
function refuse({ transaction, source, now }: QuotaTarget, count: number, limit: string): void {
  const before = transaction.get(
    "SELECT over_since FROM inventory_usage WHERE source_id = ?",
    source.id,
  );
  transaction.run(
    `INSERT INTO inventory_usage (source_id, refused, over_since) VALUES (?1, ?2, ?3)
     ON CONFLICT (source_id) DO UPDATE SET refused = refused + ?2, over_since = coalesce(over_since, ?3)`,
    source.id,
    count,
    now,
  );
  transaction.run("UPDATE inventory_source SET last_entry_at = ? WHERE id = ?", now, source.id);
  if (typeof before?.["over_since"] === "number") return;
  const message = `${source.name} has no room beyond ${limit}: what is new is not stored. inventory.quota of the control plane's configuration says how much is`;
  tell(transaction, { sourceId: source.id, now, event: "quota.exceeded", message });
}

function tell(
  transaction: Transaction,
  of: { sourceId: number; now: number; event: string; message: string },
): void {
  recordSourceEvent(transaction, { ...of, at: of.now, side: "cloud" });
}

/** Takes the limits of the configuration; whoever has room under them is marked so at once. */
function setInventoryQuota(
  transaction: Transaction,
  { now, quotas }: { readonly now: number; readonly quotas: InventoryQuotas },
): void {
  transaction.run("DELETE FROM inventory_quota");
  for (const [source, quota] of [
    ["", quotas.default] as const,
    ...Object.entries(quotas.sources),
  ]) {
    transaction.run(
      "INSERT INTO inventory_quota (source, records, octets) VALUES (?, ?, ?)",
      source,
      quota.records,
      quota.octets,
    );
  }
  reviewInventoryQuota(transaction, { now });
}

/** Takes what was counted in the place of what was estimated before. */
function storeInventoryCount(
  transaction: Transaction,
  { now, counted }: { readonly now: number; readonly counted: readonly CountedUsage[] },
): void {
  for (const { sourceId, records, octets, addedRecords, addedOctets } of counted) {
    transaction.run(
      `UPDATE inventory_usage SET records = ?, octets = ?, added_records = added_records - ?, added_octets = added_octets - ?
       WHERE source_id = ?`,
      records,
      octets,
      addedRecords,
      addedOctets,
      sourceId,
    );
  }
  reviewInventoryQuota(transaction, { now });
}

/** Ends the mark of sources that have room again. */
function reviewInventoryQuota(transaction: Transaction, { now }: { readonly now: number }): void {
  const over = transaction.all(
    `SELECT s.id, s.name, s.connector_id, s.lease FROM inventory_usage u JOIN inventory_source s ON s.id = u.source_id
     WHERE u.over_since IS NOT NULL`,
  );
  for (const row of over) {
    const source = toSource(row);
    const usage = usageOf({ transaction, source, now, octets: 0 });
    const hasRoom =
      usage.records < usage.maxRecords * ROOM_AGAIN && usage.octets < usage.maxOctets * ROOM_AGAIN;
    if (!hasRoom) continue;
    transaction.run("UPDATE inventory_usage SET over_since = NULL WHERE source_id = ?", source.id);
    const message = `${source.name} is within its limits again; the next digest asks for what was refused`;
    tell(transaction, { sourceId: source.id, now, event: "quota.kept", message });
  }
}

function toSource(row: Row): Source {
  return { id: Number(row["id"]), name: String(row["name"]), connectorId: null, lease: 0 };
}

export const inventoryQuotaOperations = {
  setInventoryQuota,
  storeInventoryCount,
  reviewInventoryQuota,
};
