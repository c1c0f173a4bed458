import { DatabaseSync } from "node:sqlite";
import { queryBuilder } from "@isthmus/shared/store/query-builder";
import { sql } from "kysely";
import { expect, test } from "vitest";
import { factIn } from "./facet-fact.ts";

test.each([
  ['{"a":5}', 5],
  ['{"a":-0.5}', -0.5],
  ['{"a":"x"}', "x"],
  ['{"a":true}', 1],
  ['{"a":null}', null],
  ['{"b":1}', null],
  ['{"a":9007199254740991}', 9_007_199_254_740_991],
  ['{"a":9007199254740993}', 9_007_199_254_740_992],
  ['{"a":-9223372036854775808}', -(2 ** 63)],
  ['{"a":123456789012345678901234567890}', 1.2345678901234568e29],
  ['{"a":1e999}', null],
  ['{"a":-1e999}', null],
])("what stands in %s can be read", (facet, value) => {
  using database = new DatabaseSync(":memory:");
  const { sql: text, parameters } = sql`SELECT ${factIn(sql`${facet}`, "$.a")} AS value`.compile(
    queryBuilder<Record<string, never>>(),
  );
  expect(database.prepare(text).get(...(parameters as string[]))).toEqual({ value });
});
