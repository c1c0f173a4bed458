import { ProtocolError } from "@isthmus/shared/errors";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { readPlainRows, rowBytes } from "./page-rows.ts";

const rows = fc.array(fc.dictionary(fc.string(), fc.jsonValue()));

function listOf(texts: readonly string[]): Buffer {
  return Buffer.from(`{"@odata.context":"https://sms/$metadata#x","value":[${texts.join(",")}]}`);
}

function bytesOf(body: readonly Buffer[]): string {
  return Buffer.concat(rowBytes(body)).toString();
}

test("rows come back as they went in, and their bytes are the same in one page or in two", () => {
  fc.assert(
    fc.property(rows, fc.nat(), (given, at) => {
      const texts = given.map((row) => JSON.stringify(row));
      expect(JSON.stringify(readPlainRows(listOf(texts)).rows)).toBe(`[${texts.join(",")}]`);
      const cut = given.length === 0 ? 0 : at % given.length;
      const pages = [texts.slice(0, cut), texts.slice(cut)].map((page) => bytesOf([listOf(page)]));
      const joined = pages.filter(({ length }) => length > 0);
      expect(joined.join(",")).toBe(bytesOf([listOf(texts)]));
    }),
    { numRuns: fuzzRuns(200) },
  );
});

test("the bytes of rows are the same in whatever pieces a body came", () => {
  const anything = fc.string({ maxLength: 60 }).map((text) => Buffer.from(text));
  const body = fc.oneof(
    rows.map((given) => listOf(given.map((row) => JSON.stringify(row)))),
    anything,
  );
  fc.assert(
    fc.property(body, fc.array(fc.nat(), { maxLength: 20 }), (whole, cuts) => {
      const places = cuts.map((at) => at % (whole.length + 1)).sort((a, b) => a - b);
      const starts = [0, ...places];
      const pieces = starts.map((at, index) => whole.subarray(at, starts[index + 1]));
      expect(bytesOf(pieces)).toBe(bytesOf([whole]));
    }),
    { numRuns: fuzzRuns(500) },
  );
});

test("whatever comes is rows or a ProtocolError", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.json().map((text) => Buffer.from(text)),
  );
  fc.assert(
    fc.property(bytes, (given) => {
      const body = Buffer.from(given);
      expect(bytesOf([body]).length).toBeLessThanOrEqual(body.length);
      try {
        for (const row of readPlainRows(body).rows) expect(typeof row).toBe("object");
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError);
      }
    }),
    { numRuns: fuzzRuns(500) },
  );
});
