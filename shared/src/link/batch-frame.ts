import { isUtf8 } from "node:buffer";
import { promisify } from "node:util";
import { constants, zstdCompress, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { ProtocolError } from "../errors.ts";
import { giveBack } from "../give-back.ts";
import {
  MAX_BATCH_COMPRESSED_BYTES,
  MAX_BATCH_DECOMPRESSED_BYTES,
  MAX_BATCH_ENTRIES,
} from "./messages.ts";

/**
 * A binary frame: consecutive entries of one log stream.
 *
 *     0         1       2              3          3+n
 *     +---------+-------+--------------+----------+----------+---------+----------+-------------+
 *     | version | flags | n = name len | name (n) | firstSeq | entries | rawBytes | zstd        |
 *     |   0x01  |  u8   |      u8      |  ASCII   |  u64 BE  | u16 BE  |  u32 BE  | of rawBytes |
 *     +---------+-------+--------------+----------+----------+---------+----------+-------------+
 *
 * The raw bytes are JSON texts of the entries, one a line. Flag 0x01: entries before `firstSeq` that the receiver lacks
 * are gone at the sender too (their retention ended).
 */
export interface BatchHeader {
  readonly stream: string;
  readonly firstSeq: number;
  readonly entryCount: number;
  readonly rawBytes: number;
  readonly isAfterPruned: boolean;
}

export interface BatchFrame {
  readonly header: BatchHeader;
  /** A view of the frame's own bytes. */
  readonly compressed: Uint8Array;
}

const VERSION = 1;
const FLAG_AFTER_PRUNED = 0x01;
const FIXED_BYTES = 3 + 8 + 2 + 4;
const STREAM_NAME = /^[a-z][a-z0-9-]{0,31}$/;
/** Level 3 is where zstd's ratio flattens for short JSON lines. */
const COMPRESSION = { params: { [constants.ZSTD_c_compressionLevel]: 3 } };
/** A long entry is many records of one form: level 1 makes it smaller than level 3 does (9.6 times against 9.2), for two thirds of the time. */
const LONG_COMPRESSION = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** The runtime takes none that is smaller. */
const MIN_CHUNK_BYTES = 64;

const compress = promisify(zstdCompress);

/** Reads the header of a frame; the payload stays compressed. Throws ProtocolError `batch-*`. */
export function readBatchFrame(bytes: Uint8Array): BatchFrame {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const nameLength = bytes.length >= FIXED_BYTES ? view.getUint8(2) : 0;
  const payloadAt = FIXED_BYTES + nameLength;
  check(
    bytes.length > payloadAt,
    "batch-truncated",
    `frame of ${bytes.length} bytes has no payload`,
  );
  check(
    view.getUint8(0) === VERSION,
    "batch-version",
    `frame version ${view.getUint8(0)}, expected 1`,
  );
  const stream = Buffer.from(bytes.buffer, bytes.byteOffset + 3, nameLength).toString("latin1");
  check(STREAM_NAME.test(stream), "batch-stream", "frame names no valid stream");
  const header: BatchHeader = {
    stream,
    firstSeq: Number(view.getBigUint64(3 + nameLength)),
    entryCount: view.getUint16(11 + nameLength),
    rawBytes: view.getUint32(13 + nameLength),
    isAfterPruned: (view.getUint8(1) & FLAG_AFTER_PRUNED) !== 0,
  };
  checkBounds(header, bytes.length - payloadAt);
  return { header, compressed: bytes.subarray(payloadAt) };
}

function checkBounds(header: BatchHeader, compressedBytes: number): void {
  const { firstSeq, entryCount, rawBytes } = header;
  const isSafe = Number.isSafeInteger(firstSeq) && Number.isSafeInteger(firstSeq + entryCount - 1);
  check(firstSeq >= 1 && isSafe, "batch-seq", "first seq is out of range");
  checkLimit("entries", entryCount, MAX_BATCH_ENTRIES);
  checkLimit("decompressed bytes", rawBytes, MAX_BATCH_DECOMPRESSED_BYTES);
  checkLimit("compressed bytes", compressedBytes, MAX_BATCH_COMPRESSED_BYTES);
  check(entryCount >= 1 && rawBytes >= 1, "batch-empty", "frame holds no entry");
}

function checkLimit(what: string, count: number, limit: number): void {
  check(count <= limit, "batch-too-large", `batch of ${count} ${what} exceeds ${limit}`);
}

function check(isTrue: boolean, code: string, message: string): asserts isTrue {
  if (!isTrue) throw new ProtocolError(code, message);
}

/**
 * The entries' text, decompressed where it stands and never beyond what the header announced: for those who are on a thread of their own.
 * In one piece of that size it costs a third of what a stream of the runtime does. Throws ProtocolError `batch-payload`.
 */
export function openBatch(compressed: Uint8Array, rawBytes: number): string {
  const raw = decompressed(compressed, rawBytes);
  check(
    raw.length === rawBytes,
    "batch-payload",
    `payload has ${raw.length} bytes, not ${rawBytes}`,
  );
  // Each octet that is none would become three, of which the sender's quota counts one.
  check(isUtf8(raw), "batch-payload", "payload is no UTF-8");
  const text = raw.toString("utf8");
  giveBack(raw);
  return text;
}

function decompressed(compressed: Uint8Array, rawBytes: number): Buffer {
  try {
    const chunkSize = Math.max(MIN_CHUNK_BYTES, rawBytes);
    return zstdDecompressSync(compressed, { maxOutputLength: rawBytes, chunkSize });
  } catch (cause) {
    throw new ProtocolError("batch-payload", `payload is no zstd of ${rawBytes} bytes`, cause);
  }
}

/** One entry as a frame has it. */
export interface Packed {
  /** zstd of its text. */
  readonly bytes: Uint8Array;
  /** Of its text. */
  readonly rawBytes: number;
}

/** Compresses the text of one entry where it stands, for those who are on a thread of their own. */
export function packLine(raw: Buffer): Uint8Array {
  return zstdCompressSync(raw, LONG_COMPRESSION);
}

/**
 * A frame of `lines`, the entries' JSON texts, compressed on a worker thread of the runtime; or of the one entry that was packed before.
 */
export async function makeBatchFrame(of: {
  readonly stream: string;
  readonly firstSeq: number;
  readonly isAfterPruned: boolean;
  readonly lines: readonly string[];
  readonly packed?: Packed | undefined;
}): Promise<Buffer> {
  const { bytes: compressed, rawBytes } = of.packed ?? (await pack(of.lines));
  const name = Buffer.from(of.stream, "latin1");
  const header = {
    stream: of.stream,
    firstSeq: of.firstSeq,
    entryCount: of.packed === undefined ? of.lines.length : 1,
    rawBytes,
    isAfterPruned: of.isAfterPruned,
  };
  check(STREAM_NAME.test(of.stream), "batch-stream", `"${of.stream}" is no stream name`);
  checkBounds(header, compressed.length);
  const head = Buffer.alloc(FIXED_BYTES + name.length);
  head.writeUInt8(VERSION, 0);
  head.writeUInt8(of.isAfterPruned ? FLAG_AFTER_PRUNED : 0, 1);
  head.writeUInt8(name.length, 2);
  name.copy(head, 3);
  head.writeBigUInt64BE(BigInt(of.firstSeq), 3 + name.length);
  head.writeUInt16BE(header.entryCount, 11 + name.length);
  head.writeUInt32BE(rawBytes, 13 + name.length);
  return Buffer.concat([head, compressed]);
}

async function pack(lines: readonly string[]): Promise<Packed> {
  const raw = Buffer.from(lines.join("\n"));
  return { bytes: await compress(raw, COMPRESSION), rawBytes: raw.length };
}
