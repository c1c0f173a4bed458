import { expect, test } from "vitest";
import { boundaryGroupsNamed, MAX_BOUNDARY_GROUPS } from "./boundary-groups.ts";

const known = ["Berlin", "Oslo", "Oslo, north", "Twice", "Twice"].map((name, at) => ({
  ...{ name, recordId: at + 1, key: String(16_777_217 + at) },
}));
const named = (text: string) =>
  boundaryGroupsNamed(text, known).groups.map(({ name, recordId }) => [name, recordId]);

test.each([
  ["Berlin", [["Berlin", 1]]],
  [
    "Berlin,Oslo",
    [
      ["Berlin", 1],
      ["Oslo", 2],
    ],
  ],
  [
    " Oslo , Berlin ",
    [
      ["Oslo", 2],
      ["Berlin", 1],
    ],
  ],
  // The longest name that the site has.
  [
    "Oslo, north,Berlin",
    [
      ["Oslo, north", 3],
      ["Berlin", 1],
    ],
  ],
  [
    "Oslo,south",
    [
      ["Oslo", 2],
      ["south", null],
    ],
  ],
  // Names join only what is one thing.
  ["Twice", [["Twice", null]]],
  ["berlin", [["berlin", null]]],
  ["Berlin,Berlin", [["Berlin", 1]]],
  ["", []],
  [",, ,", []],
])("%j names %j", (text, expected) => {
  expect(named(text)).toEqual(expected);
});

test.each([
  [MAX_BOUNDARY_GROUPS - 1, false],
  [MAX_BOUNDARY_GROUPS, false],
  [MAX_BOUNDARY_GROUPS + 1, true],
])("of %i groups it says whether some are left out: %s", (count, isCut) => {
  const names = Array.from({ length: count }, (_, at) => `G${at}`);
  const found = boundaryGroupsNamed(names.join(","), []);
  expect([found.groups.length, found.isCut]).toEqual([Math.min(count, MAX_BOUNDARY_GROUPS), isCut]);
});
