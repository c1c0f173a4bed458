import { expect, test } from "vitest";
import { frameMessage, MAX_MESSAGE_BYTES, MessageReader } from "./length-prefixed.ts";

const messages = [{ a: 1 }, "two", null, { text: "ü".repeat(500) }];
const bytes = Buffer.concat(messages.map(frameMessage));

test.each([1, 3, 4, 5, 100, bytes.length])("messages cut into chunks of %i bytes", (size) => {
  const reader = new MessageReader();
  const read: unknown[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    read.push(...reader.push(bytes.subarray(at, at + size)));
  }
  expect(read).toEqual(messages);
});

test("the largest message passes, one byte more is refused by both sides", () => {
  const largest = "x".repeat(MAX_MESSAGE_BYTES - 2);
  expect(new MessageReader().push(frameMessage(largest))).toEqual([largest]);
  expect(() => frameMessage(`${largest}x`)).toThrow(
    expect.objectContaining({ code: "message-too-large" }),
  );
  const head = Buffer.alloc(4);
  head.writeUInt32BE(MAX_MESSAGE_BYTES + 1);
  expect(() => new MessageReader().push(head)).toThrow(
    expect.objectContaining({ code: "message-too-large" }),
  );
});

test("a body that is no JSON is refused", () => {
  expect(() => new MessageReader().push(Buffer.from([0, 0, 0, 1, 0x7b]))).toThrow(
    expect.objectContaining({ code: "message-not-json" }),
  );
});
