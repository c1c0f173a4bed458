import { closeSync, openSync } from "node:fs";

/**
 * Makes an empty file that only its owner may read, before SQLite would make it with the process's umask. An existing
 * file is not even opened: closing any descriptor of a file drops all POSIX locks that this process holds on it
 * (sqlite.org/howtocorrupt.html, section 2.2), and so would let a second process in.
 */
export function makePrivateFile(file: string): void {
  try {
    closeSync(openSync(file, "wx", 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}
