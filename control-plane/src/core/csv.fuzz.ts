import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { csvLine } from "./csv.ts";

/** RFC 4180, read back cell by cell. */
function read(text: string): string[][] {
  const lines: string[][] = [[]];
  for (const [, quoted, plain, end] of text.matchAll(
    /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/gy,
  )) {
    lines.at(-1)?.push(quoted?.replaceAll('""', '"') ?? plain ?? "");
    if (end !== ",") lines.push([]);
  }
  return lines.slice(0, -1);
}

test("whatever text is written is read back, and begins no formula", () => {
  const cell = fc.oneof(
    fc.string({ minLength: 1, maxLength: 40, unit: "grapheme" }),
    fc.string({
      minLength: 1,
      maxLength: 12,
      unit: fc.constantFrom(..."=+-@\uff1d\t\r\n,\"'1.eE x"),
    }),
  );
  fc.assert(
    fc.property(
      fc.array(fc.array(cell, { minLength: 1, maxLength: 6 }), { maxLength: 6 }),
      (rows) => {
        const back = read(rows.map(csvLine).join(""));
        expect(back.length).toBe(rows.length);
        for (const [y, row] of rows.entries()) {
          for (const [x, text] of row.entries()) {
            const found = back[y]?.[x] ?? "";
            expect([text, `'${text}`]).toContain(found);
            if (/^[=+\-@\t\r\n\uff1d]/.test(found))
              expect(Number.isFinite(Number(found))).toBe(true);
          }
        }
      },
    ),
    { numRuns: fuzzRuns(2_000) },
  );
});
