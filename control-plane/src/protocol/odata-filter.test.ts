import { describe, expect, test } from "vitest";
import { MAX_FILTER_DEPTH, MAX_FILTER_TERMS, parseFilter } from "./odata-filter.ts";
import { MAX_EXPRESSION_CHARACTERS } from "./odata-tokens.ts";

const named = (property: string, value: string, at: number) => ({
  kind: "compare",
  property,
  operator: "eq",
  literal: { type: "string", value },
  at,
});

describe("a filter is read as OData says", () => {
  test("and binds tighter than or", () => {
    expect(parseFilter("a eq '1' or b eq '2' and c eq '3'")).toEqual({
      kind: "or",
      operands: [
        named("a", "1", 1),
        { kind: "and", operands: [named("b", "2", 13), named("c", "3", 26)] },
      ],
    });
  });

  test("parentheses bind tighter than and", () => {
    expect(parseFilter("(a eq '1' or b eq '2') and c eq '3'")).toEqual({
      kind: "and",
      operands: [
        { kind: "or", operands: [named("a", "1", 2), named("b", "2", 14)] },
        named("c", "3", 28),
      ],
    });
  });

  test("not takes the next term alone", () => {
    expect(parseFilter("not a eq '1' and b eq '2'")).toEqual({
      kind: "and",
      operands: [{ kind: "not", operand: named("a", "1", 5) }, named("b", "2", 18)],
    });
  });

  test("a doubled quote is one quote", () => {
    expect(parseFilter("a eq 'O''Neill'")).toEqual(named("a", "O'Neill", 1));
  });

  test.each([
    ["12", { type: "number", value: 12 }],
    ["-1.5", { type: "number", value: -1.5 }],
    ["true", { type: "boolean", value: true }],
    ["null", { type: "null", value: null }],
    ["2026-02-28T10:00:00Z", { type: "time", value: 1_772_272_800_000 }],
    ["2026-02-28T10:00:00.25+02:00", { type: "time", value: 1_772_265_600_250 }],
  ])("literal %s", (text, literal) => {
    expect(parseFilter(`a ge ${text}`)).toEqual({
      kind: "compare",
      property: "a",
      operator: "ge",
      literal,
      at: 1,
    });
  });

  test.each([
    ["startswith(a,'x')", { kind: "startswith", property: "a", text: "x", at: 1 }],
    ["contains( a , 'x' )", { kind: "contains", property: "a", text: "x", at: 1 }],
    ["startswith(a,'x') eq true", { kind: "startswith", property: "a", text: "x", at: 1 }],
    [
      "startswith(a,'x') eq false",
      { kind: "not", operand: { kind: "startswith", property: "a", text: "x", at: 1 } },
    ],
  ])("%s", (text, expected) => {
    expect(parseFilter(text)).toEqual(expected);
  });
});

describe("what is no filter is refused with its code", () => {
  test.each([
    [""],
    ["a"],
    ["a eq"],
    ["a like 'x'"],
    ["a eq 'x"],
    ["a eq b"],
    ["(a eq '1'"],
    ["a eq '1')"],
    ["a eq '1' b eq '2'"],
    ["endswith(a,'x')"],
    ["startswith(a,1)"],
    ["startswith(a,'x') eq 1"],
    ["a eq 2026-02-30T10:00:00Z"],
    ["a eq 2026-02-28T24:00:00Z"],
    ["a eq 1;drop table x"],
    ["a eq 12345678901234567890"],
  ])("%s", (text) => {
    expect(() => parseFilter(text)).toThrow(expect.objectContaining({ code: "odata-syntax" }));
  });
});

test.each([
  [
    "",
    "expected a property, startswith(, contains(, not or ( at character 1, where the filter ends",
  ],
  [
    "nonsense",
    "expected an operator, one of eq, ne, gt, ge, lt, le at character 9, where the filter ends",
  ],
  [
    "deviceName like 'x'",
    "expected an operator, one of eq, ne, gt, ge, lt, le at character 12, where like stands",
  ],
  ["deviceName eq", "at character 14, where the filter ends"],
  [
    "deviceName eq eq",
    "expected a value: a string in single quotation marks, a number, a time, true, false or null at character 15, where eq stands",
  ],
  [
    "deviceName eq 'a' osVersion eq 'b'",
    "expected and, or or the end at character 19, where osVersion stands",
  ],
  ["(deviceName eq 'a'", "expected and, or or ) at character 19, where the filter ends"],
  ["startswith(deviceName 'a')", "expected a comma at character 23, where a string stands"],
  [
    "startswith(deviceName,1)",
    "expected a string in single quotation marks at character 23, where a number stands",
  ],
  [
    "endswith(deviceName,'a')",
    "Function endswith at character 1 is none of startswith and contains",
  ],
  ['deviceName eq "a"', "Nothing known begins at character 15"],
  ["deviceName eq 'a", "The string that begins at character 15 has no end"],
])("what is wrong with %s is said with its place and what may stand there", (text, words) => {
  expect(() => parseFilter(text)).toThrow(words);
});

describe("limits", () => {
  const terms = (count: number) => Array(count).fill("a eq 1").join(" or ");
  const nested = (depth: number) => `${"(".repeat(depth - 1)}a eq 1${")".repeat(depth - 1)}`;
  const long = (length: number) => `a eq '${"x".repeat(length - 7)}'`;

  test.each([
    ["terms", MAX_FILTER_TERMS, terms, "odata-too-many-terms"],
    ["depth", MAX_FILTER_DEPTH, nested, "odata-too-deep"],
    ["characters", MAX_EXPRESSION_CHARACTERS, long, "odata-too-long"],
  ])("%s: %i is accepted, one less too, one more refused", (_what, limit, make, code) => {
    expect(() => parseFilter(make(limit - 1))).not.toThrow();
    expect(() => parseFilter(make(limit))).not.toThrow();
    expect(() => parseFilter(make(limit + 1))).toThrow(expect.objectContaining({ code }));
  });
});
