import { describe, expect, test } from "vitest";
import {
  DEFAULT_TOP,
  MAX_ORDER_TERMS,
  MAX_SELECTED,
  MAX_TOP,
  parseODataQuery,
} from "./odata-query.ts";

const parse = (text: string) => parseODataQuery(new URLSearchParams(text));

test("without options a page has the default size and no filter", () => {
  expect(parse("")).toEqual({ top: DEFAULT_TOP, orderBy: [], isCounted: false });
});

test("all options together", () => {
  expect(parse("$filter=a eq 1&$select=id, name&$top=5&$orderby=name desc,id&$count=true")).toEqual(
    {
      filter: {
        at: 1,
        kind: "compare",
        property: "a",
        operator: "eq",
        literal: { type: "number", value: 1 },
      },
      select: ["id", "name"],
      top: 5,
      orderBy: [
        { property: "name", isDescending: true },
        { property: "id", isDescending: false },
      ],
      isCounted: true,
    },
  );
});

describe("refused", () => {
  test.each([
    ["$skip=10", "odata-unknown-option"],
    ["$expand=x", "odata-unknown-option"],
    ["filter=a eq 1", "odata-unknown-option"],
    ["$top=1&$top=2", "odata-repeated-option"],
    ["$top=0", "odata-top"],
    ["$top=-1", "odata-top"],
    ["$top=1e2", "odata-top"],
    [`$top=${MAX_TOP + 1}`, "odata-top"],
    ["$count=1", "odata-syntax"],
    ["$select=", "odata-syntax"],
    ["$select=a;b", "odata-syntax"],
    ["$orderby=a up", "odata-syntax"],
    ["$orderby=a asc desc", "odata-syntax"],
    [
      `$orderby=${Array(MAX_ORDER_TERMS + 1)
        .fill("a")
        .join()}`,
      "odata-too-many-terms",
    ],
    [
      `$select=${Array(MAX_SELECTED + 1)
        .fill("a")
        .join()}`,
      "odata-too-many-terms",
    ],
    [`$skiptoken=${"x".repeat(2049)}`, "odata-skip-token"],
  ])("%s", (text, code) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ code }));
  });
});

test("the largest page is accepted", () => {
  expect(parse(`$top=${MAX_TOP}`).top).toBe(MAX_TOP);
});
