/**
 * `npm run differential [-- TOTAL]`: at least TOTAL (100,000) generated and mutated certificates, requests, revocation lists
 * and CMS messages, each judged by our codec and by pkijs. Prints for each kind how many there were, and every way in which
 * the two differ. `npm test` runs the same tests with fewer.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const ORDINARY_TOTAL = 100_000;
const TEST_TIMEOUT_MS = 3_600_000;
const ROOT = join(import.meta.dirname, "..");

interface Noted {
  readonly kind: string;
  readonly messages: number;
  readonly accepted: number;
  readonly differences: Readonly<Record<string, number>>;
}

process.exitCode = await main();

async function main(): Promise<number> {
  const total = Number(process.argv[2] ?? ORDINARY_TOTAL);
  if (!Number.isSafeInteger(total) || total < 1) {
    process.stderr.write("usage: npm run differential [-- TOTAL]\n");
    return 2;
  }
  const folder = mkdtempSync(join(tmpdir(), "isthmus-differential-"));
  try {
    const record = join(folder, "noted.jsonl");
    const code = await vitest({ DIFFERENTIAL: String(total), DIFFERENTIAL_RECORD: record });
    const tried = report(existsSync(record) ? readNoted(record) : []);
    return code !== 0 || tried >= total ? code : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function report(noted: readonly Noted[]): number {
  let tried = 0;
  for (const { kind, messages, accepted, differences } of noted) {
    tried += messages;
    say(`${kind}: ${messages} messages, ${accepted} accepted by us`);
    const sorted = Object.entries(differences).sort(([, one], [, other]) => other - one);
    for (const [what, count] of sorted) say(`    ${count}  ${what}`);
  }
  say(`${tried} messages together`);
  return tried;
}

function vitest(environment: Readonly<Record<string, string>>): Promise<number> {
  const folder = dirname(createRequire(import.meta.url).resolve("vitest/package.json"));
  const words = ["run", "--project", "interop", "pkijs-mutations-oracle", "--reporter=verbose"];
  const child = spawn(
    process.execPath,
    [join(folder, "vitest.mjs"), ...words, `--testTimeout=${TEST_TIMEOUT_MS}`],
    { cwd: ROOT, stdio: "inherit", env: { ...process.env, ...environment } },
  );
  return new Promise((resolve) => child.once("close", (code) => resolve(code ?? 1)));
}

function readNoted(record: string): Noted[] {
  return readFileSync(record, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

function say(line: string): void {
  process.stdout.write(`differential: ${line}\n`);
}
