import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { StatementCache } from "../store/database.ts";
import { appendToStream, laneMigrations } from "./lane-operations.ts";
import { MAX_REJECTED_NOTED, streamOperations } from "./stream-operations.ts";

const stream = "inventory";

function world() {
  const database = new DatabaseSync(":memory:");
  for (const { sql } of laneMigrations) database.exec(sql);
  const transaction = new StatementCache(database);
  appendToStream(transaction, { stream, at: 1, entry: "one" });
  streamOperations.takeStreamBatch(transaction, {
    ...{ stream, afterSeq: 0, maxEntries: 1, maxBytes: 1_000 },
  });
  const acknowledge = (seq: number, rejected: readonly number[]) =>
    streamOperations.acknowledgeStream(transaction, {
      ...{ stream, seq, at: 1 },
      rejected: rejected.map((each) => ({ seq: each, code: "entry-invalid" })),
    });
  const noted = () => streamOperations.streamFigures(transaction)[0]?.rejectedEntries;
  return { transaction, acknowledge, noted };
}

test("an entry that is not acknowledged with it cannot be named as rejected", () => {
  const { acknowledge, noted } = world();
  acknowledge(1, [1, 2, 3, 2 ** 40]);
  expect(noted()).toBe(1);
});

test("however many entries a control plane names as rejected, some thousands are noted", () => {
  const { transaction, acknowledge, noted } = world();
  transaction.run("UPDATE stream SET last_seq = ?", 10 * MAX_REJECTED_NOTED);
  for (let seq = 99; seq <= MAX_REJECTED_NOTED + 500; seq += 99) {
    acknowledge(
      seq,
      Array.from({ length: 99 }, (_, n) => seq - n),
    );
  }
  expect(noted()).toBe(MAX_REJECTED_NOTED);
});
