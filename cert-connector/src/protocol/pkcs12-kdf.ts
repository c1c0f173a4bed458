import { hash } from "node:crypto";
import { ProtocolError } from "@isthmus/shared/errors";
import { PKCS12_DIGESTS, type Pkcs12Digest } from "./pkcs12-algorithms.ts";

/** What derived octets are for: the ID of RFC 7292 appendix B.3. */
export const KDF_PURPOSE = { key: 1, iv: 2, mac: 3 } as const;

/**
 * A password as PKCS#12 hashes it: BMPString with two zero octets at its end (RFC 7292 appendix B.1). Throws ProtocolError
 * `pkcs12-password-form` for a character outside the Basic Multilingual Plane, which others encode in different ways.
 */
export function bmpPassword(password: string): Buffer {
  if (/[\ud800-\udfff]/.test(password)) {
    throw new ProtocolError(
      "pkcs12-password-form",
      "PKCS#12: the password has a character that BMPString cannot hold",
    );
  }
  return Buffer.from(`${password}\0`, "utf16le").swap16();
}

/**
 * Derives octets from a password by hashing (RFC 7292 appendix B.2). Synchronous: about a microsecond an iteration, so
 * whoever reads others' files bounds `iterations` first.
 */
export function pkcs12Kdf(of: {
  readonly digest: Pkcs12Digest;
  /** From `bmpPassword`; empty for the password that is none. */
  readonly password: Uint8Array;
  readonly salt: Uint8Array;
  readonly iterations: number;
  readonly purpose: (typeof KDF_PURPOSE)[keyof typeof KDF_PURPOSE];
  readonly bytes: number;
}): Buffer {
  const { outputBytes, blockBytes } = PKCS12_DIGESTS[of.digest];
  const diversifier = Buffer.alloc(blockBytes, of.purpose);
  const input = Buffer.concat([repeated(of.salt, blockBytes), repeated(of.password, blockBytes)]);
  const derived: Buffer[] = [];
  for (let made = 0; made < of.bytes; made += outputBytes) {
    let block: Buffer = hash(of.digest, Buffer.concat([diversifier, input]), "buffer");
    for (let round = 1; round < of.iterations; round += 1) block = hash(of.digest, block, "buffer");
    derived.push(block);
    addToEach(input, block, blockBytes);
  }
  return Buffer.concat(derived).subarray(0, of.bytes);
}

/** The value over and over, up to a whole number of blocks. */
function repeated(value: Uint8Array, blockBytes: number): Buffer {
  if (value.length === 0) return Buffer.alloc(0);
  return Buffer.alloc(Math.ceil(value.length / blockBytes) * blockBytes, value);
}

/** Adds `block`, repeated to the block size, and 1 to each block of `input`, as big-endian numbers without overflow. */
function addToEach(input: Buffer, block: Buffer, blockBytes: number): void {
  for (let start = 0; start < input.length; start += blockBytes) {
    let carry = 1;
    for (let at = blockBytes - 1; at >= 0; at -= 1) {
      const sum = (input[start + at] ?? 0) + (block[at % block.length] ?? 0) + carry;
      input[start + at] = sum & 0xff;
      carry = sum >> 8;
    }
  }
}
