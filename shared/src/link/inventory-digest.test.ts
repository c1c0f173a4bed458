import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  bucketOf,
  DIGEST_BYTES,
  DigestBuckets,
  differingBuckets,
  facetHash,
  recordDigest,
} from "./inventory-digest.ts";
import { DIGEST_BUCKETS, facetHash as facetHashSchema } from "./inventory-messages.ts";

const first8 = (text: string) => createHash("sha256").update(text).digest("hex").slice(0, 16);

test("a facet's hash is the start of SHA-256 over its text in UTF-8", () => {
  // FIPS 180-2, appendix B.1.
  expect(facetHash("abc")).toBe("ba7816bf8f01cfea");
  expect(facetHash('{"name":"één"}')).toBe(first8('{"name":"één"}'));
  expect(facetHashSchema.safeParse(facetHash("{}")).success).toBe(true);
});

test("a record's digest covers key and facets in the order of their names, without the volatile one", () => {
  const facets = { stable: "1111111111111111", identity: "0000000000000000" };
  const expected = first8("16777217\nidentity:0000000000000000\nstable:1111111111111111");
  expect(recordDigest("16777217", facets)).toBe(expected);
  expect(recordDigest("16777217", facets)).toBe("3107411c021eacfc");
  expect(recordDigest("16777217", { ...facets, volatile: "2222222222222222" })).toBe(expected);
  expect(recordDigest("16777218", facets)).not.toBe(expected);
  expect(recordDigest("16777217", {})).toBe(first8("16777217\n"));
});

test("a bucket is the start of SHA-256 over the key, modulo 4096", () => {
  expect(bucketOf("abc")).toBe(0xba78 % 4_096);
  const buckets = Array.from({ length: 2_000 }, (_, index) => bucketOf(String(16_777_216 + index)));
  expect(Math.max(...buckets)).toBeLessThan(DIGEST_BUCKETS);
  expect(new Set(buckets).size).toBeGreaterThan(1_000);
});

test("a bucket is the exclusive or of its records' digests, big-endian", () => {
  const sum = new DigestBuckets();
  sum.add(1, "00000000000000ff");
  sum.add(1, "ff0000000000000f");
  sum.add(4_095, "0123456789abcdef");
  const bytes = sum.toBytes();
  expect(bytes.subarray(8, 16).toString("hex")).toBe("ff000000000000f0");
  expect(bytes.subarray(-8).toString("hex")).toBe("0123456789abcdef");
  expect([bytes.length, sum.count]).toEqual([DIGEST_BYTES, 3]);
});

const records = fc.uniqueArray(
  fc.record({ key: fc.string({ minLength: 1 }), identity: fc.string() }),
  { selector: ({ key }) => key, minLength: 1, maxLength: 50 },
);

function digestOf(of: readonly { readonly key: string; readonly identity: string }[]): Buffer {
  const sum = new DigestBuckets();
  for (const { key, identity } of of) {
    sum.add(bucketOf(key), recordDigest(key, { identity: facetHash(identity) }));
  }
  return sum.toBytes();
}

test("the same records in another order make the same digest, and one that is other shows in its bucket", () => {
  fc.assert(
    fc.property(records, (known) => {
      const [changed, ...rest] = known;
      if (changed === undefined) return;
      expect(differingBuckets(digestOf(known), digestOf(known.toReversed()))).toEqual([]);
      const others = [{ ...changed, identity: `${changed.identity}!` }, ...rest];
      expect(differingBuckets(digestOf(known), digestOf(others))).toEqual([bucketOf(changed.key)]);
      expect(differingBuckets(digestOf(known), digestOf(rest))).toEqual([bucketOf(changed.key)]);
    }),
  );
});

test("a digest of another length is comparable to none", () => {
  const whole = new DigestBuckets().toBytes();
  expect(differingBuckets(whole, whole.subarray(1))).toBeUndefined();
  expect(differingBuckets(new Uint8Array(0), whole)).toBeUndefined();
});
