import {
  constants,
  createHash,
  generateKeyPairSync,
  privateDecrypt,
  publicEncrypt,
} from "node:crypto";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { substituteFor, unpadOaep, unpadPkcs1 } from "./rsa-unpadding.ts";

/**
 * Ours against OpenSSL's, octet for octet: for right padding the message, and for wrong PKCS#1 v1.5 padding the very noise
 * that OpenSSL derives from a digest of the private exponent.
 */

const SIZE = 128;
const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: SIZE * 8 });
const exponent = Buffer.from(privateKey.export({ format: "jwk" }).d ?? "", "base64url");
const secret = createHash("sha256")
  .update(Buffer.concat([Buffer.alloc(SIZE - exponent.length), exponent]))
  .digest();

function encrypted(encoded: Buffer): Buffer {
  return publicEncrypt({ key: publicKey, padding: constants.RSA_NO_PADDING }, encoded);
}

function openedByOpenSsl(ciphertext: Buffer, padding: number, oaepHash = "sha1"): Buffer {
  try {
    return privateDecrypt({ key: privateKey, padding, oaepHash }, ciphertext);
  } catch {
    return Buffer.alloc(0);
  }
}

/** Octets that start with `head` and are noise but for zeros at some places: right padding, and wrong in every way. */
const encodedPkcs1 = fc
  .record({
    head: fc.oneof(
      { weight: 4, arbitrary: fc.constant([0, 2]) },
      { weight: 1, arbitrary: fc.tuple(fc.constantFrom(0, 1), fc.nat(3)) },
    ),
    noise: fc.uint8Array({ minLength: SIZE, maxLength: SIZE }),
    zeros: fc.array(fc.oneof(fc.nat(SIZE - 3), fc.nat(12)), { maxLength: 3 }),
  })
  .map(({ head, noise, zeros }) => {
    const rest = noise.slice(2).map((octet) => octet || 1);
    for (const at of zeros) rest[at] = 0;
    return Buffer.from([...head, ...rest]);
  });

test("PKCS#1 v1.5 padding comes off as OpenSSL takes it off, right and wrong", () => {
  let right = 0;
  fc.assert(
    fc.property(encodedPkcs1, (encoded) => {
      const ciphertext = encrypted(encoded);
      const message = unpadPkcs1(encoded, substituteFor(ciphertext, secret));
      expect(message).toEqual(openedByOpenSsl(ciphertext, constants.RSA_PKCS1_PADDING));
      if (encoded.subarray(SIZE - message.length).equals(message)) right += 1;
    }),
    { numRuns: fuzzRuns(10_000) },
  );
  expect(right).toBeGreaterThan(0);
});

const digest = fc.constantFrom("sha1" as const, "sha256" as const, "sha384" as const);
const edits = fc.array(fc.tuple(fc.nat(SIZE - 1), fc.nat(255)), { maxLength: 2 });

test("OAEP padding comes off as OpenSSL takes it off, right and wrong", () => {
  let right = 0;
  const message = fc.uint8Array({ maxLength: SIZE - 2 - 2 * 20 });
  fc.assert(
    fc.property(message, digest, edits, (octets, oaepHash, changes) => {
      const limit = SIZE - 2 - 2 * createHash(oaepHash).digest().length;
      const content = octets.subarray(0, limit);
      const padding = constants.RSA_PKCS1_OAEP_PADDING;
      const sealed = publicEncrypt({ key: publicKey, padding, oaepHash }, content);
      const raw = { key: privateKey, padding: constants.RSA_NO_PADDING };
      const encoded = Buffer.from(privateDecrypt(raw, sealed));
      for (const [at, octet] of changes) encoded[at] = at === 0 ? octet & 1 : octet;
      const opened = unpadOaep(encoded, oaepHash);
      if (encoded[0] === 0 && opened.length > 0) right += 1;
      expect(opened).toEqual(openedByOpenSsl(encrypted(encoded), padding, oaepHash));
    }),
    { numRuns: fuzzRuns(3_000) },
  );
  expect(right).toBeGreaterThan(0);
});

test("any octets have their padding taken off without an error", () => {
  const any = fc.uint8Array({ minLength: 12, maxLength: 300 });
  fc.assert(
    fc.property(any, digest, (octets, oaepHash) => {
      const substitute = substituteFor(octets, secret);
      expect(substitute.length).toBeLessThan(octets.length - 10);
      expect(unpadPkcs1(octets, substitute).length).toBeLessThan(octets.length - 10);
      expect(unpadOaep(octets, oaepHash).length).toBeLessThan(octets.length);
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});
