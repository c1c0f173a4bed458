import { ProtocolError } from "@isthmus/shared/errors";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type ODataFilter, parseFilter } from "./odata-filter.ts";
import { parseODataQuery } from "./odata-query.ts";
import { readSkipToken, writeSkipToken } from "./skip-token.ts";

const numRuns = fuzzRuns(3_000);

function refusesOrReturns(parse: () => unknown): void {
  try {
    parse();
  } catch (error) {
    expect(error).toBeInstanceOf(ProtocolError);
  }
}

const bodyOf = (token: string) => token.slice(0, token.indexOf("."));
const macOf = (token: string) => Buffer.from(token.slice(token.indexOf(".") + 1), "base64url");

const fragment = fc.constantFrom(
  ..."eq ne gt ge lt le and or not startswith contains ( ) , ' '' 'a' null true 1 -2.5 a b/c 2026-01-01T00:00:00Z".split(
    " ",
  ),
  " ",
);

test("any text is parsed or refused", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 300 }), (text) => refusesOrReturns(() => parseFilter(text))),
    { numRuns },
  );
});

test("any sequence of the language's own words is parsed or refused", () => {
  fc.assert(
    fc.property(fc.array(fragment, { maxLength: 200 }), (words) =>
      refusesOrReturns(() => parseFilter(words.join(" "))),
    ),
    { numRuns },
  );
});

const compare: fc.Arbitrary<ODataFilter> = fc.record({
  kind: fc.constant("compare" as const),
  property: fc.constantFrom("a", "b", "deviceName"),
  operator: fc.constantFrom("eq" as const, "ne" as const, "le" as const),
  literal: fc.record({ type: fc.constant("string" as const), value: fc.string({ maxLength: 20 }) }),
  at: fc.constant(0),
});

/** Where terms begin is not what they say. */
const placeless = (filter: ODataFilter): unknown =>
  JSON.parse(JSON.stringify(filter, (name, value) => (name === "at" ? undefined : value)));

function textOf(filter: ODataFilter): string {
  switch (filter.kind) {
    case "and":
    case "or":
      return `(${filter.operands.map(textOf).join(` ${filter.kind} `)})`;
    case "not":
      return `not ${textOf(filter.operand)}`;
    case "compare":
      return `${filter.property} ${filter.operator} '${String(filter.literal.value).replaceAll("'", "''")}'`;
    case "startswith":
    case "contains":
      return `${filter.kind}(${filter.property},'${filter.text.replaceAll("'", "''")}')`;
  }
}

const { tree } = fc.letrec<{ tree: ODataFilter }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    compare,
    fc.record({
      kind: fc.constantFrom("and" as const, "or" as const),
      operands: fc.array(tie("tree"), { minLength: 2, maxLength: 3 }),
    }),
    fc.record({ kind: fc.constant("not" as const), operand: tie("tree") }),
  ),
}));

test("a filter written out is read back the same", () => {
  fc.assert(
    fc.property(tree, (filter) => {
      let read: ODataFilter | undefined;
      try {
        read = parseFilter(textOf(filter));
      } catch (error) {
        expect(error).toMatchObject({ code: expect.stringMatching(/^odata-too-/) });
      }
      if (read !== undefined) expect(placeless(read)).toEqual(placeless(filter));
    }),
    { numRuns },
  );
});

test("any text is refused as a skip token, one of ours with a character changed too", () => {
  const key = Buffer.alloc(32, 7);
  const ours = writeSkipToken(key, "q", ["a", 1, null]);
  const changed = fc
    .tuple(fc.nat(ours.length - 1), fc.base64String({ minLength: 4, maxLength: 4 }))
    .map(([at, text]) => `${ours.slice(0, at)}${text[0]}${ours.slice(at + 1)}`);
  fc.assert(
    fc.property(fc.oneof(fc.string({ maxLength: 200 }), changed), (token) => {
      if (
        Buffer.from(token.split(".")[1] ?? "", "base64url").equals(macOf(ours)) &&
        token.startsWith(bodyOf(ours))
      )
        return;
      expect(() => readSkipToken(key, "q", token)).toThrow(ProtocolError);
    }),
    { numRuns },
  );
});

test("any query string is parsed or refused", () => {
  const name = fc.constantFrom(
    "$filter",
    "$select",
    "$top",
    "$orderby",
    "$count",
    "$skiptoken",
    "x",
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(name, fc.string({ maxLength: 80 })), { maxLength: 6 }), (pairs) =>
      refusesOrReturns(() => parseODataQuery(new URLSearchParams(pairs))),
    ),
    { numRuns },
  );
});
