import type { CountedUsage } from "../core/inventory-quota.ts";
import type { QueryableStore } from "./queryable-store.ts";

/**
 * Counts what sources take, some records at a time on the thread that reads. What changes meanwhile is also in what is added by estimate
 * since the beginning, so that a count is never too low.
 */

const RECORDS_AT_ONCE = 500;
const MAX_SOURCES = 10_000;
/** What a row takes beside its values, about: no number of empty ones is free. */
const ROW_OCTETS = 100;

const octetsOf = (...columns: string[]) =>
  columns.map((column) => `coalesce(octet_length(${column}), 0)`).join(" + ");

const SLICE = `
  SELECT source_id, count(*) AS records, max(id) AS last, sum(${ROW_OCTETS}
    + coalesce((SELECT ${octetsOf("states", "volatile", "identity", "stable", "others")} FROM inventory_document
        WHERE record_id = r.id), 0)
    + coalesce((SELECT sum(${ROW_OCTETS} + ${octetsOf("value")}) FROM inventory_history WHERE record_id = r.id), 0)
    + coalesce((SELECT sum(${ROW_OCTETS} + ${octetsOf("title", "detail")}) FROM timeline_event WHERE record_id = r.id), 0))
    AS octets
  FROM (SELECT id, source_id FROM inventory_record WHERE id > ? ORDER BY id LIMIT ${RECORDS_AT_ONCE}) r
  GROUP BY source_id`;

const EVENTS = `
  SELECT source_id, sum(${ROW_OCTETS} + ${octetsOf("message", "figures", "keys")}) AS octets
  FROM inventory_event GROUP BY source_id`;

type Counting = { -readonly [Name in keyof CountedUsage]: CountedUsage[Name] };

/** One counting of all sources, from its beginning to its end. */
export class InventoryCount {
  readonly #counted: Map<number, Counting>;
  #after = 0;

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
    const rows = await store.query(SLICE, [this.#after], MAX_SOURCES);
    for (const row of rows) {
      this.#add(Number(row["source_id"]), Number(row["records"]), Number(row["octets"]));
      this.#after = Math.max(this.#after, Number(row["last"]));
    }
    if (rows.length > 0) return undefined;
    for (const row of await store.query(EVENTS, [], MAX_SOURCES)) {
      this.#add(Number(row["source_id"]), 0, Number(row["octets"]));
    }
    return [...this.#counted.values()];
  }

  /** A source that came since has only what was added. */
  #add(sourceId: number, records: number, octets: number): void {
    const usage = this.#counted.get(sourceId);
    if (usage === undefined) return;
    usage.records += records;
    usage.octets += octets;
  }
}
