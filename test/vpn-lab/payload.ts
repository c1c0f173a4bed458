import { createCipheriv, createHash } from "node:crypto";

const CHUNK = 1_048_576;

/** Bytes that no compression shortens and every reader can make again. */
export function* payload(bytes: number): Generator<Buffer> {
  const stream = createCipheriv("aes-128-ctr", Buffer.alloc(16, 7), Buffer.alloc(16));
  const zeroes = Buffer.alloc(CHUNK);
  for (let left = bytes; left > 0; left -= CHUNK) {
    yield stream.update(left < CHUNK ? zeroes.subarray(0, left) : zeroes);
  }
}

/** SHA-256 of a payload, hex. */
export function payloadHash(bytes: number): string {
  const hash = createHash("sha256");
  for (const chunk of payload(bytes)) hash.update(chunk);
  return hash.digest("hex");
}
