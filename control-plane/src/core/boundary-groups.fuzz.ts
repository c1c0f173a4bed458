import fc from "fast-check";
import { expect, test } from "vitest";
import { boundaryGroupsNamed, MAX_BOUNDARY_GROUPS } from "./boundary-groups.ts";

const PLAIN = fc.string({ minLength: 1, maxLength: 20 }).filter((name) => {
  return !name.includes(",") && name.trim() === name;
});
const recordsOf = (names: readonly string[]) =>
  names.map((name, at) => ({ name, recordId: at + 1, key: String(at) }));

test("names without commas that a site joins are taken apart again, each with its record", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(PLAIN, { maxLength: 20 }),
      fc.constantFrom(",", ", ", " , "),
      (names, between) => {
        const { groups, isCut } = boundaryGroupsNamed(names.join(between), recordsOf(names));
        expect(groups.map(({ name }) => name)).toEqual(names);
        expect(groups.map(({ recordId }) => recordId)).toEqual(names.map((_, at) => at + 1));
        expect(isCut).toBe(false);
      },
    ),
  );
});

test("whatever a site says, the list is finite, has no empty name and none twice, and leaves nothing unsaid", () => {
  const text = fc.oneof(
    fc.string(),
    fc.array(fc.constantFrom("a", "b", ",", " ")).map((all) => all.join("")),
  );
  fc.assert(
    fc.property(text, fc.array(fc.string()), (said, names) => {
      const { groups } = boundaryGroupsNamed(said, recordsOf(names));
      expect(groups.length).toBeLessThanOrEqual(MAX_BOUNDARY_GROUPS);
      expect(new Set(groups.map(({ name }) => name)).size).toBe(groups.length);
      expect(groups.every(({ name }) => name !== "" && said.includes(name))).toBe(true);
      for (const part of said.split(",").map((each) => each.trim())) {
        expect(part === "" || groups.some(({ name }) => name.includes(part))).toBe(true);
      }
    }),
  );
});
