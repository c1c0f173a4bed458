import { randomBytes, randomInt } from "node:crypto";
import { describe, expect, test } from "vitest";
import { type Substitute, substituteFor, unpadOaep, unpadPkcs1 } from "./rsa-unpadding.ts";

const SIZE = 256;
const secret = Buffer.alloc(32, 7);
const substitute: Substitute = { octets: Buffer.alloc(SIZE, 0xaa), length: 32 };
const message = Buffer.from("a content key, thirty-two octets");

/** 00 02, noise without zeros, 00, the message. */
function padded(content: Uint8Array = message): Buffer {
  const noise = randomBytes(SIZE - 3 - content.length).map((octet) => octet || 1);
  return Buffer.concat([Buffer.from([0, 2]), noise, Buffer.from([0]), content]);
}

function changed(at: number, octet: number): Buffer {
  const encoded = padded();
  encoded[at] = octet;
  return encoded;
}

describe("PKCS#1 v1.5 padding", () => {
  test("comes off a message", () => {
    expect(unpadPkcs1(padded(), substitute)).toEqual(message);
  });

  test("of eight octets is enough, of seven is not", () => {
    const longest = randomBytes(SIZE - 11);
    expect(unpadPkcs1(padded(longest), substitute)).toEqual(longest);
    const longer = Buffer.from([...padded(longest).subarray(0, 9), 0, ...longest, 1]);
    expect(unpadPkcs1(longer, substitute)).toEqual(Buffer.alloc(32, 0xaa));
  });

  test.each([
    ["a first octet that is not 0", changed(0, 1)],
    ["a block type that is not 2", changed(1, 1)],
    ["a zero in its first eight octets", changed(9, 0)],
    ["no end", Buffer.concat([Buffer.from([0, 2]), Buffer.alloc(SIZE - 2, 1)])],
  ])("with %s gives the substitute", (_, encoded) => {
    expect(unpadPkcs1(encoded, substitute)).toEqual(Buffer.alloc(32, 0xaa));
  });
});

describe("the substitute of a ciphertext", () => {
  test("is always the same, another for another ciphertext, and another for another secret", () => {
    const ciphertext = randomBytes(SIZE);
    const one = substituteFor(ciphertext, secret);
    expect(substituteFor(ciphertext, secret)).toEqual(one);
    expect(substituteFor(randomBytes(SIZE), secret).octets).not.toEqual(one.octets);
    expect(substituteFor(ciphertext, Buffer.alloc(32, 8)).octets).not.toEqual(one.octets);
  });

  test("is of every length that a message can have", () => {
    const lengths = Array.from({ length: 300 }, (_, index) => {
      const ciphertext = Buffer.alloc(SIZE, index & 0xff);
      ciphertext[1] = index >> 8;
      return substituteFor(ciphertext, secret).length;
    });
    expect(Math.max(...lengths)).toBeLessThan(SIZE - 10);
    expect(Math.max(...lengths)).toBeGreaterThan(200);
    expect(Math.min(...lengths)).toBeLessThan(40);
  });
});

test("OAEP padding in fewer octets than its digests need gives nothing", () => {
  expect(unpadOaep(Buffer.alloc(2 * 32 + 1), "sha256")).toHaveLength(0);
});

/**
 * The ratio of the times that two inputs take, from many interleaved rounds: the median of rounds, so that what else the
 * machine does in some of them does not count.
 */
function timeRatio(take: (encoded: Buffer) => unknown, one: Buffer, other: Buffer): number {
  const timeOf = (encoded: Buffer) => {
    const begun = performance.now();
    for (let count = 0; count < 60; count += 1) take(encoded);
    return performance.now() - begun;
  };
  const round = () => {
    if (randomInt(2) === 0) return timeOf(one) / timeOf(other);
    return 1 / (timeOf(other) / timeOf(one));
  };
  for (let warm = 0; warm < 50; warm += 1) round();
  const ratios = Array.from({ length: 201 }, round).toSorted((a, b) => a - b);
  return ratios[100] ?? Number.NaN;
}

/** Up to this ratio two times count as one. Ways that stop at the first wrong octet are at 2 and above. */
const SAME = 1.25;

describe("the time it takes says nothing about the padding", () => {
  const take = (encoded: Buffer) => unpadPkcs1(encoded, substitute);

  test.each([
    ["a first octet that is wrong", changed(0, 1)],
    ["a wrong block type", changed(1, 7)],
    ["a zero that is early", changed(3, 0)],
  ])("right padding and %s", (_, wrong) => {
    const ratio = timeRatio(take, padded(), wrong);
    expect(Math.max(ratio, 1 / ratio)).toBeLessThan(SAME);
  });

  test("OAEP: a first octet that is wrong and a label that is", () => {
    const encoded = randomBytes(SIZE);
    encoded[0] = 0;
    const first = Buffer.from(encoded);
    first[0] = 1;
    const ratio = timeRatio((octets) => unpadOaep(octets, "sha1"), encoded, first);
    expect(Math.max(ratio, 1 / ratio)).toBeLessThan(SAME);
  });

  test("and this measure sees a way that stops at the first wrong octet", () => {
    const hasty = (encoded: Buffer) => {
      if (encoded[0] !== 0) return substitute.octets;
      return unpadPkcs1(encoded, substitute);
    };
    expect(timeRatio(hasty, padded(), changed(0, 1))).toBeGreaterThan(2);
  });
});
