import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { AnswerBody } from "./answer-body.ts";
import { pageHash, pageKeyOf } from "./page-hash.ts";

function sinkWith(kept?: string) {
  const cursors = new Map(kept === undefined ? [] : [["page-key", kept]]);
  return {
    cursors,
    cursor: async (name: string) => cursors.get(name),
    keepCursor: async (name: string, value: string) => void cursors.set(name, value),
  };
}

const random = { bytes: (count: number) => randomBytes(count) };

test("the key of page hashes is made once and kept in the store", async () => {
  const sink = sinkWith();
  const key = await pageKeyOf(sink, random);
  expect(key).toHaveLength(16);
  expect(await pageKeyOf(sink, random)).toEqual(key);
});

test.each(["", "00", "0".repeat(31), "g".repeat(32), "0".repeat(33)])(
  "a key that is none is made anew: %j",
  async (kept) => {
    const sink = sinkWith(kept);
    const key = await pageKeyOf(sink, random);
    expect(sink.cursors.get("page-key")).toBe(key.toString("hex"));
  },
);

test("one octet that is another makes another hash, wherever it is", () => {
  const key = Buffer.alloc(16, 7);
  const page = Buffer.from(`{"value":[${JSON.stringify({ Name: "x".repeat(5_000) })}]}`);
  const hashOf = (bytes: Buffer) => pageHash(key, "layout", [new AnswerBody([bytes])]).hash;
  const hashes = new Set([hashOf(page)]);
  for (let at = 20; at < page.length - 5; at += 97) {
    const other = Buffer.from(page);
    other[at] = (other[at] ?? 0) ^ 1;
    hashes.add(hashOf(other));
  }
  expect(hashes.size).toBe(1 + Math.ceil((page.length - 25) / 97));
});

test("a list that goes on elsewhere is another than one of the same rows, wherever it says so", () => {
  const key = Buffer.alloc(16, 7);
  const next = '"@odata.nextLink":"x"';
  const pages = [`{"value":[{}]}`, `{${next},"value":[{}]}`, `{"value":[{}],${next}}`];
  const hashes = pages.map((page) => {
    return pageHash(key, "layout", [new AnswerBody([Buffer.from(page)])]).hash;
  });
  expect(new Set(hashes).size).toBe(3);
});
