import { createCipheriv, createDecipheriv, createHmac, timingSafeEqual } from "node:crypto";
import { ProtocolError } from "../errors.ts";

/**
 * Encryption with AES as Kerberos 5 has it (RFC 3961 section 5, RFC 3962): keys derived for each use, a random first block,
 * CBC with ciphertext stealing, and an HMAC-SHA-1 of 96 bits behind it.
 *
 *     cipher = AES-CTS(Ke, confounder | plain) | HMAC-SHA1(Ki, confounder | plain)[0..12]
 */

/** RFC 3962 section 7: encryption types by number, and the length of their keys in octets. */
export const AES_KEY_BYTES: Readonly<Record<number, number>> = { 17: 16, 18: 32 };

const BLOCK_BYTES = 16;
const MAC_BYTES = 12;
/** RFC 3961 section 5.3: what a derived key is for. */
const FOR_ENCRYPTION = 0xaa;
const FOR_INTEGRITY = 0x55;

/** `confounder` is 16 random octets. Throws ProtocolError `kerberos-key` for a key that is not AES's. */
export function encryptKerberos(of: {
  readonly key: Buffer;
  readonly usage: number;
  readonly plain: Uint8Array;
  readonly confounder: Uint8Array;
}): Buffer {
  requireAesKey(of.key);
  const whole = Buffer.concat([of.confounder, of.plain]);
  const encrypted = encryptCts(deriveKey(of.key, constantFor(of.usage, FOR_ENCRYPTION)), whole);
  return Buffer.concat([encrypted, macOf(of.key, of.usage, whole)]);
}

/** What was encrypted. Throws ProtocolError `kerberos-key`, and `kerberos-integrity` for what the key did not make. */
export function decryptKerberos(of: {
  readonly key: Buffer;
  readonly usage: number;
  readonly cipher: Buffer;
}): Buffer {
  requireAesKey(of.key);
  const encrypted = of.cipher.subarray(0, -MAC_BYTES);
  if (encrypted.length <= BLOCK_BYTES) {
    throw new ProtocolError("kerberos-integrity", `${of.cipher.length} octets are no cipher`);
  }
  const whole = decryptCts(deriveKey(of.key, constantFor(of.usage, FOR_ENCRYPTION)), encrypted);
  if (!timingSafeEqual(macOf(of.key, of.usage, whole), of.cipher.subarray(-MAC_BYTES))) {
    throw new ProtocolError("kerberos-integrity", "it was not encrypted with this session's key");
  }
  return whole.subarray(BLOCK_BYTES);
}

function requireAesKey(key: Buffer): void {
  if (Object.values(AES_KEY_BYTES).includes(key.length)) return;
  throw new ProtocolError("kerberos-key", `a key of ${key.length} octets is not AES's`);
}

function macOf(key: Buffer, usage: number, whole: Buffer): Buffer {
  const integrityKey = deriveKey(key, constantFor(usage, FOR_INTEGRITY));
  return createHmac("sha1", integrityKey).update(whole).digest().subarray(0, MAC_BYTES);
}

function constantFor(usage: number, purpose: number): Buffer {
  const constant = Buffer.alloc(5);
  constant.writeUInt32BE(usage);
  constant[4] = purpose;
  return constant;
}

/** DK of RFC 3961 section 5.1: the constant, folded to a block, encrypted over and over. */
export function deriveKey(key: Buffer, constant: Buffer): Buffer {
  const blocks: Buffer[] = [];
  let block = foldTo(constant, BLOCK_BYTES);
  while (blocks.length * BLOCK_BYTES < key.length) {
    block = encryptCbc(key, block);
    blocks.push(block);
  }
  return Buffer.concat(blocks).subarray(0, key.length);
}

/** CBC-CS3 from a zero vector: the last two blocks change places, and the output is as long as the input. */
function encryptCts(key: Buffer, plain: Buffer): Buffer {
  const padded = Buffer.alloc(Math.ceil(plain.length / BLOCK_BYTES) * BLOCK_BYTES);
  plain.copy(padded);
  const encrypted = encryptCbc(key, padded);
  const last = encrypted.subarray(-BLOCK_BYTES);
  const lastButOne = encrypted.subarray(-2 * BLOCK_BYTES, -BLOCK_BYTES);
  const swapped = [encrypted.subarray(0, -2 * BLOCK_BYTES), last, lastButOne];
  return Buffer.concat(swapped).subarray(0, plain.length);
}

/** More than one block; what stealing took from the last but one stands at the end of the last. */
function decryptCts(key: Buffer, encrypted: Buffer): Buffer {
  const tailBytes = encrypted.length % BLOCK_BYTES || BLOCK_BYTES;
  const tail = encrypted.subarray(-tailBytes);
  const last = encrypted.subarray(-BLOCK_BYTES - tailBytes, -tailBytes);
  const stolen = decryptCbc(key, last).subarray(tailBytes);
  const head = encrypted.subarray(0, -BLOCK_BYTES - tailBytes);
  const blocks = Buffer.concat([head, tail, stolen, last]);
  return decryptCbc(key, blocks).subarray(0, encrypted.length);
}

function decryptCbc(key: Buffer, blocks: Buffer): Buffer {
  const cipher = createDecipheriv(`aes-${key.length * 8}-cbc`, key, Buffer.alloc(BLOCK_BYTES));
  return cipher.setAutoPadding(false).update(blocks);
}

function encryptCbc(key: Buffer, blocks: Buffer): Buffer {
  const cipher = createCipheriv(`aes-${key.length * 8}-cbc`, key, Buffer.alloc(BLOCK_BYTES));
  return cipher.setAutoPadding(false).update(blocks);
}

/**
 * n-fold of RFC 3961 section 5.1: copies of the input, each turned right by 13 bits more, added in ones' complement in
 * pieces of `size` octets.
 */
export function foldTo(input: Buffer, size: number): Buffer {
  const length = leastCommonMultiple(input.length, size);
  const sum = new Array<number>(size).fill(0);
  for (let at = 0; at < length; at += 1) {
    const index = at % size;
    sum[index] = (sum[index] ?? 0) + turnedOctet(input, at);
  }
  return Buffer.from(withoutCarries(sum));
}

/** The octet at `at` of the copies in a row. */
function turnedOctet(input: Buffer, at: number): number {
  const copy = Math.floor(at / input.length);
  const bits = input.length * 8;
  const first = (((at % input.length) * 8 - 13 * copy) % bits) + bits;
  const high = input[Math.floor(first / 8) % input.length] ?? 0;
  const low = input[(Math.floor(first / 8) + 1) % input.length] ?? 0;
  return (((high << 8) | low) >> (8 - (first % 8))) & 0xff;
}

/** Carries go left, and round from the first octet to the last. */
function withoutCarries(sum: number[]): number[] {
  let carry = 0;
  do {
    for (let at = sum.length - 1; at >= 0; at -= 1) {
      const value = (sum[at] ?? 0) + carry;
      sum[at] = value & 0xff;
      carry = value >> 8;
    }
  } while (carry > 0);
  return sum;
}

function leastCommonMultiple(left: number, right: number): number {
  let [a, b] = [left, right];
  while (b > 0) [a, b] = [b, a % b];
  return (left * right) / a;
}
