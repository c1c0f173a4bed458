import { isIP } from "node:net";
import { z } from "zod";

/**
 * Building blocks for the keys of a local configuration file. A path is written relative to the file that names it and
 * arrives absolute; `loadConfiguration` does that after the whole file has been checked.
 */

/** Own limit on the length of a path. */
const MAX_PATH_CHARACTERS = 4_096;

/** What a path's key checks besides its text. */
export type PathKind = "file" | "secret" | "any";

/** A path as written, until the loader resolves it. */
export class WrittenPath {
  readonly text: string;
  readonly kind: PathKind;

  constructor(text: string, kind: PathKind) {
    this.text = text;
    this.kind = kind;
  }
}

/** A path that need not exist yet, a folder or a file that the service makes. */
export function pathKey() {
  return pathOf("any");
}

/** A file that has to exist and be readable. */
export function fileKey() {
  return pathOf("file");
}

/** A file that holds a secret: it has to exist, others may not read it and the group may not write it. */
export function secretFileKey() {
  return pathOf("secret");
}

function pathOf(kind: PathKind) {
  return z
    .string()
    .min(1)
    .max(MAX_PATH_CHARACTERS)
    .refine((text) => !text.includes("\0"), "holds a NUL character")
    .transform((text) => new WrittenPath(text, kind) as unknown as string);
}

/** An IPv4 or IPv6 address to listen on. */
export function addressKey() {
  return z.string().refine((text) => isIP(text) !== 0, "is no IP address");
}

/** A TCP or UDP port; 0 lets the system choose, and `run.json` says which. */
export function portKey() {
  return z.number().int().min(0).max(65_535);
}
