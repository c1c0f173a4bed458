import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { directoryGroupNames } from "./directory-group.ts";

/** RFC 4514 section 2.4. */
const escaped = (name: string) => name.replaceAll(/[,+"\\<>;=]|^[ #]| $/g, "\\$&");

test("a common name is what was written, whatever characters it has", () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, unit: "grapheme" }), (name) => {
      fc.pre(!/\p{Cc}/u.test(name));
      const text = `cn=${escaped(name)},ou=groups`;
      expect(directoryGroupNames(text)).toEqual([text, name]);
    }),
    { numRuns: fuzzRuns(1_000) },
  );
});

test("any text has itself for a name, and one more at most", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.string().map((text) => `cn=${text}`),
      ),
      (text) => {
        const [first, ...others] = directoryGroupNames(text);
        expect(first).toBe(text);
        expect(others.length).toBeLessThanOrEqual(1);
      },
    ),
    { numRuns: fuzzRuns(1_000) },
  );
});
