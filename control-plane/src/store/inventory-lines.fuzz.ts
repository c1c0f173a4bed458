import { facetHash } from "@isthmus/shared/link/inventory-digest";
import { RECORD_KINDS } from "@isthmus/shared/link/inventory-messages";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { recordsOf, START, told } from "../testing/inventory-fixture.ts";
import { isRecordsEntry } from "./inventory-checks.ts";
import { readRecordsLine } from "./inventory-lines.ts";
import { type RecordsEntry, toldRecords } from "./told-records.ts";

/** What the pieces of a line are found by, so that values and mutations are likely to look like it. */
const PIECES = [
  ...[
    '{"hash":"',
    '","value":',
    '}}},{"kind":"',
    "}}}]}",
    '},"',
    '":{"hash":"0123456789abcdef","value":',
  ],
  ...['{"kind":"device","key":"1","revision":1,"at":1,"isWhole":true,"facets":{', "null", "1", '"'],
  ...["-0", "1e999", " "],
];
const text = fc.oneof(fc.constantFrom(...PIECES), fc.string(), fc.string({ unit: "binary" }));
const value = fc.oneof(
  fc.jsonValue(),
  fc.dictionary(text, text, { maxKeys: 4 }),
  fc.array(text, { maxLength: 4 }),
  fc.record({ hash: fc.constant("0".repeat(16)), value: fc.jsonValue() }),
  fc.record({ x: fc.record({ hash: fc.constant("0".repeat(16)), value: fc.jsonValue() }) }),
);
const facetName = fc.constantFrom(
  "identity",
  "stable",
  "volatile",
  "collections",
  "SMS_G_System_X",
);
const facets = fc.dictionary(facetName, value, { minKeys: 1, maxKeys: 4 });
const record = fc
  .record({
    kind: fc.constantFrom(...RECORD_KINDS),
    key: fc.oneof(fc.constantFrom("1", "16777216", "CM100014"), text).filter((key) => key !== ""),
    revision: fc.nat(),
    at: fc.constant(START),
    isWhole: fc.boolean(),
    facets,
  })
  .map(({ key, revision, facets, ...more }) => told(key.slice(0, 256), revision, facets, more));
const entry = fc
  .array(record, { minLength: 1, maxLength: 3 })
  .map((records) => recordsOf(1, ...records));

/** A line that was cut up: some of it taken out, some put in. */
const mutated = fc
  .tuple(
    entry.map((made) => JSON.stringify(made)),
    fc.array(fc.tuple(fc.nat(), fc.nat(3), fc.oneof(fc.constantFrom(...PIECES), fc.string())), {
      maxLength: 3,
    }),
  )
  .map(([line, cuts]) =>
    cuts.reduce((all, [place, count, put]) => {
      const at = place % (all.length + 1);
      return all.slice(0, at) + put + all.slice(at + count);
    }, line),
  );

/** What JSON.parse and the checks make of a line; undefined where it is no entry of records. */
function parsed(line: string) {
  try {
    const read = JSON.parse(line);
    return read?.type === "records" && isRecordsEntry(read) ? toldRecords(read) : undefined;
  } catch {
    return undefined;
  }
}

/** Without texts, which are as they were written or as JSON.stringify gives them. */
function valuesOf(from: RecordsEntry | undefined) {
  return from?.records.map(({ facets, ...head }) => [
    head,
    facets.map(({ name, hash, value }) => [name, hash, value]),
  ]);
}

test("a line that is read piece by piece holds what JSON.parse finds in it", () => {
  fc.assert(
    fc.property(fc.oneof(mutated, fc.string()), (line) => {
      const read = readRecordsLine(line);
      if (read === undefined) return;
      const whole = parsed(line);
      expect({ ...read, records: [] }).toEqual({ ...whole, records: [] });
      expect(valuesOf(read)).toEqual(valuesOf(whole));
      for (const { text, value, hash, isTrue } of read.records.flatMap(({ facets }) => facets)) {
        if (text === undefined) expect(value).toBe(null);
        // A number that was told as -0 or 1e999 is written as 0 or null.
        else expect(JSON.stringify(JSON.parse(text))).toBe(JSON.stringify(value));
        expect(text === undefined || facetHash(text) === hash).toBe(isTrue);
      }
    }),
    { numRuns: fuzzRuns(3_000) },
  );
});

test("what bridges write is read piece by piece", () => {
  const plain = fc.dictionary(
    facetName,
    fc.oneof(fc.constant(null), fc.dictionary(fc.string(), fc.string()), fc.array(fc.string())),
    { minKeys: 1 },
  );
  fc.assert(
    fc.property(fc.array(plain, { minLength: 1, maxLength: 4 }), (all) => {
      const made = recordsOf(1, ...all.map((facets, index) => told(String(index), 1, facets)));
      const line = JSON.stringify(made);
      const read = readRecordsLine(line);
      expect(valuesOf(read)).toEqual(valuesOf(parsed(line)));
      expect(read).toBeDefined();
    }),
    { numRuns: fuzzRuns(500) },
  );
});
