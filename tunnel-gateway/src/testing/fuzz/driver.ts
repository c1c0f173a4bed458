/**
 * `node --expose-gc driver.ts TARGET --runs N --seed S [--seconds T]`, or `driver.ts TARGET --file INPUT`: tries made-up input
 * on a parser. The same seed gives the same inputs. Exits with 1 where a property does not hold; the input stays in a file.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { httpHeads } from "./http-heads.ts";
import { Inputs } from "./inputs.ts";
import { loginForms } from "./login-forms.ts";
import type { FuzzTarget } from "./target.ts";

const TARGETS: Readonly<Record<string, FuzzTarget>> = {
  "http-heads": httpHeads,
  "login-forms": loginForms,
};

/** Of the thread's own time, collecting garbage included, for reading an input some times over. */
const CPU_MS_AT_MOST = 500;
/** By then everything is compiled and the pool is full. */
const RUNS_TO_WARM_UP = 20_000;
const GROWTH_AT_MOST = 16 * 1_048_576;
/** Fewer would say that the inputs have become worthless. */
const READ_OF_RUNS = 1 / 20;

process.exitCode = main();

function main(): number {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      runs: { type: "string", default: "100000" },
      seed: { type: "string", default: "1" },
      seconds: { type: "string", default: "0" },
      file: { type: "string" },
    },
  });
  const [name = ""] = positionals;
  const target = TARGETS[name];
  if (target === undefined) {
    process.stderr.write(`${name} is none of ${Object.keys(TARGETS).join(", ")}\n`);
    return 2;
  }
  if (values.file === undefined) return fuzz(name, target, values);
  target.check(readFileSync(values.file));
  return 0;
}

function fuzz(
  name: string,
  target: FuzzTarget,
  options: { readonly runs: string; readonly seed: string; readonly seconds: string },
): number {
  const inputs = new Inputs(target, Number(options.seed));
  let heldBefore: number | undefined;
  const [runs, seconds] = [Number(options.runs), Number(options.seconds)];
  const started = performance.now();
  const elapsed = () => (performance.now() - started) / 1_000;
  let [run, read] = [0, 0];
  for (; run < runs; run += 1) {
    if (seconds > 0 && run % 256 === 255 && elapsed() >= seconds) break;
    if (run === RUNS_TO_WARM_UP) heldBefore = held();
    const input = inputs.next(run);
    try {
      if (checkInTime(target, input)) read += 1;
    } catch (error) {
      return fail(error, input, `${name}-${options.seed}-${run}.failed`);
    }
  }
  const grown = heldBefore === undefined ? 0 : held() - heldBefore;
  if (read < run * READ_OF_RUNS || grown > GROWTH_AT_MOST) {
    process.stderr.write(`${read} of ${run} inputs were read, and memory grew by ${grown} bytes\n`);
    return 1;
  }
  const time = elapsed().toFixed(1);
  process.stdout.write(`${run} runs in ${time} s, seed ${options.seed}, ${read} read\n`);
  return 0;
}

function checkInTime(target: FuzzTarget, input: Buffer): boolean {
  const before = process.threadCpuUsage();
  const isRead = target.check(input);
  const { user, system } = process.threadCpuUsage(before);
  const cpuMs = (user + system) / 1_000;
  if (cpuMs <= CPU_MS_AT_MOST) return isRead;
  throw new Error(`an input of ${input.length} bytes took ${cpuMs} ms of CPU`);
}

function fail(error: unknown, input: Buffer, name: string): number {
  const file = join(tmpdir(), name);
  writeFileSync(file, input);
  const [reason, cause] =
    error instanceof Error ? [error.stack, error.cause] : [String(error), undefined];
  const more = cause instanceof Error ? `\n${cause.message}` : "";
  process.stderr.write(`${reason}${more}\nthe input is in ${file}\n`);
  return 1;
}

/** Octets that are in use. */
function held(): number {
  if (globalThis.gc === undefined) throw new Error("node needs --expose-gc for this");
  // The second time what the first let go of.
  globalThis.gc();
  globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
