import type { QueryRow, QueryRowsRequest, SiteActionReads } from "../core/site-action-records.ts";
import type { QueryableStore } from "./queryable-store.ts";

/** Reads what queries brought, on the store's reading thread. */
export class StoredSiteActions implements SiteActionReads {
  readonly #store: QueryableStore;

  constructor(store: QueryableStore) {
    this.#store = store;
  }

  async queryRows({ actionId, afterNumber, limit }: QueryRowsRequest): Promise<QueryRow[]> {
    const rows = await this.#store.query(
      `SELECT q.number, q.key, q.value, d.record_id, (SELECT name FROM inventory_record WHERE id = d.record_id) AS name
       FROM query_row q LEFT JOIN device_action d ON d.action_id = q.action_id AND d.key = q.key
       WHERE q.action_id = ? AND q.number > ? ORDER BY q.number LIMIT ?`,
      [actionId, afterNumber, limit],
      limit,
    );
    return rows.map((row) => ({
      number: Number(row["number"]),
      key: String(row["key"]),
      recordId: row["record_id"] === null ? null : Number(row["record_id"]),
      deviceName: row["name"] === null ? null : String(row["name"]),
      value: String(row["value"]),
    }));
  }
}
