import { ProtocolError } from "../errors.ts";

/** What travels on the link: text frames hold one JSON message, binary frames one batch. */
export type Frame = string | Uint8Array;

/**
 * Frames in a row, as bodies of long-poll requests and answers hold them:
 *
 *     +------------------------+-----------------+---------+
 *     | kind: 0 text, 1 binary | length (u32 BE) | payload |  ...
 *     +------------------------+-----------------+---------+
 */
const HEAD_BYTES = 5;
const TEXT = 0;
const BINARY = 1;
/** Most frames in one body. */
const MAX_FRAMES = 1_024;

/** The frames of one body; their payloads are views of it. Throws ProtocolError `frame-list-*`. */
export function readFrameList(body: Uint8Array): Frame[] {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const frames: Frame[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (frames.length === MAX_FRAMES) {
      throw new ProtocolError("frame-list-too-long", `body holds more than ${MAX_FRAMES} frames`);
    }
    const { frame, next } = readOne(bytes, at);
    frames.push(frame);
    at = next;
  }
  return frames;
}

function readOne(bytes: Buffer, at: number): { frame: Frame; next: number } {
  const start = at + HEAD_BYTES;
  const end = start <= bytes.length ? start + bytes.readUInt32BE(at + 1) : Number.POSITIVE_INFINITY;
  if (end > bytes.length) throw new ProtocolError("frame-list-truncated", "body ends in a frame");
  const kind = bytes[at];
  if (kind !== TEXT && kind !== BINARY) {
    throw new ProtocolError("frame-list-kind", `frame kind ${kind}, expected 0 or 1`);
  }
  const payload = bytes.subarray(start, end);
  return { frame: kind === TEXT ? payload.toString("utf8") : payload, next: end };
}

/** Bytes that `frame` takes in a body. */
export function bytesInList(frame: Frame): number {
  return HEAD_BYTES + (typeof frame === "string" ? Buffer.byteLength(frame) : frame.length);
}

/** Takes frames from the front of `queue` that together fit `maxBytes` (one at least), as one body. */
export function takeFrameList(queue: Frame[], maxBytes: number): Buffer {
  const parts: Uint8Array[] = [];
  let total = 0;
  let count = 0;
  for (const frame of queue.slice(0, MAX_FRAMES)) {
    const bytes = bytesInList(frame);
    if (count > 0 && total + bytes > maxBytes) break;
    parts.push(...encodeOne(frame));
    total += bytes;
    count += 1;
  }
  queue.splice(0, count);
  return Buffer.concat(parts);
}

function encodeOne(frame: Frame): [Buffer, Uint8Array] {
  const payload = typeof frame === "string" ? Buffer.from(frame) : frame;
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt8(typeof frame === "string" ? TEXT : BINARY, 0);
  head.writeUInt32BE(payload.length, 1);
  return [head, payload];
}
