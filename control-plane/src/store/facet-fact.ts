import { type RawBuilder, sql } from "kysely";

type Sql = RawBuilder<unknown>;

/**
 * What stands in a facet, for a column of a list. An integer beyond those that JavaScript holds exactly comes as the nearest real number: the
 * store gives none such away, and one record would keep everybody from the whole list.
 */
export function factIn(facet: Sql, path: string): Sql {
  return sql`(SELECT CASE WHEN typeof(v) = 'integer' AND v NOT BETWEEN -9007199254740991 AND 9007199254740991
    THEN CAST(v AS REAL) ELSE v END FROM (SELECT json_extract(${facet}, ${path}) AS v))`;
}
