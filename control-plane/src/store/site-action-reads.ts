import { queryBuilder } from "@isthmus/shared/store/query-builder";
import type { SqlValue } from "@isthmus/shared/store/transaction";
import { recordIdOfGuid } from "../core/record-guid.ts";
import type { QueryRow, QueryRowsRequest, SiteActionReads } from "../core/site-action-records.ts";
import { recordOfDevice } from "./co-management-selects.ts";
import type { QueryableStore } from "./queryable-store.ts";

const builder = queryBuilder<Record<string, never>>();

/** A statement for the device that an id in managedDevices stands for: `id` and `sourceId` of its record. */
export function deviceStatement(managedDeviceId: string) {
  const statement = recordOfDevice(managedDeviceId, recordIdOfGuid(managedDeviceId));
  const { sql, parameters } = statement.compile(builder);
  return { sql, parameters: parameters as readonly SqlValue[] };
}

/** Reads what queries brought, on the store's reading thread. */
export class StoredSiteActions implements SiteActionReads {
  readonly #store: QueryableStore;

  constructor(store: QueryableStore) {
    this.#store = store;
  }

  async recordIdOfDevice(managedDeviceId: string): Promise<number | undefined> {
    const { sql, parameters } = deviceStatement(managedDeviceId);
    const [row] = await this.#store.query(sql, parameters, 1);
    return row && Number(row["id"]);
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
