// Builds the fuzz targets and test programs of the data path, with the address and undefined behaviour sanitizers. Objects are
// kept by what they are made of, so that the second build costs little.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, globSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";
import { promisify } from "node:util";

const NATIVE = join(import.meta.dirname, "..");
const KEPT = join(NATIVE, "build", "sanitized");
const COMPILER = process.env.CC ?? "cc";
const FLAGS = [
  "-std=gnu11 -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all",
  "-Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Werror -D_GNU_SOURCE -pthread",
].flatMap((line) => line.split(" "));

/** What the sanitizers are told when a program runs: little quarantine, or fresh memory for each run costs most of the time. */
export const SANITIZER_ENVIRONMENT = {
  ASAN_OPTIONS: "quarantine_size_mb=1:malloc_context_size=4:detect_stack_use_after_return=0",
  UBSAN_OPTIONS: "print_stacktrace=1",
};

export const PROCESSES = Math.min(2, availableParallelism());

/** What is tried of the parsers in TypeScript, which need no compiler. */
export const PARSERS = ["http-heads", "login-forms"];
/** Of all runs: at least a million of each in ten. */
const PART_OF_PARSER = 0.1;
/** Of a process that reads input without end. */
const HEAP_MEBIBYTES = 128;

/** How node runs one of `PARSERS`, and its part of all runs. */
export function parserProgram(name) {
  const driver = join(NATIVE, "../src/testing/fuzz/driver.ts");
  const words = ["--expose-gc", `--max-old-space-size=${HEAP_MEBIBYTES}`, driver, name];
  return { name, part: PART_OF_PARSER, path: process.execPath, words };
}

/** The names of all targets, or of all test programs. */
export function programNames(kind) {
  return globSync(`${kind}/*.${kind}.c`, { cwd: NATIVE })
    .map((path) => basename(path, `.${kind}.c`))
    .sort();
}

/** Why nothing can be built here; undefined where it can. */
export async function missingCompiler() {
  try {
    await compile(
      ["-fsanitize=address,undefined", "-x", "c", "-o", "/dev/null", "-"],
      "int main(void) { return 0; }",
    );
    return undefined;
  } catch (error) {
    return `${COMPILER} with the address sanitizer is not here (Debian: apt-get install gcc libc6-dev): ${error.message}`;
  }
}

/** Builds `name`; returns its path, the share of runs it asks for, and why it was skipped, if it was. */
export async function buildProgram(kind, name) {
  const file = join(kind, `${name}.${kind}.c`);
  const text = readFileSync(join(NATIVE, file), "utf8");
  const libraries = words(text, "libraries");
  const share = Number(words(text, "share")[0] ?? 1);
  const missing = await missingLibraries(libraries);
  if (missing !== undefined) return { name, share, skipped: missing };
  const sources = [file, ...words(text, "sources").map((source) => join("src", source))];
  if (kind === "fuzz") sources.push(join("fuzz", "driver.c"));
  mkdirSync(KEPT, { recursive: true });
  const objects = await inTurns(sources, object);
  const links = libraries.map((library) => `-l${library}`);
  const path = await kept(`${kind}-${name}`, [...objects, ...links], (output) => [
    ...FLAGS,
    ...objects,
    ...links,
    "-o",
    output,
  ]);
  return { name, share, path };
}

/** Runs `work` on each, as many at once as there are processors for it. */
export async function inTurns(items, work) {
  const results = [];
  const queue = items.entries();
  const worker = async () => {
    for (const [at, item] of queue) results[at] = await work(item);
  };
  await Promise.all(Array.from({ length: PROCESSES }, worker));
  return results;
}

function words(text, key) {
  const line = new RegExp(`^// ${key}: (.*)$`, "m").exec(text);
  return line === null ? [] : line[1].split(/\s+/).filter((word) => word !== "");
}

async function missingLibraries(libraries) {
  if (libraries.length === 0) return undefined;
  const links = libraries.map((library) => `-l${library}`);
  try {
    await compile(["-x", "c", "-o", "/dev/null", "-", ...links], "int main(void) { return 0; }");
    return undefined;
  } catch {
    return `the libraries ${libraries.join(", ")} are not here`;
  }
}

function object(source) {
  const headers = globSync("{src,fuzz,test}/*.h", { cwd: NATIVE }).sort();
  const made = [source, ...headers].map((file) => readFileSync(join(NATIVE, file), "utf8"));
  const name = source.replaceAll("/", "-").replace(/\.c$/, "");
  return kept(`${name}.o`, made, (output) => [
    ...FLAGS,
    ...["-I", "src", "-I", "fuzz", "-c", source, "-o", output],
  ]);
}

/** The file made of `inputs`, made now unless it is there. Renamed into place: another process may make the same. */
async function kept(name, inputs, command) {
  const hash = createHash("sha256");
  for (const input of [COMPILER, ...FLAGS, ...inputs]) hash.update(`${input}\0`);
  const path = join(KEPT, `${hash.digest("hex").slice(0, 16)}-${name}`);
  if (!making.has(path)) making.set(path, make(path, command));
  await making.get(path);
  return path;
}

/** By its path what is made or was: several programs have the same sources, and are made side by side. */
const making = new Map();

async function make(path, command) {
  if (existsSync(path)) return;
  const output = `${path}.${process.pid}`;
  await compile(command(output));
  renameSync(output, path);
}

async function compile(argv, input) {
  const running = promisify(execFile)(COMPILER, argv, { cwd: NATIVE });
  running.child.stdin.on("error", () => {});
  running.child.stdin.end(input ?? "");
  await running;
}
