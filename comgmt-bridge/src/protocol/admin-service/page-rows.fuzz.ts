import { ProtocolError } from "@isthmus/shared/errors";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { readPlainRows, rowBytes } from "./page-rows.ts";

const rows = fc.array(fc.dictionary(fc.string(), fc.jsonValue()));

function listOf(texts: readonly string[]): Buffer {
  return Buffer.from(`{"@odata.context":"https://sms/$metadata#x","value":[${texts.join(",")}]}`);
}

test("rows come back as they went in, and their bytes are the same in one page or in two", () => {
  fc.assert(
    fc.property(rows, fc.nat(), (given, at) => {
      const texts = given.map((row) => JSON.stringify(row));
      expect(JSON.stringify(readPlainRows(listOf(texts)).rows)).toBe(`[${texts.join(",")}]`);
      const cut = given.length === 0 ? 0 : at % given.length;
      const pages = [texts.slice(0, cut), texts.slice(cut)].map((page) => rowBytes(listOf(page)));
      const joined = pages.filter(({ length }) => length > 0).map(String);
      expect(joined.join(",")).toBe(String(rowBytes(listOf(texts))));
    }),
    { numRuns: fuzzRuns(200) },
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
      expect(rowBytes(body).length).toBeLessThanOrEqual(body.length);
      try {
        for (const row of readPlainRows(body).rows) expect(typeof row).toBe("object");
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError);
      }
    }),
    { numRuns: fuzzRuns(500) },
  );
});
