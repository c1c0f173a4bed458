import { expect, test } from "vitest";
import { facetDifferences } from "./facet-differences.ts";

const differences = (before: unknown, after: unknown, limit = 100) =>
  facetDifferences("f", before, after, limit);
const fields = (before: unknown, after: unknown) =>
  differences(before, after).fields.map(({ facet: _facet, ...field }) => field);

test("members that came, went and changed are told by their paths", () => {
  const before = { same: 1, gone: "x", deep: { Build: 1, Name: "a" } };
  expect(fields(before, { same: 1, deep: { Build: 2, Name: "a" }, fresh: null })).toEqual([
    { path: "gone", before: "x" },
    { path: "deep/Build", before: 1, after: 2 },
    { path: "fresh", after: null },
  ]);
});

test("rows in another order are the same rows", () => {
  expect(fields([{ a: 1 }, { a: 2 }], [{ a: 2 }, { a: 1 }])).toEqual([]);
});

test("a row is compared with the one that has its key", () => {
  const disk = (DeviceID: string, FreeSpace: number) => ({ DeviceID, FreeSpace });
  expect(fields([disk("C:", 5), disk("D:", 7)], [disk("E:", 9), disk("C:", 4)])).toEqual([
    { path: "DeviceID=C:/FreeSpace", before: 5, after: 4 },
    { path: "", before: disk("D:", 7) },
    { path: "", after: disk("E:", 9) },
  ]);
});

test("of an application each deployment is compared with itself, and of software updates each by its id", () => {
  const app = (AssignmentID: number, EnforcementState: number) => {
    return { AppName: "Notes", AssignmentID, DTCI: 3, UserName: "(SYSTEM)", EnforcementState };
  };
  expect(fields([app(1, 4000), app(2, 4000)], [app(1, 1000), app(2, 5000)])).toEqual([
    { path: "AppName=Notes/EnforcementState", before: 4000, after: 1000 },
    { path: "AppName=Notes/EnforcementState", before: 4000, after: 5000 },
  ]);
  expect(fields([{ CI_ID: 7, Status: 2 }], [{ CI_ID: 7, Status: 3 }])).toEqual([
    { path: "CI_ID=7/Status", before: 2, after: 3 },
  ]);
});

test("rows without a key, and bags in which one is more often, are told whole", () => {
  expect(fields([1, 1, "a"], [1, "b"])).toEqual([
    { path: "", before: 1 },
    { path: "", before: "a" },
    { path: "", after: "b" },
  ]);
});

test("a facet that came or went is one line", () => {
  expect(fields(undefined, { a: 1, b: 2 })).toEqual([{ path: "", after: { a: 1, b: 2 } }]);
  expect(fields([1], undefined)).toEqual([{ path: "", before: [1] }]);
});

test("long values are shortened", () => {
  const [field] = fields("x".repeat(512), "y".repeat(513));
  expect(field).toEqual({ path: "", before: "x".repeat(512), after: `${"y".repeat(512)}…` });
});

test("what is deeper than one looks is told whole", () => {
  const deep = (value: number) => ({ a: { b: { c: { d: { e: { f: { g: value } } } } } } });
  expect(fields(deep(1), deep(2))).toEqual([
    { path: "a/b/c/d/e/f", before: { g: 1 }, after: { g: 2 } },
  ]);
});

test.each([
  [9, 9, true],
  [10, 10, false],
  [11, 10, false],
])("of ten fields at most %i are told", (limit, told, isCut) => {
  const before = Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`n${n}`, n]));
  const found = differences(before, {}, limit);
  expect([found.fields.length, found.isCut]).toEqual([told, isCut]);
});

test("members that every object has by nature are none of its own", () => {
  expect(fields({}, JSON.parse('{"constructor":1,"__proto__":2}'))).toEqual([
    { path: "constructor", after: 1 },
    { path: "__proto__", after: 2 },
  ]);
});
