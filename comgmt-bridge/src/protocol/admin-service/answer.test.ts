import { thrownCode } from "@isthmus/shared/testing/thrown-code";
import { describe, expect, test } from "vitest";
import { readOneRow, readOperationId, readReturned, readRows } from "./answer.ts";

const bytes = (value: unknown) => Buffer.from(JSON.stringify(value));

describe("rows", () => {
  test("come from value, without annotations and the provider's own properties, at any depth", () => {
    const answer = {
      "@odata.context": "https://x/$metadata#Device",
      value: [
        {
          "@odata.etag": "1",
          __CLASS: "SMS_R_System",
          ResourceId: 1,
          "Sites@odata.type": "#Collection(String)",
          Sites: ["CM1"],
          Embedded: [{ __PATH: "x", Name: "a", Inner: { __GENUS: 2, B: null } }],
        },
      ],
    };
    expect(readRows(bytes(answer))).toEqual({
      rows: [{ ResourceId: 1, Sites: ["CM1"], Embedded: [{ Name: "a", Inner: { B: null } }] }],
      hasMore: false,
    });
  });

  test("of one object by key stand in a list, in value, or at the top", () => {
    const row = { ResourceId: 1, Name: "a" };
    for (const answer of [{ value: [row] }, { value: row }, { "@odata.context": "x", ...row }]) {
      expect(readOneRow(bytes(answer))).toEqual(row);
    }
  });

  test("an object with a property called value is not taken apart", () => {
    expect(readOneRow(bytes({ Name: "a", value: 1 }))).toEqual({ Name: "a", value: 1 });
  });

  test("a next link says that rows were kept back", () => {
    expect(readRows(bytes({ value: [], "@odata.nextLink": "https://x" })).hasMore).toBe(true);
  });

  test("none or several are not one", () => {
    expect(thrownCode(() => readOneRow(bytes({ value: [] })))).toBe("admin-service-answer");
    expect(thrownCode(() => readOneRow(bytes({ value: [{}, {}] })))).toBe("admin-service-answer");
  });

  test("are nested as deep as 16 levels, and no deeper", () => {
    const nested = (depth: number): unknown => (depth === 0 ? 1 : { a: nested(depth - 1) });
    expect(readRows(bytes({ value: [nested(17)] })).rows).toHaveLength(1);
    expect(thrownCode(() => readRows(bytes({ value: [nested(18)] })))).toBe("admin-service-answer");
  });
});

test.each([
  ["admin-service-answer", ""],
  ["admin-service-answer", '{"value":[{"a":1'],
  ["admin-service-answer", "[]"],
  ["admin-service-answer", "null"],
  ["admin-service-answer", "{}"],
  ["admin-service-answer", '{"value":[1]}'],
  ["admin-service-page", "<!DOCTYPE html><title>Sign in</title>"],
  ["admin-service-page", '\ufeff <html lang="en">'],
])("%s: %j is no answer", (code, body) => {
  expect(thrownCode(() => readRows(Buffer.from(body)))).toBe(code);
});

test.each([
  { value: { OperationId: 16777345 } },
  { OperationId: 16777345 },
  { value: [{ OperationID: 16777345, ReturnValue: 0 }] },
  { "@odata.context": "x", OperationID: 16777345, ReturnValue: 0 },
  { value: 16777345 },
])("the operation is found in %j", (answer) => {
  expect(readOperationId(bytes(answer))).toBe(16777345);
});

test.each([{ value: null }, { value: { OperationId: "1" } }, { OperationId: 0 }, { a: 1 }])(
  "no operation is made of %j",
  (answer) => {
    expect(thrownCode(() => readOperationId(bytes(answer)))).toBe("admin-service-answer");
  },
);

test("what a method returned may be null", () => {
  expect(readReturned(bytes({ "@odata.context": "x", value: null }))).toBeNull();
});
