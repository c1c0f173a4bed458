import { once } from "node:events";
import { beforeEach, expect, test } from "vitest";
import { FakeVpnConnections } from "../testing/fake-vpn-connections.ts";
import { EngineStream, MAX_UNDRAINED_BYTES } from "./engine-stream.ts";

let engine: FakeVpnConnections;
let stream: EngineStream;

beforeEach(() => {
  engine = new FakeVpnConnections();
  stream = new EngineStream(engine, 1);
});

const writtenBytes = () => engine.written.get(1)?.length ?? 0;

test("no more is written than 64 KiB before the engine has sent it", async () => {
  let isDone = false;
  stream.write(Buffer.alloc(MAX_UNDRAINED_BYTES + 10), () => {
    isDone = true;
  });
  expect(writtenBytes()).toBe(MAX_UNDRAINED_BYTES);
  expect(isDone).toBe(false);
  stream.drained(MAX_UNDRAINED_BYTES);
  await new Promise(setImmediate);
  expect(writtenBytes()).toBe(MAX_UNDRAINED_BYTES + 10);
  expect(isDone).toBe(true);
});

test("what was told before the last write counts for what was sent alone", async () => {
  const half = MAX_UNDRAINED_BYTES / 2;
  stream.write(Buffer.alloc(half));
  stream.write(Buffer.alloc(half));
  stream.write(Buffer.alloc(4 * MAX_UNDRAINED_BYTES));
  await new Promise(setImmediate);
  expect(writtenBytes()).toBe(MAX_UNDRAINED_BYTES);
  stream.drained(half);
  expect(writtenBytes()).toBe(MAX_UNDRAINED_BYTES + half);
  // Of the second write; the third's first part waits.
  stream.drained(2 * half);
  expect(writtenBytes()).toBe(2 * MAX_UNDRAINED_BYTES);
});

test("what fits is not waited for", async () => {
  await new Promise((resolve) => stream.write("abc", resolve));
  expect(writtenBytes()).toBe(3);
});

test("reading pauses while nobody takes what came, and goes on when somebody does", async () => {
  expect(engine.streams.get(1)).toBe(true);
  stream.receive(Buffer.alloc(stream.readableHighWaterMark));
  expect(engine.streams.get(1)).toBe(false);
  stream.resume();
  await once(stream, "data");
  await new Promise(setImmediate);
  expect(engine.streams.get(1)).toBe(true);
});

/** `once` would take an error for its own. */
function closed(): Promise<void> {
  stream.on("error", () => {});
  return new Promise((resolve) => {
    stream.once("close", resolve);
  });
}

test("a goodbye of the peer ends it without an error, and what is still written goes nowhere", async () => {
  stream.write(Buffer.alloc(MAX_UNDRAINED_BYTES + 10));
  stream.resume();
  stream.gone(true);
  await once(stream, "end");
  stream.end(Buffer.alloc(2 * MAX_UNDRAINED_BYTES));
  await closed();
  expect(stream.errored).toBeNull();
  expect(writtenBytes()).toBe(MAX_UNDRAINED_BYTES);
  expect(engine.ended.size).toBe(0);
});

test("an end without a goodbye is an error, for its last bytes may be missing", async () => {
  const end = closed();
  stream.gone(false);
  await end;
  expect(stream.errored).not.toBeNull();
  expect(engine.ended.size).toBe(0);
});

test("its own end ends the connection cleanly, behind all that was written", async () => {
  stream.resume();
  stream.end("abc");
  await closed();
  expect(engine.written.get(1)?.toString()).toBe("abc");
  expect(engine.ended.get(1)).toBe("clean");
});

test("a reset is none", async () => {
  const end = closed();
  stream.reset();
  await end;
  expect(engine.ended.get(1)).toBe("reset");
});

test("a fault resets the connection", async () => {
  const end = closed();
  stream.destroy(new Error("no"));
  await end;
  expect(engine.ended.get(1)).toBe("reset");
});
