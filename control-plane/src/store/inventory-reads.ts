import { VOLATILE_FACET } from "@isthmus/shared/link/inventory-digest";
import type { Row } from "@isthmus/shared/store/transaction";
import { type FieldDifference, facetDifferences } from "../core/facet-differences.ts";
import type { FacetValue, JoinedRecord, RecordDifferences } from "../core/inventory-views.ts";
import type { QueryableStore } from "./queryable-store.ts";

/** Reads records as they are and as they were, on the thread that reads. */

/** Own limits. */
const MAX_FACETS_READ = 1_000;
const MAX_HISTORY_PAGE = 500;
const MAX_JOINED = 100;
const DAY_MS = 86_400_000;
const ALL_TIME = 8_640_000_000_000_000;

/**
 * The facets that a record had at a moment, or has now; none where it was not there. Of `volatile` there is one value for each day, which
 * stands for all of it.
 */
export async function facetsAt(
  store: QueryableStore,
  recordId: number,
  at = ALL_TIME,
): Promise<FacetValue[]> {
  // One statement sees one state of the store: a value that becomes history meanwhile is in neither part twice.
  const rows = await store.query(
    `SELECT facet, revision, at, NULL AS until, hash, value FROM inventory_facet WHERE record_id = ?1 AND at <= ?2
     UNION ALL
     SELECT facet, revision, at, until, hash, value FROM inventory_history
       WHERE record_id = ?1 AND facet <> ?3 AND at <= ?2 AND until > ?2
     UNION ALL
     SELECT * FROM (SELECT facet, revision, at, until, hash, value FROM inventory_history
       WHERE record_id = ?1 AND facet = ?3 AND at <= ?2 ORDER BY revision DESC LIMIT 1)`,
    [recordId, at, VOLATILE_FACET],
    MAX_FACETS_READ,
  );
  const values = rows.map(toFacetValue);
  const lasting = values.filter(({ facet }) => facet !== VOLATILE_FACET);
  const isThere = lasting.length > 0;
  const [moving] = values
    .filter(({ facet, until }) => facet === VOLATILE_FACET && covers(until, at, isThere))
    .sort((one, other) => other.at - one.at);
  return [...lasting, ...(moving === undefined ? [] : [moving])].sort(byFacet);
}

function covers(until: number | undefined, at: number, isThere: boolean): boolean {
  if (until === undefined || at < until) return true;
  return isThere && Math.floor(until / DAY_MS) === Math.floor(at / DAY_MS);
}

function byFacet(one: FacetValue, other: FacetValue): number {
  return one.facet < other.facet ? -1 : 1;
}

function toFacetValue(row: Row): FacetValue {
  return {
    facet: String(row["facet"]),
    revision: Number(row["revision"]),
    at: Number(row["at"]),
    until: row["until"] === null ? undefined : Number(row["until"]),
    hash: String(row["hash"]),
    value: JSON.parse(String(row["value"])),
  };
}

/** What a facet was, the newest first, beginning with what it is; `before` is the revision that the page before ended with. */
export async function facetHistory(
  store: QueryableStore,
  of: { recordId: number; facet: string; before?: number; limit: number },
): Promise<{ readonly values: FacetValue[]; readonly before: number | undefined }> {
  const limit = Math.min(of.limit, MAX_HISTORY_PAGE);
  const rows = await store.query(
    `SELECT * FROM (
       SELECT facet, revision, at, NULL AS until, hash, value FROM inventory_facet WHERE record_id = ?1 AND facet = ?2
       UNION ALL
       SELECT facet, revision, at, until, hash, value FROM inventory_history WHERE record_id = ?1 AND facet = ?2)
     WHERE revision < ?3 ORDER BY revision DESC LIMIT ?4`,
    [of.recordId, of.facet, of.before ?? Number.MAX_SAFE_INTEGER, limit + 1],
    limit + 1,
  );
  const values = rows.slice(0, limit).map(toFacetValue);
  return { values, before: rows.length > limit ? values.at(-1)?.revision : undefined };
}

/** How a record differs between two moments, at most `limit` fields; volatile values only where asked for. */
export async function recordDifferences(
  store: QueryableStore,
  of: {
    readonly recordId: number;
    readonly from: number;
    readonly to: number;
    readonly limit: number;
    readonly withVolatile?: boolean;
  },
): Promise<RecordDifferences> {
  const before = byName(await facetsAt(store, of.recordId, of.from));
  const after = byName(await facetsAt(store, of.recordId, of.to));
  const fields: FieldDifference[] = [];
  let isCut = false;
  for (const facet of [...new Set([...before.keys(), ...after.keys()])].sort()) {
    const [was, is] = [before.get(facet), after.get(facet)];
    const isLeftOut = facet === VOLATILE_FACET && of.withVolatile !== true;
    if (isLeftOut || was?.hash === is?.hash) continue;
    const found = facetDifferences(facet, was?.value, is?.value, of.limit - fields.length);
    fields.push(...found.fields);
    isCut ||= found.isCut;
  }
  return { fields, isCut };
}

function byName(values: readonly FacetValue[]): Map<string, FacetValue> {
  return new Map(values.map((value) => [value.facet, value]));
}

/** The same object in a directory, seen from a site, and the other way: by its SID, never by its name. Agents' devices stand alone. */
export async function joinedBySid(
  store: QueryableStore,
  recordId: number,
): Promise<JoinedRecord[]> {
  const rows = await store.query(
    `SELECT o.id, os.name AS source, os.type AS source_type, o.kind, o.key, o.name
     FROM inventory_record r JOIN inventory_source rs ON rs.id = r.source_id
       JOIN inventory_record o ON substr(o.sid, -6) COLLATE NOCASE = substr(r.sid, -6) AND o.sid = r.sid AND o.kind = r.kind AND o.id <> r.id
       JOIN inventory_source os ON os.id = o.source_id
     WHERE r.id = ? AND r.sid IS NOT NULL AND o.deleted_at IS NULL
       AND (rs.type, os.type) IN (VALUES ('configmgr', 'active-directory'), ('active-directory', 'configmgr'))
     ORDER BY o.id LIMIT ${MAX_JOINED}`,
    [recordId],
    MAX_JOINED,
  );
  return rows.map((row) => ({
    id: Number(row["id"]),
    source: String(row["source"]),
    sourceType: String(row["source_type"]),
    kind: String(row["kind"]),
    key: String(row["key"]),
    name: row["name"] === null ? undefined : String(row["name"]),
  }));
}
