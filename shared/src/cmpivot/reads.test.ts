import { expect, test } from "vitest";
import { parseQuery } from "./parser.ts";
import { readsOf } from "./reads.ts";

const reads = (text: string) => readsOf(parseQuery(text));

test("a query reads its own entity and those of all joined queries, however deep", () => {
  const { entities, joins } = reads(
    "Device | join (Bios | join kind=leftouter (File('c:\\\\x') | join OS)) | join (Device | count)",
  );
  expect(entities.map(({ text }) => text)).toEqual(["Device", "Bios", "File('c:\\\\x')", "OS"]);
  expect(joins).toBe(4);
});

test("an argument is given without quotation marks and escapes", () => {
  const [read] = reads("registry(@'hklm:\\SOFTWARE\\*')").entities;
  expect(read).toMatchObject({ entity: "Registry", argument: "hklm:\\SOFTWARE\\*" });
});

test("the same entity with two arguments is two readings", () => {
  const { entities } = reads("Registry('a') | join (Registry('b')) | join (Registry('a'))");
  expect(entities.map(({ argument }) => argument)).toEqual(["a", "b"]);
});

test("a log is read for 24 hours unless the query says otherwise; nothing else has a window", () => {
  const window = (text: string) => reads(text).entities[0]?.windowMs;
  expect(window("CcmLog('Scripts')")).toBe(86_400_000);
  expect(window("CcmLog('Scripts', 90m)")).toBe(5_400_000);
  expect(window("WinEvent('Setup', 0.5d)")).toBe(43_200_000);
  expect(window("File('c:\\\\x')")).toBeUndefined();
  expect(window("Bios")).toBeUndefined();
});

test("functions are found wherever an expression stands, each once", () => {
  const { functions } = reads(
    `OS | where A > ago(1d) and strlen(B) == -strlen(tostring(C)) | order by indexof(A, 'x')
     | top 3 by bin(A, 2) | project D=iif(isnull(A), 1, 2) | join (Bios | where isnotnull(X))
     | summarize countif(A == now()) by substring(B, 1)`,
  );
  expect(functions.join(" ")).toBe(
    "ago bin countif iif indexof isnotnull isnull now strlen substring tostring",
  );
});

test("an entity that the documentation does not have is marked, with what it looks like", () => {
  expect(reads("Bois").entities[0]).toMatchObject({ isDocumented: false, suggestion: "Bios" });
  expect(reads("ContosoAsset").entities[0]).toMatchObject({
    isDocumented: false,
    suggestion: undefined,
  });
  expect(reads("Bios").entities[0]).toMatchObject({ isDocumented: true, suggestion: undefined });
});
