import { execFile } from "node:child_process";
import { globSync } from "node:fs";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, expect, test } from "vitest";

const NATIVE = join(import.meta.dirname, "../../native");
/** For each target: enough to notice what broke; `npm run fuzz:native` tries many times as much. */
const FUZZ_SECONDS = 3;
/** Where nothing was built before. */
const BUILD_TIMEOUT_MS = 240_000;

let missing: string | undefined;
beforeAll(async () => {
  try {
    await execute("cc", ["--version"]);
  } catch {
    missing = "no C compiler (Debian: apt-get install gcc libc6-dev)";
    if (process.env["CI"] === "true") throw new Error(missing);
  }
});

test(
  "the native parsers and tables do what their test programs say",
  async (context) => {
    if (missing !== undefined) return context.skip(missing);
    const output = await execute(process.execPath, [join(NATIVE, "test/run.mjs")]);
    for (const name of programs("test")) expect(output).toMatch(line(`${name}: (passed|skipped)`));
  },
  BUILD_TIMEOUT_MS,
);

test(
  "every property of the native code and of the parsers beside it holds for made-up input, other each time",
  async (context) => {
    if (missing !== undefined) return context.skip(missing);
    const script = join(NATIVE, "fuzz/run.mjs");
    const output = await execute(process.execPath, [script, "--seconds", String(FUZZ_SECONDS)]);
    // With the seed, by which the same inputs are made again.
    process.stdout.write(output);
    expect(output).toMatch(line("seed \\d+$"));
    for (const name of programs("fuzz"))
      expect(output).toMatch(line(`${name}: ([1-9]\\d* runs|skipped)`));
    for (const name of ["http-heads", "login-forms"])
      expect(output).toMatch(line(`${name}: [1-9]\\d* runs`));
    expect(output).toMatch(/every property held\n$/);
  },
  BUILD_TIMEOUT_MS,
);

function programs(kind: "test" | "fuzz"): string[] {
  return globSync(`${kind}/*.${kind}.c`, { cwd: NATIVE }).map((path) =>
    basename(path, `.${kind}.c`),
  );
}

function line(start: string): RegExp {
  return new RegExp(`^\\w+:native: ${start}`, "m");
}

/** What it printed; where it fails, the error says that. */
async function execute(file: string, argv: readonly string[]): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(file, argv);
    return stdout;
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    throw new Error(`${file} ${argv.join(" ")} failed\n${stdout}${stderr}`, { cause: error });
  }
}
