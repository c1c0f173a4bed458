import { expect, test } from "vitest";
import { CommandQueue } from "./command-queue.ts";
import type { SignedCommand } from "./messages.ts";

function command(seq: number, change: Partial<SignedCommand> = {}): SignedCommand {
  return {
    id: `c${seq}`,
    kind: "health.report",
    seq,
    aud: "me",
    actor: "test",
    issuedAt: 0,
    notBefore: 0,
    expiresAt: 1_000,
    payload: {},
    supersedes: [],
    approvals: [],
    ...change,
  };
}

function idsOf(queue: CommandQueue, now = 0): string[] {
  return queue.takeDue(now).due.map((entry) => entry.command.id);
}

test("one of a kind at a time, in the order of seq", () => {
  const queue = new CommandQueue(8);
  const [second, first] = [{ command: command(2) }, { command: command(1) }];
  queue.add(second);
  queue.add(first);
  expect(idsOf(queue)).toEqual(["c1"]);
  expect(idsOf(queue)).toEqual([]);
  queue.settle(first, "ended");
  expect(idsOf(queue)).toEqual(["c2"]);
});

test("kinds do not wait for each other, up to the limit", () => {
  const queue = new CommandQueue(2);
  for (const seq of [1, 2, 3]) queue.add({ command: command(seq, { kind: `kind.k${seq}` }) });
  expect(idsOf(queue)).toEqual(["c1", "c2"]);
});

test("what had begun comes before everything else", () => {
  const queue = new CommandQueue(8);
  queue.add({ command: command(1) });
  queue.add({ command: command(2), hasBegun: true });
  expect(idsOf(queue)).toEqual(["c2"]);
});

test("a command waits for its time, and the queue says when to look again", () => {
  const queue = new CommandQueue(8);
  queue.add({ command: command(1, { notBefore: 500 }) });
  queue.add({ command: command(2, { notBefore: 300 }) });
  expect(queue.takeDue(299)).toEqual({ due: [], nextAt: 300 });
  expect(idsOf(queue, 300)).toEqual(["c2"]);
});

test("a command that awaits approval lets others of its kind pass, and comes due when it expires", () => {
  const queue = new CommandQueue(8);
  const first = { command: command(1) };
  queue.add(first);
  queue.takeDue(0);
  queue.settle(first, "awaits-approval");
  queue.add({ command: command(2) });
  expect(idsOf(queue)).toEqual(["c2"]);
  expect(queue.awaitingApproval().map(({ id }) => id)).toEqual(["c1"]);
  queue.settle({ command: command(2) }, "ended");
  expect(idsOf(queue, 1_000)).toEqual([]);
  expect(idsOf(queue, 1_001)).toEqual(["c1"]);
});

test("an approved command runs", () => {
  const queue = new CommandQueue(8);
  const entry = { command: command(1) };
  queue.add(entry);
  queue.takeDue(0);
  queue.settle(entry, "awaits-approval");
  expect(idsOf(queue)).toEqual([]);
  queue.approve("c1", 5);
  expect(queue.takeDue(0).due[0]?.approvedAt).toBe(5);
});

test("a dropped command does not run, a released one does again", () => {
  const queue = new CommandQueue(8);
  queue.add({ command: command(1) });
  queue.drop("c1");
  expect(idsOf(queue)).toEqual([]);
  queue.add({ command: command(2) });
  queue.takeDue(0);
  queue.release("c2");
  expect(idsOf(queue)).toEqual(["c2"]);
});

test("a command that runs is not added a second time", () => {
  const queue = new CommandQueue(8);
  queue.add({ command: command(1) });
  queue.takeDue(0);
  queue.add({ command: command(1) });
  queue.settle({ command: command(1) }, "ended");
  expect(idsOf(queue)).toEqual([]);
});
