import type { SqlValue } from "@isthmus/shared/store/transaction";
import type {
  DeviceBoundaryGroups,
  DeviceFacet,
  DeviceRecord,
  DifferencesQuery,
  FacetHistoryQuery,
  InventoryReads,
  TimelineQuery,
  UpdateState,
} from "../core/inventory-reads.ts";
import type { FacetValue, JoinedRecord, RecordDifferences } from "../core/inventory-views.ts";
import type { TimelinePage } from "../core/timeline.ts";
import { boundaryGroupsOf } from "./boundary-group-reads.ts";
import { deviceStatement } from "./co-management-selects.ts";
import { facetHistory, facetsAt, joinedBySid, recordDifferences } from "./inventory-reads.ts";
import type { QueryableStore } from "./queryable-store.ts";
import { recordsOfKey, waitingDeletions } from "./record-lookups.ts";
import { timelinePage } from "./timeline-reads.ts";
import { updateStates } from "./update-state-reads.ts";

/** Reads devices' facets, their history and their timelines. */
export class StoredInventory implements InventoryReads {
  readonly #store: QueryableStore;

  constructor(store: QueryableStore) {
    this.#store = store;
  }

  async deviceRecord(id: string): Promise<DeviceRecord | undefined> {
    const { sql, parameters } = deviceStatement(id);
    const [row] = await this.#store.query(sql, parameters, 1);
    return (
      row && {
        recordId: Number(row["id"]),
        entryId: textOrNull(row["entryId"]),
      }
    );
  }

  recordsOfKey(of: { readonly kind: string; readonly keys: readonly string[] }) {
    return recordsOfKey(this.#store, of);
  }

  waitingDeletions(source: string) {
    return waitingDeletions(this.#store, source);
  }

  facetsAt(recordId: number, at: number | undefined): Promise<readonly FacetValue[]> {
    return facetsAt(this.#store, recordId, at);
  }

  facetHistory(of: FacetHistoryQuery) {
    return facetHistory(this.#store, of);
  }

  differences(of: DifferencesQuery): Promise<RecordDifferences> {
    return recordDifferences(this.#store, of);
  }

  async facetOfDevices(of: {
    readonly facet: string;
    readonly after: number;
    readonly limit: number;
  }): Promise<readonly DeviceFacet[]> {
    const rows = await this.#store.query(
      `SELECT r.id, r.name, s.name AS source, r.key, f.at, f.value
       FROM inventory_record r CROSS JOIN inventory_facet f CROSS JOIN inventory_source s
       WHERE r.kind = 'device' AND r.deleted_at IS NULL AND r.id > ? AND f.record_id = r.id AND f.facet = ?
         AND s.id = r.source_id
       ORDER BY r.id LIMIT ?`,
      [of.after, of.facet, of.limit],
      of.limit,
    );
    return rows.map((row) => ({
      recordId: Number(row["id"]),
      deviceName: textOrNull(row["name"]),
      source: String(row["source"]),
      key: String(row["key"]),
      at: Number(row["at"]),
      text: String(row["value"]),
    }));
  }

  joinedBySid(recordId: number): Promise<readonly JoinedRecord[]> {
    return joinedBySid(this.#store, recordId);
  }

  updateStates(recordId: number): Promise<readonly UpdateState[]> {
    return updateStates(this.#store, recordId);
  }

  boundaryGroupsOf(recordId: number): Promise<DeviceBoundaryGroups> {
    return boundaryGroupsOf(this.#store, recordId);
  }

  timeline(query: TimelineQuery): Promise<TimelinePage> {
    return timelinePage(this.#store, query);
  }
}

function textOrNull(value: SqlValue | undefined): string | null {
  return value === null || value === undefined ? null : String(value);
}
