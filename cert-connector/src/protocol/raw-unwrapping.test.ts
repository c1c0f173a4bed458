import {
  constants,
  createPublicKey,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
} from "node:crypto";
import { testRsaKey } from "@isthmus/shared/testing/certificate-authority";
import type { HeldKey } from "@isthmus/shared/x509/signing-key";
import { describe, expect, test } from "vitest";
import type { SealedEnvelope } from "./envelope-opening.ts";
import type { KeyEncryption } from "./key-encryption.ts";
import { RawUnwrapping } from "./raw-unwrapping.ts";

const privateKey = testRsaKey();
const publicKey = createPublicKey(privateKey);
const contentKey = randomBytes(32);

/** A key that is held as in a module: it computes the bare operation and counts how often. */
function held() {
  const asked: Buffer[] = [];
  const key: HeldKey = {
    publicKey,
    sign: () => Promise.reject(new Error("it only decrypts")),
    decryptRaw: async (octets) => {
      asked.push(Buffer.from(octets));
      return privateDecrypt({ key: privateKey, padding: constants.RSA_NO_PADDING }, octets);
    },
  };
  return { key, asked };
}

function sealed(encryptedKey: Uint8Array, keyEncryption: KeyEncryption): SealedEnvelope {
  const rest = { cipher: "aes-256-cbc", iv: Buffer.alloc(16), encryptedContent: Buffer.alloc(16) };
  return {
    ...(rest as Pick<SealedEnvelope, "cipher" | "iv" | "encryptedContent">),
    keyEncryption,
    encryptedKey,
  };
}

const PKCS1: KeyEncryption = { scheme: "pkcs1" };

function wrapped(keyEncryption: KeyEncryption): Buffer {
  if (keyEncryption.scheme === "pkcs1") {
    return publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_PADDING }, contentKey);
  }
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  return publicEncrypt({ key: publicKey, padding, oaepHash: keyEncryption.digest }, contentKey);
}

describe("a content key is unwrapped", () => {
  test.each<KeyEncryption>([
    PKCS1,
    { scheme: "oaep", digest: "sha1" },
    { scheme: "oaep", digest: "sha256" },
    { scheme: "oaep", digest: "sha384" },
    { scheme: "oaep", digest: "sha512" },
  ])("%o", async (keyEncryption) => {
    const unwrapping = new RawUnwrapping(held().key);
    expect(await unwrapping.unwrap(sealed(wrapped(keyEncryption), keyEncryption))).toEqual(
      contentKey,
    );
  });

  test("also where the sender left leading zeros away", async () => {
    const unwrapping = new RawUnwrapping(held().key);
    let encryptedKey = wrapped(PKCS1);
    while (encryptedKey[0] !== 0) encryptedKey = wrapped(PKCS1);
    expect(await unwrapping.unwrap(sealed(encryptedKey.subarray(1), PKCS1))).toEqual(contentKey);
  });
});

describe("what cannot be unwrapped", () => {
  test("gives the same noise again, in another process too, and never an error", async () => {
    const encryptedKey = randomBytes(256);
    encryptedKey[0] = 0;
    const once = await new RawUnwrapping(held().key).unwrap(sealed(encryptedKey, PKCS1));
    const again = await new RawUnwrapping(held().key).unwrap(sealed(encryptedKey, PKCS1));
    expect(again).toEqual(once);
  });

  test.each([
    ["of more octets than the modulus", Buffer.alloc(257, 1)],
    ["not below the modulus", Buffer.alloc(256, 0xff)],
  ])("a number %s is no key, after the same acts as any", async (_, encryptedKey) => {
    const { key, asked } = held();
    const unwrapping = new RawUnwrapping(key);
    expect(await unwrapping.unwrap(sealed(encryptedKey, PKCS1))).toHaveLength(0);
    expect(asked).toHaveLength(2);
  });

  test("the number that the secret is made from comes back as noise", async () => {
    const { key, asked } = held();
    const unwrapping = new RawUnwrapping(key);
    await unwrapping.unwrap(sealed(wrapped(PKCS1), PKCS1));
    const secretInput = asked[0] ?? Buffer.alloc(0);
    const raw = privateDecrypt({ key: privateKey, padding: constants.RSA_NO_PADDING }, secretInput);
    const answer = await unwrapping.unwrap(sealed(secretInput, PKCS1));
    expect(raw.includes(answer) && answer.length > 8).toBe(false);
  });
});

test("a holder that was away is asked for the secret again", async () => {
  const { key } = held();
  let isAway = true;
  const unwrapping = new RawUnwrapping({
    ...key,
    decryptRaw: async (octets) => {
      if (isAway) throw new Error("away");
      return (await key.decryptRaw?.(octets)) ?? Buffer.alloc(0);
    },
  });
  await expect(unwrapping.unwrap(sealed(wrapped(PKCS1), PKCS1))).rejects.toThrow("away");
  isAway = false;
  expect(await unwrapping.unwrap(sealed(wrapped(PKCS1), PKCS1))).toEqual(contentKey);
});

test("a key that only signs is refused", () => {
  const { decryptRaw: _, ...signing } = held().key;
  expect(() => new RawUnwrapping(signing)).toThrow(
    expect.objectContaining({ code: "cms-recipient" }),
  );
});
