import { zstdCompressSync } from "node:zlib";

/** The payload of a batch of these lines, as a connector sends it. */
export function batchPayload(lines: readonly string[]) {
  const raw = Buffer.from(lines.join("\n"));
  return { compressed: Uint8Array.from(zstdCompressSync(raw)), rawBytes: raw.length };
}
