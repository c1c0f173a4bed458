import { readFileSync, statSync } from "node:fs";
import { ConfigurationError } from "@isthmus/shared/errors";
import type { z } from "zod";

/** Own limit on a file of users. */
const MAX_FILE_BYTES = 16_777_216;
/** A file that changed just now may change once more within the same tick of the file system's clock. */
const SETTLED_MS = 2_000;

/** A JSON file that is read when it is asked for and has changed: a change counts at once, a login costs no parsing. */
export class ParsedFile<Value> {
  readonly #path: string;
  readonly #parse: (json: unknown) => Value;
  #known: { readonly version: string; readonly read: () => Value } | undefined;

  /** `parse` throws ConfigurationError. */
  constructor(path: string, parse: (json: unknown) => Value) {
    this.#path = path;
    this.#parse = parse;
  }

  /** What is in the file now. @throws ConfigurationError */
  read(): Value {
    const stat = statSync(this.#path, { bigint: true, throwIfNoEntry: false });
    if (!stat) throw new ConfigurationError(this.#path, ["cannot be read"]);
    if (stat.size > MAX_FILE_BYTES) {
      throw new ConfigurationError(this.#path, [`exceeds ${MAX_FILE_BYTES} bytes`]);
    }
    const version = [stat.dev, stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs].join(":");
    if (this.#known?.version === version) return this.#known.read();
    const read = this.#parsed();
    const isSettled = Date.now() - Number(stat.ctimeMs) > SETTLED_MS;
    this.#known = isSettled ? { version, read } : undefined;
    return read();
  }

  /** A fault is kept as a value is. */
  #parsed(): () => Value {
    try {
      const value = this.#parse(readJson(this.#path));
      return () => value;
    } catch (error) {
      return () => {
        throw error;
      };
    }
  }
}

/** Checks JSON by a schema. @throws ConfigurationError with every fault */
export function checked<Output>(file: string, schema: z.ZodType<Output>, json: unknown): Output {
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw new ConfigurationError(file, faults);
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    const reason = error instanceof SyntaxError ? "is no JSON" : "cannot be read";
    throw new ConfigurationError(file, [reason]);
  }
}
