import { ConnectorError, codeOf } from "@isthmus/shared/errors";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { AnswerReader } from "./answer-reader.ts";

const MAX = 5_000;

/** All that can be told of an answer, read in pieces that end at these shares of it. */
function outcomeOf(bytes: Buffer, shares: readonly number[]) {
  const reader = new AnswerReader(MAX);
  const ends = shares.map((share) => Math.round(share * bytes.length)).sort((a, b) => a - b);
  try {
    let from = 0;
    for (const to of [...ends, bytes.length]) {
      // As a connection does it: what was read lies in memory that is read into again.
      const piece = Buffer.from(bytes.subarray(from, to));
      reader.push(piece);
      piece.fill(0xff);
      from = to;
    }
    reader.end();
  } catch (error) {
    if (!(error instanceof ConnectorError)) throw error;
    return codeOf(error);
  }
  const { head, hasMore } = reader;
  return { head, hasMore, body: Buffer.concat(reader.takeBody()).toString("latin1") };
}

/** Evenly spread: nearly all numbers that `fc.double` makes between 0 and 1 are next to nothing. */
const share = fc.integer({ min: 0, max: 10_000 }).map((part) => part / 10_000);
const shares = fc.array(share, { maxLength: 12 });
const body = fc.uint8Array({ maxLength: 3_000 }).map((bytes) => Buffer.from(bytes));
const name = fc.stringMatching(/^x-[a-z0-9]{1,8}$/);
const value = fc.stringMatching(/^(?:[!-~](?:[ -~]{0,30}[!-~])?)?$/);
const fields = fc.dictionary(name, value, { maxKeys: 5 });

const chunked = fc
  .tuple(body, shares, fc.constantFrom("", ";a=b", " ;q"), fields)
  .map(([bytes, cuts, extension, trailer]) => {
    const ends = cuts.map((cut) => Math.round(cut * bytes.length)).sort((a, b) => a - b);
    const chunks = [...ends, bytes.length].map((to, at) => bytes.subarray(ends[at - 1] ?? 0, to));
    const text = chunks
      .filter(({ length }) => length > 0)
      .map((chunk) => `${chunk.length.toString(16)}${extension}\r\n${chunk.toString("latin1")}\r\n`)
      .join("");
    const wire = `${text}0\r\n${linesOf(trailer)}\r\n`;
    return { field: "Transfer-Encoding: chunked\r\n", wire, body: bytes.toString("latin1") };
  });
const measured = body.map((bytes) => {
  const text = bytes.toString("latin1");
  return { field: `Content-Length: ${bytes.length}\r\n`, wire: text, body: text };
});
const endless = body.map((bytes) => {
  const text = bytes.toString("latin1");
  return { field: "", wire: text, body: text };
});

function linesOf(of: Readonly<Record<string, string>>): string {
  return Object.entries(of)
    .map(([key, text]) => `${key}: ${text}\r\n`)
    .join("");
}

const answer = fc.record({
  status: fc.constantFrom(200, 206, 400, 403, 404, 500, 503),
  fields,
  content: fc.oneof(chunked, measured, endless),
});

test("an answer is the same in whatever pieces it comes, and its body is the one that was sent", () => {
  fc.assert(
    fc.property(answer, shares, ({ status, fields: sent, content }, cuts) => {
      const head = `HTTP/1.1 ${status} words\r\n${linesOf(sent)}${content.field}\r\n`;
      const outcome = outcomeOf(Buffer.from(`${head}${content.wire}`, "latin1"), cuts);
      expect(outcome).toMatchObject({ head: { status }, hasMore: false, body: content.body });
      if (typeof outcome === "string") return;
      expect(outcome.head?.headers).toMatchObject(sent);
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});

test("a damaged answer is read alike in whatever pieces it comes, or refused with a code", () => {
  const damaged = fc
    .tuple(answer, fc.nat(), fc.integer({ min: 0, max: 255 }), fc.nat({ max: 3 }))
    .map(([{ status, fields: sent, content }, at, octet, gone]) => {
      const text = `HTTP/1.1 ${status} words\r\n${linesOf(sent)}${content.field}\r\n${content.wire}`;
      const bytes = Buffer.from(text, "latin1");
      const place = at % bytes.length;
      return Buffer.concat([
        ...[bytes.subarray(0, place), Buffer.from([octet]), bytes.subarray(place + gone)],
      ]);
    });
  fc.assert(
    fc.property(fc.oneof(damaged, body), shares, (bytes, cuts) => {
      expect(outcomeOf(bytes, cuts)).toEqual(outcomeOf(bytes, []));
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});
