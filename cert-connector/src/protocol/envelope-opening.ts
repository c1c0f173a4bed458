import { constants, createDecipheriv, type KeyObject, privateDecrypt } from "node:crypto";
import { type Random, systemRandom } from "@isthmus/shared/random";
import { withoutStack } from "@isthmus/shared/x509/without-stack";
import { CIPHERS, type ContentCipher, cipherKey } from "./content-cipher.ts";
import type { KeyEncryption } from "./key-encryption.ts";

/** What one recipient needs to open an envelope; plain values, so that it can be sent to a worker. */
export interface SealedEnvelope {
  readonly keyEncryption: KeyEncryption;
  readonly encryptedKey: Uint8Array;
  readonly cipher: ContentCipher;
  readonly iv: Uint8Array;
  readonly encryptedContent: Uint8Array;
}

/**
 * What came out of an envelope. `isIntact` says whether the padding of the content was right; whoever reads `plaintext`
 * reads it first and asks then, so that a sender cannot tell a wrong key from wrong padding from wrong content.
 */
export interface OpenedEnvelope {
  readonly plaintext: Uint8Array;
  readonly isIntact: boolean;
}

/** The acts with secrets, named so that a test can count that every failure runs through the same ones. */
export interface OpeningPrimitives {
  readonly random: Random;
  readonly unwrap: typeof unwrapKey;
  readonly decrypt: typeof decryptBlocks;
}

export const OPENING_PRIMITIVES: OpeningPrimitives = {
  random: systemRandom,
  unwrap: unwrapKey,
  decrypt: decryptBlocks,
};

/**
 * Opens an envelope with the private key, never failing: a content key that cannot be unwrapped, or of the wrong size,
 * is replaced by a random one that was made beforehand, and the content then decrypts to noise. Node's OpenSSL answers
 * broken PKCS#1 v1.5 padding with noise of its own (implicit rejection); OAEP fails openly and is caught here.
 * Synchronous and CPU-bound (one RSA private operation): made for a worker.
 */
export function openEnvelope(
  sealed: SealedEnvelope,
  privateKey: KeyObject,
  primitives: OpeningPrimitives = OPENING_PRIMITIVES,
): OpenedEnvelope {
  const { keyBytes } = CIPHERS[sealed.cipher];
  const substitute = primitives.random.bytes(keyBytes);
  return openWith(sealed, primitives.unwrap(sealed, privateKey), substitute, primitives);
}

/** Opens an envelope whose content key is unwrapped elsewhere; rejects only where that place cannot be reached. */
export async function openEnvelopeElsewhere(
  sealed: SealedEnvelope,
  unwrap: (sealed: SealedEnvelope) => Promise<Uint8Array>,
  primitives: OpeningPrimitives = OPENING_PRIMITIVES,
): Promise<OpenedEnvelope> {
  const substitute = primitives.random.bytes(CIPHERS[sealed.cipher].keyBytes);
  return openWith(sealed, await unwrap(sealed), substitute, primitives);
}

function openWith(
  sealed: SealedEnvelope,
  unwrapped: Uint8Array,
  substitute: Uint8Array,
  primitives: OpeningPrimitives,
): OpenedEnvelope {
  const { keyBytes, blockBytes } = CIPHERS[sealed.cipher];
  const key = unwrapped.length === keyBytes ? unwrapped : substitute;
  return unpad(primitives.decrypt(sealed, key), blockBytes);
}

const NO_KEY = Buffer.alloc(0);

/** The content key; empty where OAEP or the size of the input was wrong. */
function unwrapKey({ keyEncryption, encryptedKey }: SealedEnvelope, key: KeyObject): Buffer {
  try {
    if (keyEncryption.scheme === "pkcs1") {
      const padding = constants.RSA_PKCS1_PADDING;
      return withoutStack(() => privateDecrypt({ key, padding }, encryptedKey));
    }
    const padding = constants.RSA_PKCS1_OAEP_PADDING;
    const { digest: oaepHash } = keyEncryption;
    return withoutStack(() => privateDecrypt({ key, padding, oaepHash }, encryptedKey));
  } catch {
    return NO_KEY;
  }
}

function decryptBlocks(sealed: SealedEnvelope, key: Uint8Array): Buffer {
  const { openssl } = CIPHERS[sealed.cipher];
  const decipher = createDecipheriv(openssl, cipherKey(sealed.cipher, key), sealed.iv);
  decipher.setAutoPadding(false);
  return Buffer.concat([decipher.update(sealed.encryptedContent), decipher.final()]);
}

/** Takes PKCS#7 padding off, looking at the whole last block whatever is in it; noise keeps its length. */
function unpad(padded: Buffer, blockBytes: number): OpenedEnvelope {
  const count = padded[padded.length - 1] ?? 0;
  let wrong = count === 0 || count > blockBytes ? 1 : 0;
  for (let back = 1; back <= blockBytes; back += 1) {
    const octet = padded[padded.length - back] ?? 0;
    wrong |= back <= count ? octet ^ count : 0;
  }
  const isIntact = wrong === 0;
  return { plaintext: padded.subarray(0, padded.length - (isIntact ? count : 0)), isIntact };
}
