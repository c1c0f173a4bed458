import { zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { thrownCode } from "../testing/thrown-code.ts";
import { makeBatchFrame, openBatch, readBatchFrame } from "./batch-frame.ts";
import { MAX_BATCH_COMPRESSED_BYTES, MAX_BATCH_DECOMPRESSED_BYTES } from "./messages.ts";

const good = { stream: "audit", firstSeq: 7, isAfterPruned: false, lines: ['{"a":1}', '{"b":2}'] };

/** A frame made by hand: each field can be what it should not be. */
function frameOf(of: {
  version?: number;
  name?: string;
  firstSeq?: bigint;
  entries?: number;
  rawBytes?: number;
  payload?: Uint8Array;
}): Buffer {
  const name = Buffer.from(of.name ?? "audit", "latin1");
  const head = Buffer.alloc(17 + name.length);
  head.writeUInt8(of.version ?? 1, 0);
  head.writeUInt8(name.length, 2);
  name.copy(head, 3);
  head.writeBigUInt64BE(of.firstSeq ?? 1n, 3 + name.length);
  head.writeUInt16BE(of.entries ?? 1, 11 + name.length);
  head.writeUInt32BE(of.rawBytes ?? 2, 13 + name.length);
  return Buffer.concat([head, of.payload ?? zstdCompressSync("{}")]);
}

test("what was put into a frame comes out of it", async () => {
  const frame = readBatchFrame(await makeBatchFrame({ ...good, isAfterPruned: true }));
  expect(frame.header).toEqual({
    stream: "audit",
    firstSeq: 7,
    entryCount: 2,
    rawBytes: 15,
    isAfterPruned: true,
  });
  expect(openBatch(frame.compressed, frame.header.rawBytes)).toBe('{"a":1}\n{"b":2}');
});

describe("a header", () => {
  test.each<[string, Parameters<typeof frameOf>[0], string]>([
    ["as it should be", {}, "nothing"],
    ["of another version", { version: 2 }, "batch-version"],
    ["without a stream", { name: "" }, "batch-stream"],
    ["with a stream in capitals", { name: "Audit" }, "batch-stream"],
    ["with a stream name of 32", { name: "a".repeat(32) }, "nothing"],
    ["with a stream name of 33", { name: "a".repeat(33) }, "batch-stream"],
    ["with seq 0", { firstSeq: 0n }, "batch-seq"],
    ["with the largest seq", { firstSeq: BigInt(Number.MAX_SAFE_INTEGER) }, "nothing"],
    ["over the largest seq", { firstSeq: BigInt(Number.MAX_SAFE_INTEGER) + 1n }, "batch-seq"],
    ["without entries", { entries: 0 }, "batch-empty"],
    ["with 1,000 entries", { entries: 1_000 }, "nothing"],
    ["with 1,001 entries", { entries: 1_001 }, "batch-too-large"],
    ["without bytes", { rawBytes: 0 }, "batch-empty"],
    ["at the limit", { rawBytes: MAX_BATCH_DECOMPRESSED_BYTES }, "nothing"],
    ["over the limit", { rawBytes: MAX_BATCH_DECOMPRESSED_BYTES + 1 }, "batch-too-large"],
    [
      "with a payload at the limit",
      { payload: new Uint8Array(MAX_BATCH_COMPRESSED_BYTES) },
      "nothing",
    ],
    [
      "with a payload over it",
      { payload: new Uint8Array(MAX_BATCH_COMPRESSED_BYTES + 1) },
      "batch-too-large",
    ],
    ["without a payload", { payload: new Uint8Array() }, "batch-truncated"],
  ])("%s", (_what, of, code) => {
    expect(thrownCode(() => readBatchFrame(frameOf(of)))).toBe(code);
  });

  test("cut off anywhere is refused", () => {
    const whole = frameOf({});
    for (let length = 0; length <= 22; length++) {
      expect(thrownCode(() => readBatchFrame(whole.subarray(0, length)))).toMatch(/^batch-/);
    }
  });
});

describe("a payload", () => {
  test.each<[string, number, Uint8Array]>([
    ["shorter than announced", 3, zstdCompressSync("{}")],
    ["longer than announced", 1, zstdCompressSync("{}")],
    ["of zeros far beyond what was announced", 100, zstdCompressSync(Buffer.alloc(16_000_000))],
    ["that is no zstd", 2, Buffer.from("hello")],
    ["that is cut off", 1_000, zstdCompressSync(Buffer.alloc(1_000)).subarray(0, 12)],
    ["that is no UTF-8", 3, zstdCompressSync(Buffer.from([0x22, 0xff, 0x22]))],
  ])("%s is refused", (_what, rawBytes, payload) => {
    const { compressed } = readBatchFrame(frameOf({ rawBytes, payload }));
    expect(thrownCode(() => openBatch(compressed, rawBytes))).toBe("batch-payload");
  });

  test("of the greatest size is opened", () => {
    const text = "0123456789".repeat(MAX_BATCH_DECOMPRESSED_BYTES / 10);
    expect(openBatch(zstdCompressSync(text), text.length)).toBe(text);
  });
});
