/**
 * Frames as RFC 9113 section 4.1 has them, for clients that Node's own would not let us be:
 *
 *     length (24)  type (8)  flags (8)  reserved (1) stream (31)  payload
 */
export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

export const FRAME = { data: 0, headers: 1, reset: 3, settings: 4, goaway: 7, window: 8 } as const;
export const END_STREAM = 1;
export const END_HEADERS = 4;
export const INITIAL_WINDOW_SIZE = 4;

const HEAD_BYTES = 9;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

export function encodeFrame(frame: Partial<Frame> & { readonly type: number }): Buffer {
  const { type, flags = 0, streamId = 0, payload = Buffer.alloc(0) } = frame;
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

/** The frames in what was received; a rest that is no whole frame is left out. */
export function decodeFrames(bytes: Buffer): readonly Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at + HEAD_BYTES <= bytes.length; ) {
    const end = at + HEAD_BYTES + bytes.readUIntBE(at, 3);
    if (end > bytes.length) break;
    const [type, flags] = [bytes.readUInt8(at + 3), bytes.readUInt8(at + 4)];
    const streamId = bytes.readUInt32BE(at + 5);
    frames.push({ type, flags, streamId, payload: bytes.subarray(at + HEAD_BYTES, end) });
    at = end;
  }
  return frames;
}

/** HEADERS with each field as a literal without indexing (RFC 7541 section 6.2.2), no name or value over 126 bytes. */
export function encodeHeaders(streamId: number, fields: Readonly<Record<string, string>>): Buffer {
  const literals = Object.entries(fields).flatMap(([name, value]) => [
    Buffer.of(0),
    ...[name, value].flatMap((text) => [Buffer.of(text.length), Buffer.from(text)]),
  ]);
  const payload = Buffer.concat(literals);
  return encodeFrame({ type: FRAME.headers, flags: END_HEADERS, streamId, payload });
}

export function encodeSetting(id: number, value: number): Buffer {
  const payload = Buffer.alloc(6);
  payload.writeUInt16BE(id, 0);
  payload.writeUInt32BE(value, 2);
  return encodeFrame({ type: FRAME.settings, payload });
}

export function encodeNumber(type: number, streamId: number, value: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(value);
  return encodeFrame({ type, streamId, payload });
}
