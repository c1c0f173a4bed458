import { makeBatchFrame } from "@isthmus/shared/link/batch-frame";
import type { FromControlPlane } from "@isthmus/shared/link/messages";
import { until } from "@isthmus/shared/testing/until";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { connectionFixture } from "./connection-fixture.ts";
import { Ingest } from "./ingest.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** An ingest whose store takes everything: each commit as the batches in it. */
function ingestFixture() {
  const commits: string[][] = [];
  const sent: FromControlPlane[] = [];
  const { context, peer } = connectionFixture();
  let waiting: (() => void)[] = [];
  const run = (_name: string, batch: { stream: string; firstSeq: number }) => {
    if (waiting.length === 0) {
      commits.push([]);
      setImmediate(() => {
        const done = waiting;
        waiting = [];
        for (const settle of done) settle();
      });
    }
    commits.at(-1)?.push(`${batch.stream} ${batch.firstSeq}`);
    const outcome = { seq: batch.firstSeq, rejected: [], endedCommands: [], changedActions: [] };
    return new Promise((resolve) => {
      waiting.push(() => resolve({ ...outcome, hasNewCommands: false, differences: [] }));
    });
  };
  const ingest = new Ingest({
    context: { ...context, store: { run: run as never } },
    session: { connectorId: "c", sessionNo: 1 },
    peer,
    send: (message) => sent.push(message),
    onCommandsEnded: () => {},
    onFailed: (error) => {
      throw error;
    },
  });
  const add = async (stream: string, ...seqs: number[]) => {
    for (const firstSeq of seqs) {
      ingest.add(await makeBatchFrame({ stream, firstSeq, isAfterPruned: false, lines: ["{}"] }));
    }
  };
  return { ingest, commits, sent, add };
}

test("inventory that follows on inventory shares a commit, and one acknowledgement", async () => {
  const { commits, sent, add } = ingestFixture();
  await add("inventory", 1);
  await until(() => sent.length === 1, "the first acknowledgement");
  await add("inventory", 2, 3, 4);
  expect(commits).toHaveLength(1);
  vi.runAllTimers();
  await until(() => sent.length === 2, "the second acknowledgement");
  expect(commits).toEqual([["inventory 1"], ["inventory 2", "inventory 3", "inventory 4"]]);
  expect(sent.map((message) => message.type === "ack" && message.seq)).toEqual([1, 4]);
});

test("nothing but inventory waits for others", async () => {
  const { commits, sent, add } = ingestFixture();
  await add("inventory", 1);
  await until(() => sent.length === 1, "the first acknowledgement");
  await add("inventory", 2);
  await add("audit", 1);
  await add("commands", 1);
  await until(() => sent.length === 3, "the acknowledgements of all but inventory");
  expect(commits.slice(1).flat().sort()).toEqual(["audit 1", "commands 1"]);
  vi.runAllTimers();
  await until(() => sent.length === 4, "the last acknowledgement");
  expect(commits.at(-1)).toEqual(["inventory 2"]);
});

test("what waits when the connection ends is dropped", async () => {
  const { ingest, commits, sent, add } = ingestFixture();
  await add("inventory", 1);
  await until(() => sent.length === 1, "the first acknowledgement");
  await add("inventory", 2);
  ingest.stop();
  vi.runAllTimers();
  expect(commits).toEqual([["inventory 1"]]);
});
