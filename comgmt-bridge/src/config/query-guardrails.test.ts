import { MAX_JOINS, MAX_NESTING, MAX_QUERY_CHARACTERS } from "@isthmus/shared/cmpivot/limits";
import { expect, test } from "vitest";
import { guardrails } from "./bridge-configuration.ts";

test("without a section nothing is listed", () => {
  expect(guardrails.parse({}).queries).toMatchObject({ entities: [] });
});

test("an entity is a name, or an object with patterns", () => {
  const entities = ["*", "Contoso_Asset", { entity: "File", arguments: ["%windir%\\*.exe"] }];
  expect(guardrails.parse({ queries: { entities } }).queries.entities).toEqual([
    { entity: "*", arguments: [] },
    { entity: "Contoso_Asset", arguments: [] },
    { entity: "File", arguments: ["%windir%\\*.exe"] },
  ]);
});

test.each([
  "c:\\logs\\..\\*",
  "c:\\logs\\a?",
  "c:\\logs\\[ab]",
  "c:\\logs\\a.",
  "c:\\logs \\a",
  "c:\\ logs",
  "`*",
  "",
])("the pattern %j would not mean what it seems to, and is refused", (pattern) => {
  const queries = { entities: [{ entity: "File", arguments: [pattern] }] };
  expect(guardrails.safeParse({ queries }).success).toBe(false);
});

test("limits may be as wide as the language, and no wider", () => {
  const limited = (limits: object) => guardrails.safeParse({ queries: { limits } }).success;
  for (const [key, max] of Object.entries({
    maxJoins: MAX_JOINS,
    maxNesting: MAX_NESTING,
    maxCharacters: MAX_QUERY_CHARACTERS,
  })) {
    expect(limited({ [key]: max })).toBe(true);
    expect(limited({ [key]: max + 1 })).toBe(false);
  }
});
