/**
 * `npm run fuzz [-- TOTAL]`: the property tests of every parser, multiplied so that at least TOTAL (1,000,000) messages of
 * SCEP, HTTP CONNECT and the link are tried together. `npm test` runs the same tests with their ordinary numbers.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const ORDINARY_TOTAL = 1_000_000;
/** Small enough that each property tries one input: only to learn the ordinary numbers. */
const COUNTING_FACTOR = 1e-9;
const PROGRESS_MS = 15_000;
const TEST_TIMEOUT_MS = 3_600_000;
const ROOT = join(import.meta.dirname, "..");

/** What counts towards the total, by where the tests lie. Other parsers are multiplied alike and not counted. */
const COUNTED = {
  SCEP: /^cert-connector\/src\/(protocol|device)\//,
  "HTTP CONNECT": /^tunnel-gateway\/src\/(protocol|device)\//,
  link: /^(shared\/src\/link|control-plane\/src\/connector)\//,
} as const;

interface Noted {
  readonly file: string;
  readonly ordinary: number;
  readonly runs: number;
}

process.exitCode = await main();

async function main(): Promise<number> {
  const total = Number(process.argv[2] ?? ORDINARY_TOTAL);
  if (!Number.isSafeInteger(total) || total < 1) {
    process.stderr.write("usage: npm run fuzz [-- TOTAL]\n");
    return 2;
  }
  // Not judged: a property that counts what it met needs more than one input.
  const counting = await runTests(COUNTING_FACTOR, "ignore");
  const factor = Math.max(1, (total * 1.001) / sum(counted(counting.noted), "ordinary"));
  const real = await runTests(factor, "inherit");
  for (const [name, pattern] of Object.entries(COUNTED)) {
    const tried = real.noted.filter(({ file }) => pattern.test(file));
    say(`${name}: ${sum(tried, "runs")} messages in ${tried.length} properties`);
    if (tried.length === 0) throw new Error(`there is no property test of ${name}`);
  }
  const tried = sum(counted(real.noted), "runs");
  say(`${tried} messages together, ${real.code === 0 ? "every property held" : "FAILED"}`);
  return real.code !== 0 || tried >= total ? real.code : 1;
}

function counted(noted: readonly Noted[]): Noted[] {
  return noted.filter(({ file }) => Object.values(COUNTED).some((pattern) => pattern.test(file)));
}

function sum(noted: readonly Noted[], key: "ordinary" | "runs"): number {
  return noted.reduce((before, each) => before + each[key], 0);
}

/** Runs the fuzz project with each property's number multiplied; returns what the properties noted. */
async function runTests(
  factor: number,
  output: "ignore" | "inherit",
): Promise<{ readonly code: number; readonly noted: readonly Noted[] }> {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-fuzz-"));
  const record = join(folder, "runs.jsonl");
  const started = performance.now();
  const progress = setInterval(
    () => say(`${Math.round((performance.now() - started) / 1_000)} s, still trying`),
    PROGRESS_MS,
  );
  try {
    const code = await vitest(output, {
      FUZZ_FACTOR: String(factor),
      FUZZ_RECORD: record,
    });
    return { code, noted: readNoted(record) };
  } finally {
    clearInterval(progress);
    rmSync(folder, { recursive: true, force: true });
  }
}

function vitest(
  output: "ignore" | "inherit",
  environment: Readonly<Record<string, string>>,
): Promise<number> {
  const folder = dirname(createRequire(import.meta.url).resolve("vitest/package.json"));
  const words = ["run", "--project", "fuzz", "--reporter=verbose"];
  const child = spawn(
    process.execPath,
    [join(folder, "vitest.mjs"), ...words, `--testTimeout=${TEST_TIMEOUT_MS}`],
    { cwd: ROOT, stdio: output, env: { ...process.env, ...environment } },
  );
  return new Promise((resolve) => child.once("close", (code) => resolve(code ?? 1)));
}

function readNoted(record: string): Noted[] {
  const lines = readFileSync(record, "utf8").trim().split("\n");
  return lines.map((line) => {
    const noted: Noted = JSON.parse(line);
    const at = noted.file.indexOf(`${ROOT}/`);
    return { ...noted, file: at < 0 ? noted.file : noted.file.slice(at + ROOT.length + 1) };
  });
}

function say(line: string): void {
  process.stdout.write(`fuzz: ${line}\n`);
}
