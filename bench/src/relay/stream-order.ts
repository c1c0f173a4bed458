/**
 * What a client of the byte server asks for, in the first nine octets of its connection:
 *
 *     +------+-----------------+
 *     | kind | count (uint64)  |
 *     +------+-----------------+
 *
 * `download`: the server sends `count` octets. `upload`: it takes `count` octets and answers one. `idle`: it answers one
 * and keeps the connection.
 */
export interface StreamOrder {
  readonly kind: StreamKind;
  readonly count: number;
}

const KINDS = ["download", "upload", "idle"] as const;
export type StreamKind = (typeof KINDS)[number];

export const STREAM_ORDER_BYTES = 9;

export function encodeStreamOrder({ kind, count }: StreamOrder): Buffer {
  const bytes = Buffer.alloc(STREAM_ORDER_BYTES);
  bytes.writeUInt8(KINDS.indexOf(kind));
  bytes.writeBigUInt64BE(BigInt(count), 1);
  return bytes;
}

/** Throws RangeError for a kind that there is not. */
export function decodeStreamOrder(bytes: Buffer): StreamOrder {
  const kind = KINDS[bytes.readUInt8(0)];
  if (kind === undefined) throw new RangeError(`no stream kind ${bytes[0]}`);
  return { kind, count: Number(bytes.readBigUInt64BE(1)) };
}
