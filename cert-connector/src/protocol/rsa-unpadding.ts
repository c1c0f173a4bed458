import { createHmac, hash } from "node:crypto";
import type { OaepDigest } from "./key-encryption.ts";

/**
 * Takes RSA padding off what a key elsewhere decrypted without looking at it (raw RSA). Which octet of the padding was
 * wrong, or whether any was, decides no branch and no address here: every octet is looked at, every outcome is computed,
 * and a mask of all ones or all zeros takes one of them.
 */

/** RFC 8017 section 7.2.1: 00 02, at least eight octets that are not zero, 00, the message. */
const PKCS1_HEAD_OCTETS = 2;
const PKCS1_MIN_PADDING_OCTETS = 8;

/** draft-irtf-cfrg-rsa-guidance: candidates for the length of a substitute, of which the last that fits is taken. */
const LENGTH_CANDIDATES = 128;
const PRF_OCTETS = 32;

/** What stands in for a message whose padding was wrong: the same for the same ciphertext, and nobody else can tell. */
export interface Substitute {
  /** As long as the modulus; its end is used. */
  readonly octets: Buffer;
  readonly length: number;
}

/**
 * The substitute for a ciphertext, from a secret that belongs to the key (implicit rejection as in
 * draft-irtf-cfrg-rsa-guidance section 7, and as OpenSSL 3.2 does it with a digest of the private exponent).
 * `ciphertext` is as long as the modulus.
 */
export function substituteFor(ciphertext: Uint8Array, secret: Uint8Array): Substitute {
  const key = createHmac("sha256", secret).update(ciphertext).digest();
  const size = ciphertext.length;
  const octets = expand(key, "message", size);
  const candidates = expand(key, "length", LENGTH_CANDIDATES * 2);
  const limit = size - PKCS1_HEAD_OCTETS - PKCS1_MIN_PADDING_OCTETS;
  const bits = 2 ** (32 - Math.clz32(limit)) - 1;
  let length = 0;
  for (let at = 0; at < candidates.length; at += 2) {
    const candidate = candidates.readUInt16BE(at) & bits;
    length = select(maskOfLess(candidate, limit), candidate, length);
  }
  return { octets, length };
}

/** Blocks of HMAC-SHA256 over a counter, the label and the number of bits. */
function expand(key: Uint8Array, label: string, count: number): Buffer {
  const blocks = Array.from({ length: Math.ceil(count / PRF_OCTETS) }, (_, index) =>
    createHmac("sha256", key)
      .update(Buffer.from([index >> 8, index & 0xff]))
      .update(label)
      .update(Buffer.from([(count * 8) >> 8, (count * 8) & 0xff]))
      .digest(),
  );
  return Buffer.concat(blocks).subarray(0, count);
}

/** The message in PKCS#1 v1.5 padding, or the substitute where the padding is wrong. */
export function unpadPkcs1(encoded: Uint8Array, substitute: Substitute): Buffer {
  const size = encoded.length;
  let good = maskOfZero(encoded[0] ?? 1) & maskOfZero((encoded[1] ?? 0) ^ 0x02);
  let found = 0;
  let separator = 0;
  for (let at = PKCS1_HEAD_OCTETS; at < size; at += 1) {
    const isZero = maskOfZero(encoded[at] ?? 0);
    separator = select(~found & isZero, at, separator);
    found |= isZero;
  }
  good &= ~maskOfLess(separator, PKCS1_HEAD_OCTETS + PKCS1_MIN_PADDING_OCTETS);
  const start = select(good, separator + 1, size - substitute.length);
  const message = Buffer.alloc(size - start);
  for (let at = start; at < size; at += 1) {
    message[at - start] = select(good, encoded[at] ?? 0, substitute.octets[at] ?? 0);
  }
  return message;
}

const NO_MESSAGE = Buffer.alloc(0);

/** The message in OAEP padding with an empty label (RFC 8017 section 7.1.2); empty where the padding is wrong. */
export function unpadOaep(encoded: Uint8Array, digest: OaepDigest): Buffer {
  const label = hash(digest, NO_MESSAGE, "buffer");
  const octets = label.length;
  if (encoded.length < 2 * octets + 2) return NO_MESSAGE;
  const maskedBlock = encoded.subarray(1 + octets);
  const seed = exclusiveOr(encoded.subarray(1, 1 + octets), maskFrom(maskedBlock, octets, digest));
  const block = exclusiveOr(maskedBlock, maskFrom(seed, maskedBlock.length, digest));
  let wrong = encoded[0] ?? 1;
  for (let at = 0; at < octets; at += 1) wrong |= (block[at] ?? 0) ^ (label[at] ?? 0);
  let found = 0;
  let separator = 0;
  for (let at = octets; at < block.length; at += 1) {
    const octet = block[at] ?? 0;
    const isOne = maskOfZero(octet ^ 0x01);
    wrong |= ~found & ~isOne & octet;
    separator = select(~found & isOne, at, separator);
    found |= isOne;
  }
  const good = maskOfZero(wrong) & found;
  return block.subarray(select(good, separator + 1, block.length));
}

/** MGF1 (RFC 8017 appendix B.2.1). */
function maskFrom(seed: Uint8Array, count: number, digest: OaepDigest): Buffer {
  const blocks: Buffer[] = [];
  const counter = Buffer.alloc(4);
  for (let made = 0; made < count; made += blocks[0]?.length ?? count) {
    counter.writeUInt32BE(blocks.length);
    blocks.push(hash(digest, Buffer.concat([seed, counter]), "buffer"));
  }
  return Buffer.concat(blocks).subarray(0, count);
}

function exclusiveOr(one: Uint8Array, other: Uint8Array): Buffer {
  const result = Buffer.alloc(one.length);
  for (let at = 0; at < one.length; at += 1) result[at] = (one[at] ?? 0) ^ (other[at] ?? 0);
  return result;
}

/** Masks of all ones (-1) or all zeros; numbers are of 31 bits. */
function maskOfZero(value: number): number {
  return ~((value | -value) >> 31);
}

function maskOfLess(value: number, limit: number): number {
  return (value - limit) >> 31;
}

function select(mask: number, one: number, other: number): number {
  return (mask & one) | (~mask & other);
}
