import { expect, test } from "vitest";
import type { SiteTable } from "../core/site-table.ts";
import type { Filter, Query } from "../protocol/admin-service/query.ts";
import { AnswerBody } from "./answer-body.ts";
import type { LaidOutTable } from "./site-tables.ts";
import { TableReader } from "./table-reader.ts";

const RANGE = { after: -1, through: 1_023 };
const asking = { lane: "snapshot", signal: new AbortController().signal } as const;

function tableOf(rowsPerKey: number): LaidOutTable {
  const table: SiteTable = {
    ...{ id: "T", of: { route: "wmi", name: "T" }, keyNames: ["ResourceID"], isRequired: false },
    ...{ reading: "always", rowsPerKey, content: { kind: "rows", facet: "rows" } },
  };
  return { table, keyName: "ResourceID", select: undefined, layout: "T" };
}

function matches(filter: Filter, key: number): boolean {
  if (filter.kind === "and") return filter.parts.every((part) => matches(part, key));
  if (filter.kind === "or") return filter.parts.some((part) => matches(part, key));
  if (filter.kind !== "comparison") throw new Error(filter.kind);
  return filter.operator === "gt" ? key > Number(filter.value) : key <= Number(filter.value);
}

/** A site with rows of these keys, and what it is asked. */
function siteWith(keys: readonly number[], pageRows: number, answer = given) {
  const queries: Query[] = [];
  const client = {
    page: async (_of: unknown, query: Query) => {
      queries.push(query);
      const found = answer(keys, query).slice(0, query.top);
      const value = found.map((ResourceID) => ({ ResourceID, A: "x" }));
      const body = new AnswerBody([Buffer.from(JSON.stringify({ value }))]);
      return { body, servedAt: undefined };
    },
  };
  return { reader: new TableReader({ client, pageRows, isOrdered: true }), queries };
}

function given(keys: readonly number[], { filter }: Query): readonly number[] {
  return keys.filter((key) => filter === undefined || matches(filter, key));
}

async function readOf({ reader }: ReturnType<typeof siteWith>, rowsPerKey: number) {
  const table = tableOf(rowsPerKey);
  return await reader.rows(await reader.fetch(table, RANGE, asking), asking);
}

const repeated = (key: number, times: number) => Array.from({ length: times }, () => key);

test("the ends of all parts of a range are asked for at once", async () => {
  const site = siteWith([...repeated(3, 2), ...repeated(200, 5), 900], 256);
  const { count } = await readOf(site, 1);
  expect(count).toBe(8);
  // Four parts, and their ends.
  expect(site.queries).toHaveLength(5);
  expect(site.queries[4]).toMatchObject({ select: ["ResourceID"], top: 7, filter: { kind: "or" } });
});

test("a part that came empty is not taken for empty because the site passes over some of what it is asked at once", async () => {
  let pages = 0;
  const site = siteWith([5, 600, 900], 256, (keys, query) => {
    pages += 1;
    // The third part comes empty the first time.
    if (pages === 3) return [];
    if (query.filter?.kind !== "or") return given(keys, query);
    const { parts: asked } = query.filter;
    const parts = asked.filter((_, at) => at === 0 || at === asked.length - 1);
    return given(keys, { ...query, filter: { kind: "or", parts } });
  });
  await expect(readOf(site, 1)).rejects.toMatchObject({ code: "page-short" });
});

test("ends are not asked for together with more rows than the site gives at once", async () => {
  // Each device has so many rows that no two of them fit in a page.
  const keys = [1, 2, 3, 4, 5, 6, 7, 8].flatMap((key) => repeated(key * 100, 60));
  const site = siteWith(keys, 100, (all, query) => given(all, query).slice(0, 100));
  expect((await readOf(site, 1)).count).toBe(480);
  expect(Math.max(...site.queries.map(({ top }) => top ?? 0))).toBeLessThanOrEqual(100);
});
