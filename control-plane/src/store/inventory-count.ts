import {
  type CountedUsage,
  MEMBERSHIP_OCTETS,
  RECORD_OCTETS,
  ROW_OCTETS,
} from "../core/inventory-quota.ts";
import type { QueryableStore } from "./queryable-store.ts";

/**
 * Counts what sources take, some records at a time on the thread that reads. What changes meanwhile is also in what is added by estimate
 * since the beginning, so that a count is never too low.
 */

const RECORDS_AT_ONCE = 500;
const MEMBERSHIPS_AT_ONCE = 20_000;
const MAX_SOURCES = 10_000;

const octetsOf = (...columns: string[]) =>
  columns.map((column) => `coalesce(octet_length(${column}), 0)`).join(" + ");

const SLICE = `
  SELECT source_id, count(*) AS records, max(id) AS last, sum(${RECORD_OCTETS}
    + coalesce((SELECT ${octetsOf("states", "volatile", "identity", "stable", "others")} FROM inventory_document
        WHERE record_id = r.id), 0)
    + coalesce((SELECT sum(${ROW_OCTETS} + ${octetsOf("value")}) FROM inventory_history WHERE record_id = r.id), 0)
    + coalesce((SELECT sum(${ROW_OCTETS} + ${octetsOf("title", "detail")}) FROM timeline_event WHERE record_id = r.id), 0))
    AS octets
  FROM (SELECT id, source_id FROM inventory_record WHERE id > ? ORDER BY id LIMIT ${RECORDS_AT_ONCE}) r
  GROUP BY source_id`;

/** In the order of their key, which is all that there is of them: a source is not read at once for its memberships. */
const MEMBERSHIPS = `
  SELECT source_id, collection_key, max(record_id) AS last,
    count(*) * (${MEMBERSHIP_OCTETS} + octet_length(collection_key)) AS octets
  FROM (SELECT source_id, collection_key, record_id FROM inventory_membership
    WHERE (source_id, collection_key, record_id) > (?, ?, ?)
    ORDER BY source_id, collection_key, record_id LIMIT ${MEMBERSHIPS_AT_ONCE})
  GROUP BY source_id, collection_key ORDER BY source_id, collection_key`;

const EVENTS = `
  SELECT source_id, sum(${ROW_OCTETS} + ${octetsOf("message", "figures", "keys")}) AS octets
  FROM inventory_event GROUP BY source_id`;

type Counting = { -readonly [Name in keyof CountedUsage]: CountedUsage[Name] };

/** One counting of all sources, from its beginning to its end. */
export class InventoryCount {
  readonly #counted: Map<number, Counting>;
  #after = 0;
  #areRecordsCounted = false;
  #membership: readonly [number, string, number] = [-1, "", -1];

  private constructor(counted: Map<number, Counting>) {
    this.#counted = counted;
  }

  static async begin(store: QueryableStore): Promise<InventoryCount> {
    const rows = await store.query(
      "SELECT source_id, added_records, added_octets FROM inventory_usage",
      [],
      MAX_SOURCES,
    );
    const counted = rows.map((row) => {
      const sourceId = Number(row["source_id"]);
      const added = {
        addedRecords: Number(row["added_records"]),
        addedOctets: Number(row["added_octets"]),
      };
      return [sourceId, { sourceId, records: 0, octets: 0, ...added }] as const;
    });
    return new InventoryCount(new Map(counted));
  }

  /** Counts on; answers the whole once it is there. */
  async step(store: QueryableStore): Promise<readonly CountedUsage[] | undefined> {
    const isOver = this.#areRecordsCounted
      ? await this.#countMemberships(store)
      : await this.#countRecords(store);
    if (!isOver) return undefined;
    if (!this.#areRecordsCounted) {
      this.#areRecordsCounted = true;
      return undefined;
    }
    for (const row of await store.query(EVENTS, [], MAX_SOURCES)) {
      this.#add(Number(row["source_id"]), 0, Number(row["octets"]));
    }
    return [...this.#counted.values()];
  }

  /** Whether there are no more. */
  async #countRecords(store: QueryableStore): Promise<boolean> {
    const rows = await store.query(SLICE, [this.#after], MAX_SOURCES);
    for (const row of rows) {
      this.#add(Number(row["source_id"]), Number(row["records"]), Number(row["octets"]));
      this.#after = Math.max(this.#after, Number(row["last"]));
    }
    return rows.length === 0;
  }

  async #countMemberships(store: QueryableStore): Promise<boolean> {
    const rows = await store.query(MEMBERSHIPS, [...this.#membership], MEMBERSHIPS_AT_ONCE);
    for (const row of rows) {
      const sourceId = Number(row["source_id"]);
      this.#add(sourceId, 0, Number(row["octets"]));
      this.#membership = [sourceId, String(row["collection_key"]), Number(row["last"])];
    }
    return rows.length === 0;
  }

  /** A source that came since has only what was added. */
  #add(sourceId: number, records: number, octets: number): void {
    const usage = this.#counted.get(sourceId);
    if (usage === undefined) return;
    usage.records += records;
    usage.octets += octets;
  }
}
