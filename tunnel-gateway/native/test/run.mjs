// `node native/test/run.mjs [NAME]...`: builds and runs the test programs of the data path under the sanitizers.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import {
  buildProgram,
  inTurns,
  missingCompiler,
  programNames,
  SANITIZER_ENVIRONMENT,
} from "../fuzz/programs.mjs";

process.exitCode = await main(process.argv.slice(2));

async function main(names) {
  const missing = await missingCompiler();
  if (missing !== undefined) {
    say(missing);
    return 1;
  }
  const outcomes = await inTurns(names.length > 0 ? names : programNames("test"), run);
  return outcomes.every((isFit) => isFit) ? 0 : 1;
}

async function run(name) {
  try {
    const { path, skipped } = await buildProgram("test", name);
    if (path === undefined) {
      say(`${name}: skipped, ${skipped}`);
      return true;
    }
    const { stdout } = await promisify(execFile)(path, {
      env: { ...process.env, ...SANITIZER_ENVIRONMENT },
    });
    say(`${name}: passed\n${stdout}`);
    return true;
  } catch (error) {
    say(`${name}: FAILED\n${error.stdout ?? ""}${error.stderr ?? error.message}`);
    return false;
  }
}

function say(line) {
  process.stdout.write(`test:native: ${line}\n`);
}
