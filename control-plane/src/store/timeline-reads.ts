import type { Row, SqlValue } from "@isthmus/shared/store/transaction";
import type { TimelineEvent, TimelineKind, TimelinePage } from "../core/timeline.ts";
import type { QueryableStore } from "./queryable-store.ts";

/** What happened to devices, in the order in which it was learnt. */

/** Own limits: lines of a page, and how many a page looks at before it says where it stopped. */
const MAX_PAGE = 1_000;
const MAX_SEARCHED = 50_000;

export interface TimelineRequest {
  /** Of one device; of all of them where absent. */
  readonly recordId?: number;
  readonly kinds?: readonly TimelineKind[];
  /** Part of title, actor or detail, whatever the case of letters of ASCII. */
  readonly search?: string;
  /** Events from here on and before here, by the clock of who told them. */
  readonly from?: number;
  readonly until?: number;
  /** Where the page before ended: only what was learnt before this id. */
  readonly before?: number;
  readonly limit: number;
}

/**
 * A page of a timeline, the newest first. A search is a substring in an order by id, which no index of words answers: it looks at so
 * many lines at a time and tells where it stopped, so that a page may be empty and have a next one.
 */
export async function timelinePage(
  store: QueryableStore,
  request: TimelineRequest,
): Promise<TimelinePage> {
  const limit = Math.min(request.limit, MAX_PAGE);
  const { conditions, values } = conditionsOf(request);
  const floor = await floorOf(store, request);
  const rows = await store.query(
    `SELECT id, record_id, at, recorded_at, kind, actor, title, detail FROM timeline_event
     WHERE id >= ? ${conditions.map((each) => `AND ${each}`).join(" ")} ORDER BY id DESC LIMIT ?`,
    [floor, ...values, limit + 1],
    limit + 1,
  );
  const events = rows.slice(0, limit).map(toEvent);
  if (rows.length > limit) return { events, before: events.at(-1)?.id };
  return { events, before: floor > 0 ? floor : undefined };
}

/** The lowest id that this page looks at. */
async function floorOf(store: QueryableStore, request: TimelineRequest): Promise<number> {
  const [column, values] = scopeOf(request);
  const [row] = await store.query(
    `SELECT id FROM timeline_event WHERE ${column} AND id < ? ORDER BY id DESC LIMIT 1 OFFSET ?`,
    [...values, request.before ?? Number.MAX_SAFE_INTEGER, MAX_SEARCHED],
    1,
  );
  return Number(row?.["id"] ?? -1) + 1;
}

function scopeOf({ recordId }: TimelineRequest): [string, SqlValue[]] {
  return recordId === undefined ? ["1", []] : ["record_id = ?", [recordId]];
}

function conditionsOf(request: TimelineRequest) {
  const { kinds, search, from, until, before } = request;
  const [scope, scopeValues] = scopeOf(request);
  const conditions = [scope];
  const values = [...scopeValues];
  const add = (condition: string, ...more: SqlValue[]) => {
    conditions.push(condition);
    values.push(...more);
  };
  if (before !== undefined) add("id < ?", before);
  if (from !== undefined) add("at >= ?", from);
  if (until !== undefined) add("at < ?", until);
  if (kinds !== undefined) add("kind IN (SELECT value FROM json_each(?))", JSON.stringify(kinds));
  if (search !== undefined && search !== "") {
    // A detail is JSON, which has a path with two backslashes for each.
    const places = { title: search, actor: search, detail: JSON.stringify(search).slice(1, -1) };
    // Both sides by SQLite's lower, which leaves letters beyond ASCII as they are.
    const isIn = (column: string) => `instr(lower(coalesce(${column}, '')), lower(?)) > 0`;
    add(`(${Object.keys(places).map(isIn).join(" OR ")})`, ...Object.values(places));
  }
  return { conditions, values };
}

function toEvent(row: Row): TimelineEvent {
  const detail = row["detail"];
  const actor = row["actor"];
  return {
    id: Number(row["id"]),
    recordId: Number(row["record_id"]),
    at: Number(row["at"]),
    recordedAt: Number(row["recorded_at"]),
    kind: row["kind"] as TimelineKind,
    actor: actor === null ? undefined : String(actor),
    title: String(row["title"]),
    detail: typeof detail === "string" ? JSON.parse(detail) : undefined,
  };
}
