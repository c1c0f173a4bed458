import fc from "fast-check";
import { ProtocolError } from "../errors.ts";

/** One change to a message: where (in parts of 65,536 of its length), and what. */
interface Mutation {
  readonly kind: "flip" | "set" | "cut" | "insert" | "repeat" | "truncate";
  readonly at: number;
  readonly value: number;
  readonly length: number;
}

const mutation: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.constantFrom("flip", "set", "cut", "insert", "repeat", "truncate"),
  // Without bias: fast-check likes small numbers, and the first bytes of a message would be all that is ever changed.
  at: fc.noBias(fc.nat(0xffff)),
  value: fc.oneof(fc.constantFrom(0, 0x7f, 0x80, 0x81, 0x84, 0xff), fc.noBias(fc.nat(255))),
  length: fc.integer({ min: 1, max: 16 }),
});

/** Bytes of no meaning, and one of the valid messages with up to four changes. */
export function hostileBytes(valid: readonly Uint8Array[]): fc.Arbitrary<Buffer> {
  const mutated = fc
    .tuple(fc.constantFrom(...valid), fc.array(mutation, { minLength: 1, maxLength: 4 }))
    .map(([message, mutations]) => mutations.reduce(apply, Buffer.from(message)));
  const noise = fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes));
  return fc.oneof({ weight: 7, arbitrary: mutated }, { weight: 1, arbitrary: noise });
}

/** What a parser owes to hostile bytes: it returns, or throws `ProtocolError`. Anything else is thrown on. */
export function returnsOrRefuses(parse: () => unknown): void {
  try {
    parse();
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
  }
}

function apply(bytes: Buffer, { kind, at, value, length }: Mutation): Buffer {
  const from = Math.floor((at / 0x1_0000) * bytes.length);
  const [head, tail] = [bytes.subarray(0, from), bytes.subarray(from)];
  switch (kind) {
    case "flip":
      return replaced(bytes, from, (bytes[from] ?? 0) ^ (1 << (value & 7)));
    case "set":
      return replaced(bytes, from, value);
    case "cut":
      return Buffer.concat([head, tail.subarray(length)]);
    case "insert":
      return Buffer.concat([head, Buffer.alloc(length, value), tail]);
    case "repeat":
      return Buffer.concat([head, tail.subarray(0, length), tail]);
    case "truncate":
      return head;
  }
}

function replaced(bytes: Buffer, at: number, value: number): Buffer {
  const copy = Buffer.from(bytes);
  if (at < copy.length) copy[at] = value;
  return copy;
}
