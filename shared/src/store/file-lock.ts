import { DatabaseSync } from "node:sqlite";
import { ConnectorError } from "../errors.ts";
import { makePrivateFile } from "./private-file.ts";

/**
 * Holds `file` (made where it is missing, mode 0600) for this process alone until disposed. The lock is SQLite's own
 * file lock, so the operating system releases it when the process dies, however it dies: there is no stale lock to
 * judge by process id. `what` names what is protected in the error.
 *
 * @throws ConnectorError `store-in-use` when another holder has it, in this process or another.
 */
export function lockFile(file: string, what: string): Disposable {
  makePrivateFile(file);
  const database = new DatabaseSync(file, { timeout: 0 });
  try {
    database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
  } catch (cause) {
    database.close();
    throw new ConnectorError(
      "store-in-use",
      `${what} is in use by another process: stop that one first, or use a state folder of its own`,
      { cause },
    );
  }
  return { [Symbol.dispose]: () => database.close() };
}
