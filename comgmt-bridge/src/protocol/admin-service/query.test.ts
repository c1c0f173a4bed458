import { thrownCode } from "@isthmus/shared/testing/thrown-code";
import { expect, test } from "vitest";
import { classPath, objectPath } from "./path.ts";
import { compare, type Filter, filterText, queryText, type Value } from "./query.ts";

const DEVICE = { route: "v1.0", name: "Device" } as const;
const GUID = "0E5F5D1C-54E7-4E0B-9D2D-61B56D6A3A11";

test("a key stands in parentheses: numbers bare, text quoted, GUIDs without quotes", () => {
  expect(classPath(DEVICE)).toBe("v1.0/Device");
  expect(objectPath(DEVICE, 16777220)).toBe("v1.0/Device(16777220)");
  expect(objectPath({ route: "v1.0", name: "Collections" }, "O'1/?#")).toBe(
    "v1.0/Collections('O''1%2F%3F%23')",
  );
  expect(objectPath({ route: "wmi", name: "SMS_Scripts" }, { guid: GUID })).toBe(
    `wmi/SMS_Scripts(${GUID.toLowerCase()})`,
  );
});

test.each<[Value, string]>([
  [7, "A eq 7"],
  [-1, "A eq -1"],
  ["it's", "A eq 'it''s'"],
  ["", "A eq ''"],
  [true, "A eq true"],
  [null, "A eq null"],
  [{ at: 1_768_435_200_000 }, "A eq 2026-01-15T00:00:00.000Z"],
  [{ guid: GUID }, `A eq ${GUID.toLowerCase()}`],
])("the value %j is written as OData has its type", (value, text) => {
  expect(filterText(compare("A", "eq", value))).toBe(text);
});

test("a mixture of and and or keeps its meaning by parentheses", () => {
  const [a, b, c] = ["A", "B", "C"].map((name) => compare(name, "gt", 1)) as [
    Filter,
    Filter,
    Filter,
  ];
  const mixed: Filter = { kind: "and", parts: [a, { kind: "or", parts: [b, c] }] };
  expect(filterText(mixed)).toBe("A gt 1 and (B gt 1 or C gt 1)");
  expect(filterText({ kind: "and", parts: [a, { kind: "and", parts: [b, c] }] })).toBe(
    "A gt 1 and B gt 1 and C gt 1",
  );
});

test("a query is encoded for a URL, option by option", () => {
  const text = queryText({
    filter: { kind: "startswith", property: "Name", text: "a&b=c'" },
    select: ["ResourceID", "Name"],
    orderBy: { property: "ResourceID" },
    top: 10,
    skip: 0,
  });
  expect([...new URLSearchParams(text)]).toEqual([
    ["$filter", "startswith(Name,'a&b=c''')"],
    ["$select", "ResourceID,Name"],
    ["$orderby", "ResourceID asc"],
    ["$top", "10"],
    ["$skip", "0"],
  ]);
  expect(queryText({})).toBe("");
});

const filterOf = (value: Value, property = "A") => ({ filter: compare(property, "eq", value) });

test.each<[string, () => unknown]>([
  ["admin-service-name", () => queryText(filterOf(1, "A or 1 eq 1"))],
  ["admin-service-name", () => classPath({ route: "wmi", name: "SMS_R_System?$top=1" })],
  ["admin-service-key", () => queryText(filterOf("a\nb"))],
  ["admin-service-key", () => queryText(filterOf("\ud800"))],
  ["admin-service-key", () => queryText(filterOf({ guid: "1 or 1 eq 1" }))],
  ["admin-service-key", () => objectPath(DEVICE, 1.5)],
  ["admin-service-query", () => queryText(filterOf(Number.NaN))],
  ["admin-service-query", () => queryText(filterOf({ at: -1 }))],
  ["admin-service-query", () => queryText({ filter: { kind: "or", parts: [] } })],
  ["admin-service-query", () => queryText({ top: -1 })],
  ["admin-service-query", () => queryText({ top: 100_001 })],
  ["admin-service-query", () => queryText({ skip: 0.5 })],
])("%s: what cannot be written is refused", (code, act) => {
  expect(thrownCode(act)).toBe(code);
});

test("a query is as long as a request line may be, and no longer", () => {
  const overhead = queryText(filterOf("")).length;
  expect(queryText(filterOf("x".repeat(8_192 - overhead)))).toHaveLength(8_192);
  expect(thrownCode(() => queryText(filterOf("x".repeat(8_193 - overhead))))).toBe(
    "admin-service-query",
  );
  expect(queryText({ top: 100_000 })).toBe("?$top=100000");
});
