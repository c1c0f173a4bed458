import { hash as digest } from "node:crypto";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { AnswerBody } from "./answer-body.ts";
import { pageHash } from "./page-hash.ts";

const KEY = Buffer.from("000102030405060708090a0b0c0d0e0f", "hex");
const LAYOUT = digest("sha256", "layout");

const rows = fc.array(
  fc
    .record({ ResourceID: fc.nat(), Name: fc.string({ maxLength: 40 }) })
    .map((row) => JSON.stringify(row)),
  { maxLength: 60 },
);
/** Where something is divided, as shares of its length. */
const cuts = fc.array(
  fc.integer({ min: 0, max: 1_000 }).map((part) => part / 1_000),
  { maxLength: 6 },
);

function divided<List extends { readonly length: number; subarray?: unknown }>(
  list: List,
  shares: readonly number[],
  part: (from: number, to: number) => List,
): List[] {
  const ends = shares.map((share) => Math.round(share * list.length)).sort((a, b) => a - b);
  return [0, ...ends].map((from, index) => part(from, ends[index] ?? list.length));
}

/** The rows as a site gives them in several answers, each in the pieces it came in. */
function pagesOf(
  texts: readonly string[],
  pages: readonly number[],
  pieces: readonly number[],
): AnswerBody[] {
  return divided(texts, pages, (from, to) => texts.slice(from, to)).map((some) => {
    const whole = Buffer.from(`{"@odata.context":"x","value":[${some.join(",")}]}`);
    return new AnswerBody(divided(whole, pieces, (from, to) => whole.subarray(from, to)));
  });
}

test("a range has one hash however it was divided into requests and into pieces", () => {
  fc.assert(
    fc.property(rows, cuts, cuts, (texts, pages, pieces) => {
      const { hash, isEmpty } = pageHash(KEY, LAYOUT, pagesOf(texts, pages, pieces));
      expect(hash).toBe(pageHash(KEY, LAYOUT, pagesOf(texts, [], [])).hash);
      expect(isEmpty).toBe(texts.length === 0);
    }),
    { numRuns: fuzzRuns(200) },
  );
});

test("other rows, another order of them, another layout and another key have another hash", () => {
  fc.assert(
    fc.property(rows, rows, cuts, (texts, others, pieces) => {
      const of = (some: readonly string[], key = KEY, layout = LAYOUT) =>
        pageHash(key, layout, pagesOf(some, [], pieces)).hash;
      const known = of(texts);
      expect(of(others) === known).toBe(others.join() === texts.join());
      expect(of([...texts, "{}"])).not.toBe(known);
      expect(of(texts, Buffer.alloc(16, 1))).not.toBe(known);
      expect(of(texts, KEY, digest("sha256", "other"))).not.toBe(known);
    }),
    { numRuns: fuzzRuns(200) },
  );
});
