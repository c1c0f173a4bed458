import { type RawBuilder, sql } from "kysely";

type Sql = RawBuilder<unknown>;

/**
 * What stands in a facet, for a column of a list. An integer beyond those that JavaScript holds exactly comes as the nearest real number: the
 * store gives none such away, and one record would keep everybody from the whole list. One without end is none: no page could begin behind it.
 */
export function factIn(facet: Sql, path: string): Sql {
  return sql`(SELECT CASE WHEN typeof(v) = 'integer' AND v NOT BETWEEN -9007199254740991 AND 9007199254740991
    THEN CAST(v AS REAL) WHEN v IN (9e999, -9e999) THEN NULL ELSE v END FROM (SELECT json_extract(${facet}, ${path}) AS v))`;
}
