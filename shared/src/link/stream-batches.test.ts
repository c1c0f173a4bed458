import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { StatementCache } from "../store/database.ts";
import { packLine } from "./batch-frame.ts";
import { appendPackedToStream, appendToStream, laneMigrations } from "./lane-operations.ts";
import { takeStreamBatch } from "./stream-batches.ts";
import { streamOperations } from "./stream-operations.ts";

const stream = "inventory";
const LAST_BEFORE_APART = 3;

function lanes(count = laneMigrations.length) {
  const database = new DatabaseSync(":memory:");
  const migrate = (from: number, to?: number) => {
    for (const { sql } of laneMigrations.slice(from, to)) database.exec(sql);
  };
  migrate(0, count);
  const transaction = new StatementCache(database);
  return { transaction, migrate, count: (table: string) => rowsOf(transaction, table) };
}

function rowsOf(transaction: StatementCache, table: string): number {
  return Number(transaction.get(`SELECT count(*) AS count FROM ${table}`)?.["count"]);
}

const long = (digit: string) => Buffer.from(JSON.stringify(digit.repeat(10_000)));
const room = { maxEntries: 100, maxBytes: 100_000, maxPacked: 2, maxPackedBytes: 100_000 };

test("long entries are taken together as far as there is room, and never with short ones", () => {
  const { transaction } = lanes();
  for (const digit of ["1", "2", "3"]) {
    appendPackedToStream(transaction, { stream, at: 1, raw: long(digit) });
  }
  appendToStream(transaction, { stream, at: 1, entry: "short" });
  appendPackedToStream(transaction, { stream, at: 1, raw: long("4") });
  const take = (afterSeq: number, of = {}) =>
    takeStreamBatch(transaction, { stream, afterSeq, ...room, ...of });
  const packed = (...digits: string[]) =>
    digits.map((digit) => ({ bytes: new Uint8Array(packLine(long(digit))), rawBytes: 10_002 }));
  const first = { firstSeq: 1, lines: [], isAfterPruned: false, hasMore: true };
  expect(take(0)).toEqual({ ...first, packed: packed("1", "2") });
  expect(take(0, { maxPackedBytes: 1 })).toEqual({ ...first, packed: packed("1") });
  expect(take(0, { maxPacked: 10 })).toEqual({ ...first, packed: packed("1", "2", "3") });
  expect(take(2)).toMatchObject({ firstSeq: 3, packed: packed("3"), lines: [] });
  expect(take(3)).toMatchObject({ firstSeq: 4, packed: [], lines: ['"short"'] });
  expect(take(4)).toMatchObject({ firstSeq: 5, packed: packed("4"), lines: [], hasMore: false });
  expect(take(5)).toBeUndefined();
});

test("what is acknowledged of the inventory goes, with what was packed of it", () => {
  const { transaction, count } = lanes();
  transaction.run("PRAGMA foreign_keys = ON");
  for (const digit of ["1", "2"]) {
    appendPackedToStream(transaction, { stream, at: 1, raw: long(digit) });
  }
  takeStreamBatch(transaction, { stream, afterSeq: 0, ...room });
  streamOperations.acknowledgeStream(transaction, { stream, seq: 1, rejected: [], at: 1 });
  expect([count("stream_entry"), count("packed_entry")]).toEqual([1, 1]);
});

test("what an older version packed goes up, with the seq that it was given", () => {
  const { transaction, migrate } = lanes(LAST_BEFORE_APART);
  transaction.run("INSERT INTO stream (name, last_seq, unsequenced) VALUES (?, 7, 1)", stream);
  const insert =
    "INSERT INTO stream_entry (stream, at, entry, seq, packed, raw_bytes) VALUES (?, 1, '', ?, ?, 10002)";
  transaction.run(insert, stream, 7, packLine(long("7")));
  transaction.run(insert, stream, null, packLine(long("8")));
  migrate(LAST_BEFORE_APART);
  const batch = takeStreamBatch(transaction, { stream, afterSeq: 6, ...room });
  const packed = ["7", "8"].map((digit) => ({
    bytes: new Uint8Array(packLine(long(digit))),
    rawBytes: 10_002,
  }));
  expect(batch).toMatchObject({ firstSeq: 7, packed, hasMore: false });
});
