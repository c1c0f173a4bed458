import type { Row } from "@isthmus/shared/store/transaction";
import type { SourceEventView, SourceView } from "../core/inventory-views.ts";
import type { QueryableStore } from "./queryable-store.ts";

/** Reads how it stands with the systems that are read. */

/** Own limits: sources at 16 for each connector stay far below. */
const MAX_SOURCES = 10_000;
const MAX_COUNTS = 100_000;
const MAX_EVENTS = 1_000;

/** All sources, by name. `now` decides which leases are in force. */
export async function listSources(store: QueryableStore, now: number): Promise<SourceView[]> {
  const rows = await store.query(
    `SELECT s.*, c.display_name, c.connected_at FROM inventory_source s LEFT JOIN connector c ON c.id = s.connector_id
     ORDER BY s.name`,
    [],
    MAX_SOURCES,
  );
  const counts = await countsBySource(store);
  const events = await store.query(
    `SELECT * FROM inventory_event WHERE id IN
       (SELECT (SELECT max(id) FROM inventory_event WHERE source_id = s.id) FROM inventory_source s)`,
    [],
    MAX_SOURCES,
  );
  const lastEvents = new Map(events.map((row) => [row["source_id"], toEvent(row)]));
  return rows.map((row) => ({
    ...toSource(row, now),
    counts: counts.get(Number(row["id"])) ?? {},
    lastEvent: lastEvents.get(row["id"] ?? null),
  }));
}

async function countsBySource(store: QueryableStore): Promise<Map<number, Record<string, number>>> {
  const rows = await store.query(
    `SELECT source_id, kind, count(*) AS n FROM inventory_record WHERE deleted_at IS NULL GROUP BY source_id, kind`,
    [],
    MAX_COUNTS,
  );
  const counts = new Map<number, Record<string, number>>();
  for (const row of rows) {
    const id = Number(row["source_id"]);
    counts.set(id, { ...counts.get(id), [String(row["kind"])]: Number(row["n"]) });
  }
  return counts;
}

function toSource(row: Row, now: number): Omit<SourceView, "counts" | "lastEvent"> {
  const leaseUntil = optionalNumber(row, "lease_until");
  return {
    id: Number(row["id"]),
    name: String(row["name"]),
    type: String(row["type"]),
    lease: Number(row["lease"]),
    connectorId: optionalText(row, "connector_id"),
    connectorName: optionalText(row, "display_name"),
    isConnected: optionalNumber(row, "connected_at") !== undefined,
    isHeld: leaseUntil !== undefined && leaseUntil > now,
    leaseUntil,
    revision: Number(row["revision"]),
    lastEntryAt: optionalNumber(row, "last_entry_at"),
    passedOver: Number(row["passed_over"]),
    refused: Number(row["refused"]),
  };
}

/** What happened to a source, the newest first; `before` is the id that the page before ended with. */
export async function sourceEvents(
  store: QueryableStore,
  of: { readonly sourceId: number; readonly before?: number; readonly limit: number },
): Promise<SourceEventView[]> {
  const limit = Math.min(of.limit, MAX_EVENTS);
  const rows = await store.query(
    "SELECT * FROM inventory_event WHERE source_id = ? AND id < ? ORDER BY id DESC LIMIT ?",
    [of.sourceId, of.before ?? Number.MAX_SAFE_INTEGER, limit],
    limit,
  );
  return rows.map(toEvent);
}

function toEvent(row: Row): SourceEventView {
  const figures = optionalText(row, "figures");
  return {
    id: Number(row["id"]),
    at: Number(row["at"]),
    recordedAt: Number(row["recorded_at"]),
    side: row["side"] === "bridge" ? "bridge" : "cloud",
    event: String(row["event"]),
    kind: optionalText(row, "kind"),
    message: String(row["message"]),
    figures: figures === undefined ? undefined : JSON.parse(figures),
  };
}

function optionalText(row: Row, column: string): string | undefined {
  const value = row[column];
  return typeof value === "string" ? value : undefined;
}

function optionalNumber(row: Row, column: string): number | undefined {
  const value = row[column];
  return typeof value === "number" ? value : undefined;
}
