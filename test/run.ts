/**
 * Runs all tests, or those that its words name as they would for `vitest run`. Threads that come and go as fast as in tests
 * meet faults of V8 that end a process by a signal once in some thousand files (nodejs/node#64500 is one): such a file is run once
 * more, and told of. Where our own C code runs in the process that died, it is a failure at once.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RunSummary, summaryText } from "./plain-reporter.ts";

/** More than that is no accident. */
const RERUNS_AT_MOST = 3;
/** From its summary to its end. */
const PATIENCE_MS = 30_000;
const LOOK_MS = 1_000;
const HAS_OWN_C_CODE = /tunnel-gateway|vpn/;
const ROOT = join(import.meta.dirname, "..");

process.exitCode = await main(process.argv.slice(2));

async function main(words: readonly string[]): Promise<number> {
  const first = await run(words);
  if (first === undefined) {
    const failures = ["Vitest did not come to an end"];
    return finish({ passed: 0, failed: 1, skipped: 0, failures, ended: [] });
  }
  const isAccident =
    first.ended.length <= RERUNS_AT_MOST && !first.ended.some((file) => HAS_OWN_C_CODE.test(file));
  if (first.ended.length === 0 || !isAccident) return finish(first);
  process.stdout.write(`\na signal ended the process of ${first.ended.join(", ")}: once more\n`);
  const second = await run(first.ended);
  if (second === undefined) return finish(first);
  return finish({
    passed: first.passed + second.passed,
    failed: first.failed + second.failed,
    skipped: first.skipped + second.skipped,
    failures: [...first.failures, ...second.failures],
    ended: second.ended,
  });
}

/** Undefined where Vitest did not come to an end. */
async function run(words: readonly string[]): Promise<RunSummary | undefined> {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-test-"));
  const file = join(folder, "summary.json");
  const reporters = ["--reporter=default", "--reporter=./test/plain-reporter.ts"];
  try {
    const child = spawn("vitest", ["run", ...reporters, ...words], {
      cwd: ROOT,
      stdio: "inherit",
      env: { ...process.env, ISTHMUS_TEST_SUMMARY: file },
    });
    await ended(child, file);
    return JSON.parse(readFileSync(file, "utf8")) as RunSummary;
  } catch {
    return undefined;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Until Vitest has ended. It does not as long as a process that a test left behind holds its output: with the summary written, there is
 * nothing more to wait for.
 */
async function ended(vitest: ChildProcess, summary: string): Promise<void> {
  const look = setInterval(() => {
    if (!existsSync(summary)) return;
    clearInterval(look);
    const late = setTimeout(() => vitest.kill("SIGKILL"), PATIENCE_MS);
    vitest.once("exit", () => clearTimeout(late));
  }, LOOK_MS);
  try {
    await once(vitest, "exit");
  } finally {
    clearInterval(look);
  }
}

function finish(summary: RunSummary): number {
  process.stdout.write(`\n${summaryText(summary)}`);
  return summary.failed + summary.ended.length === 0 && summary.passed > 0 ? 0 : 1;
}
