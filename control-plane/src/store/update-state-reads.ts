import type { Row } from "@isthmus/shared/store/transaction";
import type { UpdateState } from "../core/inventory-reads.ts";
import type { QueryableStore } from "./queryable-store.ts";

/** Own limit: updates of one device. */
const MAX_UPDATES = 20_000;

/** A column of a foreign row that is a UInt32 (SDK reference); NULL for anything else, which no number of a state can be. */
const numberIn = (column: string) =>
  `CASE WHEN json_type(j.value, '$.${column}') = 'integer' AND json_extract(j.value, '$.${column}') BETWEEN 0 AND 4294967295
     THEN json_extract(j.value, '$.${column}') END`;

/** The software updates that a device's site tells of it, each with what is known of the update itself. */
export async function updateStates(
  store: QueryableStore,
  recordId: number,
): Promise<readonly UpdateState[]> {
  const rows = await store.query(
    `SELECT u.id, CAST(json_extract(j.value, '$.CI_ID') AS TEXT) AS key, ${numberIn("Status")} AS status,
       ${numberIn("LastEnforcementMessageID")} AS enforcement, u.name,
       (SELECT CAST(json_extract(identity, '$.ArticleID') AS TEXT) FROM inventory_document WHERE record_id = u.id) AS article
     FROM inventory_facet f CROSS JOIN inventory_record d CROSS JOIN json_each(f.value) j
       LEFT JOIN inventory_record u ON u.source_id = d.source_id AND u.kind = 'software-update'
         AND u.key = CAST(json_extract(j.value, '$.CI_ID') AS TEXT) AND u.deleted_at IS NULL
     WHERE f.record_id = ? AND f.facet = 'updateCompliance' AND d.id = f.record_id AND json_type(f.value) = 'array'
       AND j.type = 'object' AND json_type(j.value, '$.CI_ID') IN ('integer', 'text')
     LIMIT ?`,
    [recordId, MAX_UPDATES],
    MAX_UPDATES,
  );
  return rows.map((row) => ({
    recordId: row["id"] === null ? null : Number(row["id"]),
    key: String(row["key"]),
    status: numberOrNull(row, "status"),
    enforcement: numberOrNull(row, "enforcement"),
    displayName: textOrNull(row, "name"),
    articleId: textOrNull(row, "article"),
  }));
}

function numberOrNull(row: Row, column: string): number | null {
  const value = row[column];
  return typeof value === "number" ? value : null;
}

function textOrNull(row: Row, column: string): string | null {
  const value = row[column];
  return value === null || value === undefined ? null : String(value);
}
