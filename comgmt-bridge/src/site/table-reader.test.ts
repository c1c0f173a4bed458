import { ConnectorError } from "@isthmus/shared/errors";
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
  const learnt: string[] = [];
  const client = {
    page: async (_of: unknown, query: Query) => {
      queries.push(query);
      const found = answer(keys, query).slice(0, query.top);
      const value = found.map((ResourceID) => ({ ResourceID, A: "x" }));
      const body = new AnswerBody([Buffer.from(JSON.stringify({ value }))]);
      return { body, servedAt: undefined };
    },
  };
  const onOneAtATime = ({ code }: { readonly code: string }) => learnt.push(code);
  const reader = new TableReader({ client, pageRows, isOrdered: true, onOneAtATime });
  return { reader, queries, learnt };
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
    return firstAndLast(keys, query);
  });
  // One at a time it says that there is more in the third part, which is read again.
  expect((await readOf(site, 1)).count).toBe(3);
  expect(site.learnt).toEqual(["page-short"]);
});

/** A site that passes over some of what it is asked at once. */
function firstAndLast(keys: readonly number[], query: Query): readonly number[] {
  if (query.filter?.kind !== "or") return given(keys, query);
  const { parts: asked } = query.filter;
  const parts = asked.filter((_, at) => at === 0 || at === asked.length - 1);
  return given(keys, { ...query, filter: { kind: "or", parts } });
}

const refusal =
  (code: string, isRetryable = false) =>
  () => {
    throw new ConnectorError(code, "refused", { isRetryable });
  };

test.each<readonly [string, string, (keys: readonly number[], query: Query) => readonly number[]]>([
  ["answers for the first part alone", "page-short", (keys, query) => firstPart(keys, query)],
  ["answers for the first and the last", "page-short", firstAndLast],
  ["answers as if it were not there", "page-short", () => [5, 6, 7, 8, 9]],
  ["is refused with 400", "site-bad-request", refusal("site-bad-request")],
  ["is refused with 414", "site-status", refusal("site-status")],
  ["is refused with 404.15", "site-not-found", refusal("site-not-found")],
  ["is refused by a proxy's page", "site-page", refusal("site-page")],
  ["is forbidden by a proxy", "site-forbidden", refusal("site-forbidden")],
  ["fails at the provider", "site-failed", refusal("site-failed", true)],
  ["is never answered", "site-timeout", refusal("site-timeout", true)],
])(
  "where a filter over several parts %s, one is asked for at a time from then on",
  async (_how, code, several) => {
    const keys = [5, 300, 600, 900];
    const site = siteWith(keys, 256, (all, query) =>
      query.filter?.kind === "or" ? several(all, query) : given(all, query),
    );
    expect((await readOf(site, 1)).count).toBe(4);
    expect(site.learnt).toEqual([code]);
    const asked = site.queries.length;
    expect((await readOf(site, 1)).count).toBe(4);
    expect(site.queries.slice(asked).some(({ filter }) => filter?.kind === "or")).toBe(false);
    expect(site.learnt).toHaveLength(1);
  },
);

function firstPart(keys: readonly number[], query: Query): readonly number[] {
  const [filter] = query.filter?.kind === "or" ? query.filter.parts : [];
  return filter === undefined ? given(keys, query) : given(keys, { ...query, filter });
}

test("what one part alone shows counts, and nothing is learnt of a filter that said the same", async () => {
  const keys = [5, 300, 600, 900];
  // The second part has a row more behind its page, each time.
  const site = siteWith(keys, 256, (all, query) => {
    const isPage = query.select === undefined;
    return given(isPage ? all : [...all, 301].sort((one, other) => one - other), query);
  });
  await expect(readOf(site, 1)).rejects.toMatchObject({ code: "page-short" });
  expect(site.learnt).toEqual([]);
});

test.each(["site-unreachable", "site-throttled", "site-circuit-open"])(
  "%s says nothing of a filter",
  async (code) => {
    const site = siteWith([5, 300], 256, (all, query) =>
      query.filter?.kind === "or" ? refusal(code, true)() : given(all, query),
    );
    await expect(readOf(site, 1)).rejects.toMatchObject({ code });
    expect(site.learnt).toEqual([]);
  },
);

test("ends are not asked for together with more rows than the site gives at once", async () => {
  // Each device has so many rows that no two of them fit in a page.
  const keys = [1, 2, 3, 4, 5, 6, 7, 8].flatMap((key) => repeated(key * 100, 60));
  const site = siteWith(keys, 100, (all, query) => given(all, query).slice(0, 100));
  expect((await readOf(site, 1)).count).toBe(480);
  expect(Math.max(...site.queries.map(({ top }) => top ?? 0))).toBeLessThanOrEqual(100);
});
