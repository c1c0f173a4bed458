import { ProtocolError } from "@isthmus/shared/errors";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { frameMessage, MessageReader } from "./length-prefixed.ts";

const numRuns = fuzzRuns(2_000);

function readOrRefuse(chunks: readonly Uint8Array[]): void {
  const reader = new MessageReader();
  try {
    for (const chunk of chunks) reader.push(chunk);
  } catch (error) {
    expect(error).toBeInstanceOf(ProtocolError);
  }
}

test("any bytes in any chunks are read or refused", () => {
  const chunks = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 });
  fc.assert(fc.property(chunks, readOrRefuse), { numRuns });
});

test("a valid message with one byte changed is read or refused", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.nat(), fc.nat(255), (value, at, byte) => {
      const bytes = frameMessage(value);
      bytes[at % bytes.length] = byte;
      readOrRefuse([bytes]);
    }),
    { numRuns },
  );
});

test("whatever was framed is read back", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(new MessageReader().push(frameMessage(value))).toEqual([
        JSON.parse(JSON.stringify(value)),
      ]);
    }),
    { numRuns },
  );
});
