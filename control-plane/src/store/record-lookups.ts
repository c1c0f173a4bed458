import type { Row } from "@isthmus/shared/store/transaction";
import type { KeyedRecord, WaitingDeletions } from "../core/inventory-reads.ts";
import type { QueryableStore } from "./queryable-store.ts";

/** Finds records by what sources call them. */

/** Own limits: sources that one key is looked for in; events that are looked through for deletions that wait. */
const MAX_KEYED = 100;
const MAX_EVENTS = 20_000;

/** The records that have one of these keys, in whatever source. */
export async function recordsOfKey(
  store: QueryableStore,
  of: { readonly kind: string; readonly keys: readonly string[] },
): Promise<KeyedRecord[]> {
  // Source by source, as the index has it.
  const rows = await store.query(
    `SELECT r.id, s.name AS source, s.type AS source_type
     FROM inventory_source s CROSS JOIN json_each(?1) k CROSS JOIN inventory_record r
     WHERE r.source_id = s.id AND r.kind = ?2 AND r.key = k.value AND r.deleted_at IS NULL LIMIT ?3`,
    [JSON.stringify([...new Set(of.keys)]), of.kind, MAX_KEYED],
    MAX_KEYED,
  );
  return rows.map((row) => ({
    recordId: Number(row["id"]),
    source: String(row["source"]),
    sourceType: String(row["source_type"]),
  }));
}

/**
 * Deletions of a source that wait for an approval, by kind: what the bridge said at the end of its last scan, with the names that the
 * records have here.
 */
export async function waitingDeletions(
  store: QueryableStore,
  source: string,
): Promise<WaitingDeletions[]> {
  const rows = await store.query(
    `WITH told AS (SELECT e.* FROM inventory_source s CROSS JOIN inventory_event e
       WHERE s.name = ?1 AND e.source_id = s.id AND e.side = 'bridge' ORDER BY e.id DESC LIMIT ${MAX_EVENTS}),
     last AS (SELECT kind, max(id) AS id FROM told WHERE event IN ('deletions.waiting', 'scan.ended') GROUP BY kind)
     SELECT t.kind, t.at, t.source_id, t.figures, t.keys,
       (SELECT max(a.at) FROM told a WHERE a.event = 'deletions.approved' AND a.kind = t.kind AND a.id > t.id) AS approved_at,
       (SELECT min(w.at) FROM told w WHERE w.event = 'deletions.waiting' AND w.kind = t.kind AND w.id > coalesce((SELECT max(n.id)
          FROM told n WHERE n.event = 'scan.ended' AND n.kind = t.kind AND n.figures ->> '$.waiting' = 0), 0)) AS since,
       (SELECT json_group_array(json_array(k.value, r.id, r.name)) FROM json_each(t.keys) k LEFT JOIN inventory_record r
          ON r.source_id = t.source_id AND r.kind = t.kind AND r.key = k.value) AS records
     FROM last l JOIN told t ON t.id = l.id WHERE t.figures ->> '$.waiting' > 0 ORDER BY t.kind`,
    [source],
    MAX_KEYED,
  );
  return rows.map(toWaiting);
}

function toWaiting(row: Row): WaitingDeletions {
  const figures = JSON.parse(String(row["figures"])) as Readonly<Record<string, number>>;
  const records = JSON.parse(String(row["records"])) as [string, number | null, string | null][];
  return {
    kind: String(row["kind"]),
    waiting: figures["waiting"] ?? 0,
    of: figures["records"] ?? 0,
    toldAt: Number(row["at"]),
    since: Number(row["since"] ?? row["at"]),
    approvedAt: row["approved_at"] === null ? undefined : Number(row["approved_at"]),
    first: records.map(([key, recordId, name]) => ({ key, recordId, name })),
  };
}
