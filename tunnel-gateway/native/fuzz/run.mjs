// `node native/fuzz/run.mjs [--runs TOTAL] [--seconds EACH] [--seed S] [--target NAME]...`: tries made-up input on every native
// parser under the sanitizers, and on the parsers of HTTP heads and login forms, which are TypeScript (src/testing/fuzz). TOTAL runs
// (10,000,000) are shared out to the targets, a tenth to each of the latter. One line each, then one for all; exits with 1 where a
// property did not hold, and keeps the input in a file. The same seed makes the same inputs; without one it is another each time.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import {
  buildProgram,
  inTurns,
  missingCompiler,
  PARSERS,
  parserProgram,
  programNames,
  SANITIZER_ENVIRONMENT,
} from "./programs.mjs";

const HELP = `npm run fuzz:native -- [--runs TOTAL] [--seconds EACH] [--seed S] [--target NAME]...

Tries made-up input on the parsers of the gateway's native code, under sanitizers, and on those of HTTP heads and login forms.

  --runs TOTAL     shared out to the targets (10000000)
  --seconds EACH   for each target at most; 0 is without end (0)
  --seed S         makes the same inputs again; another each time unless given
  --target NAME    one of them, also several times; all unless given:
                   ${[...PARSERS, ...programNames("fuzz")].join(", ")}
`;

const options = readOptions();

if (options !== undefined) process.exitCode = await main();

/** Undefined where there is nothing to run; the exit code is set then. */
function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        help: { type: "boolean", default: false },
        runs: { type: "string", default: "10000000" },
        seconds: { type: "string", default: "0" },
        seed: { type: "string", default: String(Date.now() % 1_000_000_000) },
        target: { type: "string", multiple: true, default: [...PARSERS, ...programNames("fuzz")] },
      },
    });
    if (!values.help) return values;
    process.stdout.write(HELP);
  } catch (error) {
    process.stderr.write(`${error.message}\n\n${HELP}`);
    process.exitCode = 2;
  }
  return undefined;
}

async function main() {
  const missing = await missingCompiler();
  if (missing !== undefined && options.target.some((name) => !PARSERS.includes(name))) {
    say(missing);
    return 1;
  }
  say(`seed ${options.seed}`);
  const built = [];
  for (const name of options.target) built.push(await build(name));
  const targets = built.filter(({ path }) => path !== undefined);
  const runsOf = shareOut(targets, Number(options.runs));
  const outcomes = await inTurns(targets, (target) => run(target, runsOf(target)));
  const failed = [...built, ...outcomes].filter(({ isFit }) => isFit === false);
  const verdict =
    failed.length === 0
      ? "every property held"
      : `FAILED: ${failed.map(({ name }) => name).join(", ")}`;
  const counts = [
    ...PARSERS.map((name) => `${sum(outcomes.filter((each) => each.name === name))} ${name}`),
    `${sum(outcomes.filter(({ name }) => !PARSERS.includes(name)))} of native code`,
  ];
  say(`${sum(outcomes)} runs of ${targets.length} targets (${counts.join(", ")}), ${verdict}`);
  return failed.length === 0 ? 0 : 1;
}

function sum(outcomes) {
  return outcomes.reduce((before, { runs }) => before + runs, 0);
}

/** How many runs each target has of `total`: a parser its part, the others what is left by their shares. */
function shareOut(targets, total) {
  const parts = targets.reduce((before, { part = 0 }) => before + part, 0);
  const shares = targets.reduce((before, { share = 0 }) => before + share, 0);
  const isMixed = shares > 0;
  return ({ part, share }) =>
    Math.ceil(
      part === undefined
        ? (total * (1 - parts) * share) / shares
        : total * (isMixed ? part : part / parts),
    );
}

async function build(name) {
  if (PARSERS.includes(name)) return parserProgram(name);
  try {
    const built = await buildProgram("fuzz", name);
    if (built.skipped !== undefined) say(`${name}: skipped, ${built.skipped}`);
    return built;
  } catch (error) {
    say(`${name}: FAILED to build\n${error.stderr ?? error.message}`);
    return { name, isFit: false };
  }
}

async function run({ name, path, words = [] }, runs) {
  const corpus = join(import.meta.dirname, "corpus", name);
  const argv = [...words, "--runs", String(runs), "--seed", options.seed];
  argv.push("--seconds", options.seconds);
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
