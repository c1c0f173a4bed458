import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { thrownCode } from "../testing/thrown-code.ts";
import { readFromConnector, readFromControlPlane } from "./message-codec.ts";
import { fromConnector, fromControlPlane, MAX_TEXT_FRAME_BYTES } from "./messages.ts";

/** Messages as protocol version 1 said them when it was first released. They are read for ever, and never edited. */
const recorded = readFileSync(
  new URL("../../../test/corpus/link/protocol-1.jsonl", import.meta.url),
  "utf8",
)
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as { from: string; message: { type: string } });

describe("messages of protocol version 1 as recorded", () => {
  test.each(recorded.map((each) => [each.from, each.message.type, each.message] as const))(
    "from the %s: %s",
    (from, type, message) => {
      const read = from === "connector" ? readFromConnector : readFromControlPlane;
      expect(read(JSON.stringify(message)).message).toMatchObject({ type });
    },
  );

  test("there is one of every kind", () => {
    const kinds = recorded.map(({ from, message }) => `${from} ${message.type}`);
    expect(new Set(kinds).size).toBe(
      fromConnector.options.length + fromControlPlane.options.length,
    );
  });
});

test("unknown fields are ignored", () => {
  const { message } = readFromConnector('{"type":"ping","id":1,"colour":"red"}');
  expect(message).toEqual({ type: "ping", id: 1 });
});

test("an unknown kind is named, cut to 64 characters", () => {
  expect(readFromConnector('{"type":"song"}')).toEqual({ unsupported: "song" });
  const long = JSON.stringify({ type: "x".repeat(100) });
  expect(readFromConnector(long)).toEqual({ unsupported: "x".repeat(64) });
});

test("a kind of the other direction is unknown", () => {
  expect(readFromConnector('{"type":"welcome"}')).toEqual({ unsupported: "welcome" });
});

test.each([
  ["not JSON", "{", "link-frame-not-json"],
  ["no object", "1", "link-message-untyped"],
  ["null", "null", "link-message-untyped"],
  ["no type", "{}", "link-message-untyped"],
  ["a type that is no text", '{"type":1}', "link-message-untyped"],
  ["a field of the wrong kind", '{"type":"ping","id":"1"}', "link-message-invalid"],
  ["a seq below 0", '{"type":"ping","id":-1}', "link-message-invalid"],
  ["a seq over 2^53", '{"type":"ping","id":9007199254740992}', "link-message-invalid"],
])("%s is refused", (_what, text, code) => {
  expect(thrownCode(() => readFromConnector(text))).toBe(code);
});

test.each([
  [MAX_TEXT_FRAME_BYTES - 1, "nothing"],
  [MAX_TEXT_FRAME_BYTES, "nothing"],
  [MAX_TEXT_FRAME_BYTES + 1, "link-frame-too-large"],
])("a text frame of %i characters: %s", (length, code) => {
  const text = '{"type":"ping","id":1}';
  expect(thrownCode(() => readFromConnector(text + " ".repeat(length - text.length)))).toBe(code);
});

test.each([
  [16, "nothing"],
  [17, "link-message-invalid"],
])("a hello with %i streams: %s", (count, code) => {
  const hello = recorded.find(({ message }) => message.type === "hello")?.message;
  const lastSeq = Object.fromEntries(Array.from({ length: count }, (_, i) => [`s${i}`, 1]));
  const text = JSON.stringify({ ...hello, lastSeq });
  expect(thrownCode(() => readFromConnector(text))).toBe(code);
});
