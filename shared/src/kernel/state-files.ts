import { randomBytes } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from "node:fs";
import { rm } from "node:fs/promises";
import { dirname } from "node:path";
import { ConnectorError } from "../errors.ts";

/** Own limit on what is read back from the state folder as one piece. */
const MAX_STATE_FILE_BYTES = 4_194_304;

/**
 * Writes a file so that after a crash there is the old or the new content, never part of one: a new file beside it,
 * synced, renamed over it, the folder synced. Mode 0600 unless given.
 */
export function writeFileAtomically(
  file: string,
  content: string | Uint8Array,
  mode = 0o600,
): void {
  const temporary = `${file}.${randomBytes(6).toString("hex")}.new`;
  const descriptor = openSync(temporary, "wx", mode);
  try {
    const bytes = Buffer.from(content as Uint8Array);
    for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(temporary, file);
  syncFolder(dirname(file));
}

/** Renames a file within the state folder, durably. */
export function renameStateFile(from: string, to: string): void {
  renameSync(from, to);
  syncFolder(dirname(to));
}

/** Makes a rename or removal in a folder durable. */
function syncFolder(folder: string): void {
  const descriptor = openSync(folder, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Makes the state folder, mode 0700, where it is missing. @throws ConnectorError `state-folder` */
export function makeStateFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new ConnectorError(
      "state-folder",
      `state folder ${folder} cannot be made: ${(cause as Error).message}`,
      { cause },
    );
  }
}

/** The text of a file in the state folder, or undefined where it is not there. */
export function readStateFile(file: string): string | undefined {
  let content: Buffer;
  try {
    content = readFileSync(file);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new ConnectorError("state-file", `${file} cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
  if (content.length > MAX_STATE_FILE_BYTES) {
    throw new ConnectorError("state-file", `${file} has ${content.length} bytes, too many`);
  }
  return content.toString("utf8");
}

/** Removes a file of the state folder; one that is not there is fine. */
export async function removeStateFile(file: string): Promise<void> {
  await rm(file, { force: true });
}
