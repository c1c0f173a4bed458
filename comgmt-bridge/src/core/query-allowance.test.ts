import type { QueryReads } from "@isthmus/shared/cmpivot/reads";
import { RefusalError } from "@isthmus/shared/errors";
import { expect, test } from "vitest";
import { judgeQuery, type QueryAllowance } from "./query-allowance.ts";

const limits = { maxCharacters: 100, maxJoins: 2, maxNesting: 3, maxWindowHours: 24 };
const allowance: QueryAllowance = {
  entities: [
    { entity: "*", arguments: [] },
    { entity: "contoso_asset", arguments: [] },
    { entity: "Registry", arguments: ["hklm:\\software\\contoso\\*"] },
    { entity: "EventLog", arguments: ["System"] },
    { entity: "File", arguments: [] },
  ],
  functions: ["count", "ago"],
  limits,
};

function read(entity: string, argument?: string, windowMs?: number) {
  return {
    entity,
    isDocumented: !entity.startsWith("Contoso") && entity !== "Bois",
    argument,
    windowMs,
    text: entity,
    suggestion: entity === "Bois" ? "Bios" : undefined,
  };
}

const good: QueryReads = {
  text: "Bios | count",
  entities: [read("Bios")],
  functions: ["count"],
  joins: 0,
  nesting: 0,
};

function verdict(change: Partial<QueryReads>, rules = allowance) {
  try {
    judgeQuery({ ...good, ...change }, rules);
    return "allowed";
  } catch (error) {
    if (!(error instanceof RefusalError)) throw error;
    return `${error.code} by ${error.rule}: ${error.message}`;
  }
}

test.each([
  ["a documented entity", { entities: [read("Bios"), read("Disk")] }],
  ["a listed class of the own inventory, in any case", { entities: [read("Contoso_Asset")] }],
  ["a listed argument", { entities: [read("Registry", "HKLM:\\Software\\Contoso\\App")] }],
  ["a log as far back as is allowed", { entities: [read("EventLog", "system", 86_400_000)] }],
  ["no function at all", { functions: [] }],
])("%s is allowed", (_, change) => {
  expect(verdict(change)).toBe("allowed");
});

test.each([
  [
    "an unlisted class of the own inventory",
    { entities: [read("Bios"), read("Contoso_Secret")] },
    /query-entity-refused by guardrails.comgmt-bridge.queries.entities: the entity Contoso_Secret, which the documentation does not have, is not listed$/,
  ],
  [
    "a misspelt entity",
    { entities: [read("Bois")] },
    /query-entity-refused .* did you mean Bios\?/,
  ],
  [
    "an entity with an argument, though all others are allowed",
    { entities: [read("FileContent", "c:\\x")] },
    /query-entity-refused/,
  ],
  [
    "another argument",
    { entities: [read("Registry", "hklm:\\sam\\*")] },
    /query-argument-refused .* allowed are hklm:\\software\\contoso\\\*/,
  ],
  [
    "any argument where no pattern is listed",
    { entities: [read("File", "c:\\x")] },
    /query-argument-refused .* none is/,
  ],
  [
    "a joined reading behind an allowed one",
    { entities: [read("Bios"), read("EventLog", "Security")] },
    /query-argument-refused/,
  ],
  [
    "an unlisted function",
    { functions: ["ago", "strcat"] },
    /query-function-refused by guardrails.comgmt-bridge.queries.functions: the function strcat\(\)/,
  ],
])("%s is refused", (_, change, expected) => {
  expect(verdict(change)).toMatch(expected);
});

test.each([
  ["maxCharacters", (size: number) => ({ text: "x".repeat(size) }), limits.maxCharacters],
  ["maxJoins", (size: number) => ({ joins: size }), limits.maxJoins],
  ["maxNesting", (size: number) => ({ nesting: size }), limits.maxNesting],
  [
    "maxWindowHours",
    (size: number) => ({ entities: [read("EventLog", "System", size * 3_600_000)] }),
    limits.maxWindowHours,
  ],
])("%s holds below, at and above it", (key, change, max) => {
  expect(verdict(change(max - 1))).toBe("allowed");
  expect(verdict(change(max))).toBe("allowed");
  expect(verdict(change(max + 1))).toMatch(
    `query-limit-exceeded by guardrails.comgmt-bridge.queries.limits.${key}`,
  );
});

test("nothing is allowed where nothing is listed", () => {
  expect(verdict({}, { ...allowance, entities: [] })).toMatch(/query-entity-refused/);
});

test("all functions are allowed where none are listed", () => {
  expect(verdict({ functions: ["strcat"] }, { ...allowance, functions: undefined })).toBe(
    "allowed",
  );
});
