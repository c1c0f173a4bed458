import { boundaryGroupsNamed } from "../core/boundary-groups.ts";
import type { DeviceBoundaryGroups } from "../core/inventory-reads.ts";
import type { QueryableStore } from "./queryable-store.ts";

/** Own limit: groups of a site whose names stand in the text of one device. */
const MAX_KNOWN = 2_000;

/** A site lists the groups of a device by their names; those that stand in the text are looked up among the groups of the same site. */
export async function boundaryGroupsOf(
  store: QueryableStore,
  recordId: number,
): Promise<DeviceBoundaryGroups> {
  const rows = await store.query(
    `SELECT s.name AS source, t.text, g.id, g.key, g.name
     FROM inventory_record d JOIN inventory_source s ON s.id = d.source_id
       LEFT JOIN (SELECT record_id, json_extract(value, '$.BoundaryGroups') AS text FROM inventory_facet
         WHERE facet = 'boundaryGroups' AND json_type(value, '$.BoundaryGroups') = 'text') t ON t.record_id = d.id
       LEFT JOIN inventory_record g ON g.source_id = d.source_id AND g.kind = 'boundary-group' AND g.deleted_at IS NULL
         AND g.name <> '' AND instr(t.text, g.name) > 0
     WHERE d.id = ? ORDER BY g.id LIMIT ?`,
    [recordId, MAX_KNOWN],
    MAX_KNOWN,
  );
  const known = rows
    .filter(({ id }) => id !== null)
    .map((row) => ({
      name: String(row["name"]),
      recordId: Number(row["id"]),
      key: String(row["key"]),
    }));
  const [first] = rows;
  return {
    source: String(first?.["source"] ?? ""),
    ...boundaryGroupsNamed(String(first?.["text"] ?? ""), known),
  };
}
