/**
 * `npm run fuzz [-- TOTAL]`: the property tests of every parser, multiplied so that TOTAL (1,000,000) messages of SCEP, HTTP
 * CONNECT and the link are tried together. `npm test` runs the same tests with their ordinary numbers.
 */
import { spawn } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const ORDINARY_TOTAL = 1_000_000;
const PROGRESS_MS = 15_000;
const TEST_TIMEOUT_MS = 3_600_000;
const ROOT = join(import.meta.dirname, "..");

/** What is counted; other parsers run beside them, multiplied alike. */
const COUNTED = {
  SCEP: "cert-connector/src/protocol/**/*.fuzz.ts",
  "HTTP CONNECT": "tunnel-gateway/src/protocol/**/*.fuzz.ts",
  link: "shared/src/link/**/*.fuzz.ts",
} as const;

process.exitCode = await main();

async function main(): Promise<number> {
  const total = Number(process.argv[2] ?? ORDINARY_TOTAL);
  if (!Number.isSafeInteger(total) || total < 1) {
    process.stderr.write("usage: npm run fuzz [-- TOTAL]\n");
    return 2;
  }
  const ordinary = Object.entries(COUNTED).map(([name, glob]) => [name, runsOf(glob)] as const);
  const sum = ordinary.reduce((before, [, runs]) => before + runs, 0);
  const factor = Math.max(1, total / sum);
  for (const [name, runs] of ordinary) say(`${name}: ${Math.ceil(runs * factor)} messages`);
  return runTests(factor);
}

/** How many inputs the property tests of these files try at factor 1, by the numbers written in them. */
function runsOf(glob: string): number {
  const files = globSync(glob, { cwd: ROOT });
  const runs = files.flatMap((file) => {
    const source = readFileSync(join(ROOT, file), "utf8");
    return [...source.matchAll(/fuzzRuns\((\d[\d_]*)\)/g)].map(([, digits = ""]) =>
      Number(digits.replaceAll("_", "")),
    );
  });
  if (runs.length === 0) throw new Error(`${glob} has no property test with fuzzRuns(NUMBER)`);
  return runs.reduce((before, each) => before + each, 0);
}

function runTests(factor: number): Promise<number> {
  const vitest = createRequire(import.meta.url).resolve("vitest/package.json");
  const words = [
    "run",
    "--project",
    "fuzz",
    "--reporter=verbose",
    `--testTimeout=${TEST_TIMEOUT_MS}`,
  ];
  const child = spawn(process.execPath, [join(dirname(vitest), "vitest.mjs"), ...words], {
    cwd: ROOT,
    stdio: "inherit",
    env: { ...process.env, FUZZ_FACTOR: String(factor) },
  });
  const started = performance.now();
  const progress = setInterval(
    () => say(`${Math.round((performance.now() - started) / 1_000)} s, still trying`),
    PROGRESS_MS,
  );
  return new Promise((resolve) => {
    child.once("close", (code) => {
      clearInterval(progress);
      resolve(code ?? 1);
    });
  });
}

function say(line: string): void {
  process.stdout.write(`fuzz: ${line}\n`);
}
