import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { z } from "zod";
import { ConfigurationError } from "../errors.ts";

/** A file that is in force as it was when the process read it. */
export const fileAsRead = z.object({
  path: z.string(),
  sha256: z.string(),
});
export type FileAsRead = z.infer<typeof fileAsRead>;

/**
 * To be called before the file is read for use: a change in between is then seen as one. Undefined for what is no regular file: a pipe
 * is read once. Throws ConfigurationError where it cannot be read.
 */
export function rememberFile(path: string): FileAsRead | undefined {
  try {
    if (!statSync(path).isFile()) return undefined;
    return { path: resolve(path), sha256: hashOfFile(path) };
  } catch (error) {
    throw new ConfigurationError(path, [`cannot be read: ${(error as Error).message}`]);
  }
}

/** Those of which the file on disk is another by now, or cannot be read. */
export function changedFiles(files: readonly FileAsRead[]): readonly string[] {
  return files.filter((file) => !isAsRead(file)).map(({ path }) => path);
}

/** SHA-256, hex. Throws what reading it throws. */
function hashOfFile(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

function isAsRead({ path, sha256 }: FileAsRead): boolean {
  try {
    // What took its place may have no end.
    return statSync(path).isFile() && hashOfFile(path) === sha256;
  } catch {
    return false;
  }
}
