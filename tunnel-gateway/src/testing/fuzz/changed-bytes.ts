import type { SeededRandom } from "./seeded-random.ts";

const CHANGES_AT_MOST = 6;
const PIECE_AT_MOST = 64;
/** A piece that is repeated makes an input this long at most, so that limits are met and passed. */
const REPEATED_BYTES = 80_000;

/** What inputs are changed with. */
export interface Material {
  readonly random: SeededRandom;
  /** Texts that mean something to the parser. */
  readonly words: readonly string[];
  /** Inputs that others are spliced with. */
  readonly pool: readonly Buffer[];
}

/** `bytes` with one to six changes, and once in a hundred times a piece of it over and over. */
export function changedBytes(bytes: Buffer, material: Material): Buffer {
  const { random } = material;
  let changed = bytes;
  for (let left = 1 + random.below(CHANGES_AT_MOST); left > 0; left -= 1)
    changed = change(changed, material);
  return random.once(100) ? repeated(changed, random) : changed;
}

function change(bytes: Buffer, { random, words, pool }: Material): Buffer {
  if (bytes.length === 0) return random.bytes(1 + random.below(PIECE_AT_MOST));
  const at = random.below(bytes.length);
  const size = 1 + random.below(Math.min(PIECE_AT_MOST, bytes.length - at));
  switch (random.below(9)) {
    case 0:
      return withByte(bytes, at, (bytes[at] ?? 0) ^ (1 << random.below(8)));
    case 1:
      return withByte(bytes, at, random.below(256));
    case 2:
      return withByte(bytes, at, random.pick([0, 9, 10, 13, 32, 58, 60, 62, 127, 128, 255]));
    case 3:
      return bytes.subarray(0, at);
    case 4:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + size)]);
    case 5:
      return Buffer.concat([bytes.subarray(0, at + size), bytes.subarray(at)]);
    case 6:
      return spliced(bytes, at, random.pick(pool), random);
    default:
      return Buffer.concat([
        bytes.subarray(0, at),
        Buffer.from(random.pick(words), "latin1"),
        // In the place of as many, or between.
        bytes.subarray(at + (random.once(2) ? size : 0)),
      ]);
  }
}

function withByte(bytes: Buffer, at: number, value: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = value;
  return copy;
}

function spliced(bytes: Buffer, at: number, other: Buffer, random: SeededRandom): Buffer {
  const from = random.below(other.length + 1);
  const to = from + random.below(other.length - from + 1);
  return Buffer.concat([bytes.subarray(0, at), other.subarray(from, to), bytes.subarray(at)]);
}

function repeated(bytes: Buffer, random: SeededRandom): Buffer {
  if (bytes.length === 0) return bytes;
  const at = random.below(bytes.length);
  const piece = bytes.subarray(at, at + 1 + random.below(PIECE_AT_MOST));
  const times = random.below(Math.ceil(REPEATED_BYTES / piece.length));
  return Buffer.concat([
    bytes.subarray(0, at),
    ...Array.from({ length: times }, () => piece),
    bytes.subarray(at),
  ]);
}
