import { readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { z } from "zod";
import { suggestion } from "../cmpivot/nearest-name.ts";
import { ConfigurationError } from "../errors.ts";
import { parseIn } from "./configuration-keys.ts";
import { childOf, keysAt } from "./configuration-schema.ts";

/** Own limits. */
const MAX_FILE_BYTES = 4_194_304;
const MAX_FAULTS = 100;
const MAX_FAULT_CHARACTERS = 500;

/**
 * Reads and checks a JSON configuration file. Relative paths in it (keys made with `pathKey`, `fileKey`,
 * `secretFileKey`) are relative to the file.
 *
 * @throws ConfigurationError with every fault and its key, unknown keys among them.
 */
export function loadConfiguration<Output>(schema: z.ZodType<Output>, file: string): Output {
  return parseConfiguration(schema, readText(file), file);
}

/** As `loadConfiguration`, for text that is already there; `file` names it and is what paths are relative to. */
export function parseConfiguration<Output>(
  schema: z.ZodType<Output>,
  text: string,
  file: string,
): Output {
  const input = parseJson(text, file);
  return checkConfiguration(schema, input, file);
}

/** As `loadConfiguration`, for a value that is already parsed. */
export function checkConfiguration<Output>(
  schema: z.ZodType<Output>,
  input: unknown,
  source: string,
): Output {
  const result = parseIn(dirname(resolve(source)), schema, input);
  if (result.success) return result.data;
  throw new ConfigurationError(source, faultsOf(result.error, input, schema));
}

function readText(file: string): string {
  try {
    const { size } = statSync(file);
    if (size > MAX_FILE_BYTES) {
      throw new ConfigurationError(file, [`the file has ${size} bytes, at most ${MAX_FILE_BYTES}`]);
    }
    return readFileSync(file, "utf8");
  } catch (error) {
    if (error instanceof ConfigurationError) throw error;
    throw new ConfigurationError(file, [`cannot be read: ${(error as Error).message}`]);
  }
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ConfigurationError(file, [`the file is not JSON: ${(error as Error).message}`]);
  }
}

/** Each fault of a value that `schema` refused as `key: what is wrong`, at most 100 of them. */
export function faultsOf(error: z.ZodError, input: unknown, schema: z.ZodType): string[] {
  const total = error.issues.reduce((sum, issue) => sum + countOf(issue), 0);
  const faults = error.issues
    .slice(0, MAX_FAULTS)
    .flatMap((issue) => faultsOfIssue(issue, input, schema))
    .slice(0, MAX_FAULTS)
    .map((fault) => fault.slice(0, MAX_FAULT_CHARACTERS));
  return total <= MAX_FAULTS ? faults : [...faults, `and ${total - MAX_FAULTS} more`];
}

function countOf(issue: z.core.$ZodIssue): number {
  return issue.code === "unrecognized_keys" ? issue.keys.length : 1;
}

function faultsOfIssue(issue: z.core.$ZodIssue, input: unknown, schema: z.ZodType): string[] {
  if (issue.code === "unrecognized_keys") {
    const present = Object(valueAt(input, issue.path));
    const free = keysAt(schema, issue.path, input).filter((key) => !Object.hasOwn(present, key));
    const said = (key: string) => `unknown key${suggestion(key, free)}`;
    // Only what is told is worth the search for a name.
    const told = issue.keys.slice(0, MAX_FAULTS);
    return told.map((key) => `${keyText([...issue.path, key])}: ${said(key)}`);
  }
  if (issue.code === "invalid_type" && valueAt(input, issue.path) === undefined) {
    return [`${keyText(issue.path)}: is missing, expected ${issue.expected}`];
  }
  if (issue.code === "invalid_union" && issue.errors.length > 0) {
    return [`${keyText(issue.path)}: fits none of the allowed forms`];
  }
  return [`${keyText(issue.path)}: ${issue.message}`];
}

function keyText(path: readonly PropertyKey[]): string {
  if (path.length === 0) return "the whole";
  return path.map(String).join(".");
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce(childOf, input);
}
