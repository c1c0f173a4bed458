import { hash } from "node:crypto";
import { BUCKET_BYTES, DIGEST_BUCKETS } from "./inventory-messages.ts";

/**
 * How both ends of the link see whether they have the same records without telling them: each record has a digest, records
 * fall into buckets by their key, and a bucket's value is the exclusive or of its records' digests. Whoever has the same
 * records has the same buckets, whatever the order in which it came to them.
 */

/** Changes with every contact of a device; left out, or no digest would ever hold long enough to be compared. */
export const VOLATILE_FACET = "volatile";

const HASH_DIGITS = 16;

/** Hash of a facet: the first 8 octets of SHA-256 over its JSON text (as `JSON.stringify` gives it), hex. */
export function facetHash(text: string): string {
  return sha256(text);
}

/**
 * Digest of a record from its key and its facets' hashes by name: the first 8 octets of SHA-256 over the key, a line
 * feed, and `<facet>:<hash>` of each facet but `volatile`, in the order of their names (by code unit) with line feeds between; hex.
 */
export function recordDigest(key: string, facets: Readonly<Record<string, string>>): string {
  const names = Object.keys(facets).filter((name) => name !== VOLATILE_FACET);
  const lines = names.sort().map((name) => `${name}:${facets[name]}`);
  return digestOfLines(key, lines);
}

/** The same for whoever has `<facet>:<hash>` of each facet but `volatile` in the order of their names. */
export function digestOfLines(key: string, lines: readonly string[]): string {
  return sha256(`${key}\n${lines.join("\n")}`);
}

/** Bucket of a record: the first 2 octets of SHA-256 over its key, big-endian, modulo `DIGEST_BUCKETS`. */
export function bucketOf(key: string): number {
  return Number.parseInt(hash("sha256", key, "hex").slice(0, 4), 16) % DIGEST_BUCKETS;
}

function sha256(text: string): string {
  return hash("sha256", text, "hex").slice(0, HASH_DIGITS);
}

/** Sums up the records of a kind, one after the other and in any order. */
export class DigestBuckets {
  readonly #words = new Int32Array((DIGEST_BUCKETS * BUCKET_BYTES) / 4);
  #count = 0;

  /** Records that were added. */
  get count(): number {
    return this.#count;
  }

  /** `digest` as `recordDigest` gives it. */
  add(bucket: number, digest: string): void {
    const words = this.#words;
    const at = bucket * 2;
    words[at] = (words[at] ?? 0) ^ Number.parseInt(digest.slice(0, 8), 16);
    words[at + 1] = (words[at + 1] ?? 0) ^ Number.parseInt(digest.slice(8), 16);
    this.#count += 1;
  }

  /** `DIGEST_BUCKETS` values of `BUCKET_BYTES` octets each, in the order of the buckets. */
  toBytes(): Buffer {
    const bytes = Buffer.alloc(this.#words.length * 4);
    for (const [index, word] of this.#words.entries()) bytes.writeInt32BE(word, index * 4);
    return bytes;
  }
}

/** Octets of all buckets together, in base64 as a `digest` entry has them, before that coding. */
export const DIGEST_BYTES = DIGEST_BUCKETS * BUCKET_BYTES;

/**
 * Numbers of the buckets in which two digests differ, ascending. A digest of another length is comparable to none:
 * undefined.
 */
export function differingBuckets(one: Uint8Array, other: Uint8Array): number[] | undefined {
  if (one.length !== DIGEST_BYTES || other.length !== DIGEST_BYTES) return undefined;
  const [a, b] = [Buffer.from(one.buffer, one.byteOffset, one.length), other];
  if (a.equals(b)) return [];
  const numbers: number[] = [];
  for (let bucket = 0; bucket < DIGEST_BUCKETS; bucket++) {
    const from = bucket * BUCKET_BYTES;
    const end = from + BUCKET_BYTES;
    if (a.compare(b, from, end, from, end) !== 0) numbers.push(bucket);
  }
  return numbers;
}
