// `node native/fuzz/run.mjs [--runs TOTAL] [--seconds EACH] [--seed S] [--target NAME]...`: tries made-up input on every native
// parser under the sanitizers. TOTAL runs (10,000,000) are shared out to the targets. One line each, then one for all; exits with 1
// where a property did not hold, and keeps the input beside the program.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import {
  buildProgram,
  inTurns,
  missingCompiler,
  programNames,
  SANITIZER_ENVIRONMENT,
} from "./programs.mjs";

const { values: options } = parseArgs({
  options: {
    runs: { type: "string", default: "10000000" },
    seconds: { type: "string", default: "0" },
    seed: { type: "string", default: String(Date.now() % 1_000_000_000) },
    target: { type: "string", multiple: true, default: programNames("fuzz") },
  },
});

process.exitCode = await main();

async function main() {
  const missing = await missingCompiler();
  if (missing !== undefined) {
    say(missing);
    return 1;
  }
  const built = [];
  for (const name of options.target) built.push(await build(name));
  const targets = built.filter(({ path }) => path !== undefined);
  const shares = targets.reduce((sum, { share }) => sum + share, 0);
  const total = Number(options.runs);
  const outcomes = await inTurns(targets, (target) =>
    run(target, Math.ceil((total * target.share) / shares)),
  );
  const runs = outcomes.reduce((sum, outcome) => sum + outcome.runs, 0);
  const failed = [...built, ...outcomes].filter(({ isFit }) => isFit === false);
  const verdict =
    failed.length === 0
      ? "every property held"
      : `FAILED: ${failed.map(({ name }) => name).join(", ")}`;
  say(`${runs} runs of ${targets.length} targets, ${verdict}`);
  return failed.length === 0 ? 0 : 1;
}

async function build(name) {
  try {
    const built = await buildProgram("fuzz", name);
    if (built.skipped !== undefined) say(`${name}: skipped, ${built.skipped}`);
    return built;
  } catch (error) {
    say(`${name}: FAILED to build\n${error.stderr ?? error.message}`);
    return { name, isFit: false };
  }
}

async function run({ name, path }, runs) {
  const corpus = join(import.meta.dirname, "corpus", name);
  const argv = ["--runs", String(runs), "--seed", options.seed, "--seconds", options.seconds];
  if (existsSync(corpus)) argv.push("--corpus", corpus);
  try {
    const { stdout } = await promisify(execFile)(path, argv, {
      env: { ...process.env, ...SANITIZER_ENVIRONMENT },
    });
    say(`${name}: ${stdout.trim()}`);
    return { name, runs: Number.parseInt(stdout, 10), isFit: true };
  } catch (error) {
    say(`${name}: FAILED with seed ${options.seed}\n${error.stderr ?? error.message}`);
    return { name, runs: 0, isFit: false };
  }
}

function say(line) {
  process.stdout.write(`fuzz:native: ${line}\n`);
}
