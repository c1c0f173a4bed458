import { constants, type Stats } from "node:fs";
import { lstat, mkdir, open, opendir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ConnectorError, codeOf } from "@isthmus/shared/errors";

/** Documents by what their names end in; something that is still being brought has another name, or begins with a dot. */
const DOCUMENT = /^[^.].*\.(?:ocs|xml|json)$/i;
const REJECTED = "rejected";

export interface FolderLimits {
  readonly maxFileBytes: number;
  readonly maxFiles: number;
  readonly maxRejected: number;
}

/** A file as it was looked at; another look with the same stamp finds the same content. */
export interface FoundFile {
  readonly name: string;
  readonly stamp: string;
  /** When it was last written to, in ms. */
  readonly writtenAt: number;
}

/**
 * A folder into which others put documents. Its files are foreign: only regular files are opened, no link is followed, and what is not
 * what it should be goes to `rejected` beside a file that says why.
 */
export class DocumentFolder {
  readonly #path: string;
  readonly #limits: FolderLimits;

  constructor(path: string, limits: FolderLimits) {
    this.#path = path;
    this.#limits = limits;
  }

  /** All documents. Throws ConnectorError `agents-folder`, `agents-too-many`. */
  async list(): Promise<FoundFile[]> {
    const found: FoundFile[] = [];
    for (const name of await this.#names()) {
      const stat = await this.#look(name);
      if (stat === undefined) continue;
      found.push({ name, stamp: stampOf(stat), writtenAt: stat.mtimeMs });
    }
    return found;
  }

  /**
   * What is in a file. Undefined if it is gone or another one by now. Throws ConnectorError `agents-file` for what is no regular file, is
   * too large or may not be read.
   */
  async read({ name, stamp }: FoundFile): Promise<Buffer | undefined> {
    const { maxFileBytes } = this.#limits;
    const file = await this.#open(name);
    if (file === undefined) return undefined;
    await using _ = file;
    const stat = await file.stat();
    if (!stat.isFile()) throw refused(name, "is no regular file");
    if (stat.size > maxFileBytes) {
      throw refused(name, `has ${stat.size} bytes, at most ${maxFileBytes} are read`);
    }
    if (stampOf(stat) !== stamp) return undefined;
    const bytes = Buffer.alloc(stat.size);
    const { bytesRead } = await file.read(bytes, 0, stat.size, 0);
    return bytesRead === stat.size ? bytes : undefined;
  }

  /** Puts a file away with the reason beside it. Returns whether that could be done. */
  async reject({ name }: FoundFile, reason: string): Promise<boolean> {
    const folder = join(this.#path, REJECTED);
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      // A link in its place would lead files elsewhere.
      if (!(await lstat(folder)).isDirectory()) return false;
      if ((await this.#countRejected(folder)) >= this.#limits.maxRejected) return false;
      await rename(join(this.#path, name), join(folder, name));
      const flag =
        constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;
      await writeFile(join(folder, `${name}.reason`), `${reason}\n`, { flag, mode: 0o600 });
      return true;
    } catch {
      return false;
    }
  }

  async #names(): Promise<string[]> {
    const names: string[] = [];
    try {
      await using folder = await opendir(this.#path);
      for await (const { name } of folder) {
        if (!DOCUMENT.test(name)) continue;
        if (names.length === this.#limits.maxFiles) throw this.#tooMany();
        names.push(name);
      }
    } catch (cause) {
      if (codeOf(cause) === "agents-too-many") throw cause;
      throw new ConnectorError("agents-folder", `the folder ${this.#path} cannot be read`, {
        ...{ cause, isRetryable: true },
      });
    }
    return names.sort();
  }

  async #look(name: string): Promise<Stats | undefined> {
    try {
      return await lstat(join(this.#path, name));
    } catch {
      // Gone between the list and the look.
      return undefined;
    }
  }

  async #open(name: string) {
    // A pipe in place of a file would keep whoever opens it waiting.
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    try {
      return await open(join(this.#path, name), flags);
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (code === "ENOENT") return undefined;
      if (code === "ELOOP" || code === "ENXIO") throw refused(name, "is no regular file");
      throw refused(name, "may not be read", cause);
    }
  }

  async #countRejected(folder: string): Promise<number> {
    let count = 0;
    await using rejected = await opendir(folder);
    for await (const { name } of rejected) if (!name.endsWith(".reason")) count += 1;
    return count;
  }

  #tooMany(): ConnectorError {
    const words = `the folder ${this.#path} has more than ${this.#limits.maxFiles} documents`;
    return new ConnectorError("agents-too-many", words, { isRetryable: true });
  }
}

function stampOf({ ino, size, mtimeMs, ctimeMs }: Stats): string {
  return `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
}

function refused(name: string, why: string, cause?: unknown): ConnectorError {
  return new ConnectorError("agents-file", `${name} ${why}`, { cause });
}
