import { createHash } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { ConnectorError } from "@isthmus/shared/errors";
import { z } from "zod";

/**
 * What the signer has signed: JSON lines in numbered files, each line chained to the one before by its hash. Nothing is
 * ever rewritten; a new file begins when one is full. A line is on disk before its signature leaves the process.
 *
 *     signed-000001.jsonl:  {"index":0,...,"previousHash":"00..","hash":"a1.."}
 *                           {"index":1,...,"previousHash":"a1..","hash":"b2.."}
 */

/** Our own limits: a file that has reached this is followed by another, and so many are read at start. */
const DEFAULT_FILE_BYTES = 8 * 1024 * 1024;
const REPLAYED_FILES = 2;
const FILE_NAME = /^signed-(\d{6})\.jsonl$/;
const FIRST_HASH = "0".repeat(64);

const signedLine = z.strictObject({
  index: z.number().int().min(0),
  at: z.number().int(),
  kind: z.string(),
  names: z.array(z.string()),
  statementHash: z.string(),
  previousHash: z.string(),
  hash: z.string(),
});
export type SignedLine = z.infer<typeof signedLine>;

/** What a line says, before its place in the chain is known. */
export type SignedEntry = Pick<SignedLine, "at" | "kind" | "names" | "statementHash">;

interface Waiting {
  readonly entry: SignedEntry;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class SignedLog implements AsyncDisposable {
  readonly #folder: string;
  #file: FileHandle;
  #fileNumber: number;
  #fileBytes: number;
  #head: { index: number; hash: string };
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #failure: unknown;
  readonly #maxFileBytes: number;
  readonly #reportFailure: (reason: unknown) => void;
  /** Resolves with the reason when nothing can be appended any more. */
  readonly failed: Promise<unknown>;

  private constructor(folder: string, end: OpenEnd) {
    this.#folder = folder;
    this.#file = end.file;
    this.#fileNumber = end.number;
    this.#fileBytes = end.bytes;
    this.#maxFileBytes = end.maxFileBytes;
    this.#head = end.head;
    const failure = Promise.withResolvers<unknown>();
    this.failed = failure.promise;
    this.#reportFailure = failure.resolve;
  }

  /**
   * Opens the log in `folder`, hands each line of its last two files to `replay`, and cuts off a last line that a crash
   * left unfinished. Throws `signed-log-broken` where their chain does not hold.
   */
  static async open(
    folder: string,
    replay: (line: SignedLine) => void,
    maxFileBytes: number = DEFAULT_FILE_BYTES,
  ): Promise<SignedLog> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const numbers = await fileNumbers(folder);
    const number = numbers.at(-1) ?? 1;
    const file = await open(pathOf(folder, number), "a+", 0o600);
    let head: { index: number; hash: string } | undefined;
    let bytes = 0;
    for (const each of numbers.slice(-REPLAYED_FILES)) {
      const { lines, bytes: size } = await readLog(pathOf(folder, each), head?.hash);
      for (const line of lines) replay(line);
      head = lines.at(-1) ?? head;
      bytes = size;
    }
    await file.truncate(bytes);
    head ??= { index: -1, hash: FIRST_HASH };
    return new SignedLog(folder, { file, number, bytes, maxFileBytes, head });
  }

  /** Resolves when the entry is on disk. After a failed write every call fails: the end of the file is unknown then. */
  append(entry: SignedEntry): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ entry, resolve, reject });
      this.#writing ??= this.#writeAll();
    });
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0);
      try {
        if (this.#failure !== undefined) throw this.#failure;
        await this.#write(batch.map(({ entry }) => entry));
        for (const { resolve } of batch) resolve();
      } catch (error) {
        this.#failure = error;
        this.#reportFailure(error);
        for (const { reject } of batch) reject(error);
      }
    }
    this.#writing = undefined;
  }

  async #write(entries: readonly SignedEntry[]): Promise<void> {
    if (this.#fileBytes >= this.#maxFileBytes) await this.#beginFile();
    const lines = entries.map((entry) => this.#chain(entry)).join("");
    await this.#file.appendFile(lines);
    await this.#file.datasync();
    this.#fileBytes += Buffer.byteLength(lines);
  }

  async #beginFile(): Promise<void> {
    await this.#file.close();
    this.#fileNumber += 1;
    this.#fileBytes = 0;
    this.#file = await open(pathOf(this.#folder, this.#fileNumber), "ax+", 0o600);
  }

  #chain(entry: SignedEntry): string {
    const unhashed = { index: this.#head.index + 1, ...entry, previousHash: this.#head.hash };
    const hash = hashOf(unhashed);
    this.#head = { index: unhashed.index, hash };
    return `${JSON.stringify({ ...unhashed, hash })}\n`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing;
    await this.#file.close();
  }
}

interface OpenEnd {
  readonly file: FileHandle;
  readonly number: number;
  readonly bytes: number;
  readonly maxFileBytes: number;
  readonly head: { index: number; hash: string };
}

/** Checks the whole chain over every file; the number of lines, or a throw of `signed-log-broken` that says where. */
export async function verifySignedLog(folder: string): Promise<{ readonly lines: number }> {
  let count = 0;
  let previous = FIRST_HASH;
  for (const number of await fileNumbers(folder)) {
    const path = pathOf(folder, number);
    const { lines } = await readLog(path, previous);
    const misplaced = lines.findIndex((line, n) => line.index !== count + n);
    if (misplaced >= 0)
      throw broken(path, `line ${misplaced + 1} has another index than its place`);
    previous = lines.at(-1)?.hash ?? previous;
    count += lines.length;
  }
  return { lines: count };
}

interface ReadFile {
  readonly lines: readonly SignedLine[];
  /** Without an unfinished last line. */
  readonly bytes: number;
}

/** The lines of one file, each checked against the one before; `previous` undefined takes the first one on trust. */
async function readLog(path: string, previous: string | undefined): Promise<ReadFile> {
  const text = await readFile(path, "utf8");
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  let expected = previous;
  const lines = whole
    .split("\n")
    .slice(0, -1)
    .map((lineText, n) => {
      const value = parseLine(lineText);
      if (value === undefined) throw broken(path, `line ${n + 1} is damaged`);
      if (expected !== undefined && value.previousHash !== expected) {
        throw broken(path, `line ${n + 1} does not follow the one before`);
      }
      expected = value.hash;
      return value;
    });
  return { lines, bytes: Buffer.byteLength(whole) };
}

function parseLine(text: string): SignedLine | undefined {
  try {
    const { hash, ...unhashed } = signedLine.parse(JSON.parse(text));
    return hashOf(unhashed) === hash ? { ...unhashed, hash } : undefined;
  } catch {
    return undefined;
  }
}

function hashOf(unhashed: Omit<SignedLine, "hash">): string {
  const { index, at, kind, names, statementHash, previousHash } = unhashed;
  const text = JSON.stringify([index, at, kind, names, statementHash, previousHash]);
  return createHash("sha256").update(text).digest("hex");
}

async function fileNumbers(folder: string): Promise<number[]> {
  const names = await readdir(folder);
  return names
    .flatMap((name) => FILE_NAME.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}

function pathOf(folder: string, number: number): string {
  return join(folder, `signed-${String(number).padStart(6, "0")}.jsonl`);
}

function broken(where: string, what: string): ConnectorError {
  return new ConnectorError(
    "signed-log-broken",
    `The signer's log ${where} was changed: ${what}. Keep the file as evidence and restore it from a backup`,
  );
}
