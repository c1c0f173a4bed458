// Compiles the native data path with the C compiler alone. Never fails an install: without the addon the gateway serves
// the relay, and `check` says what to install. `node native/build.mjs --strict` exits with 1 where it cannot be built.
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const here = import.meta.dirname;
const isStrict = process.argv.includes("--strict");
const output = join(here, "build", "tunnel.node");
const log = join(here, "build", "build.log");

mkdirSync(join(here, "build"), { recursive: true });
const outcome = process.platform === "linux" ? compile() : "the data path needs Linux";
writeFileSync(log, outcome === undefined ? "built\n" : `${outcome}\n`);
if (outcome !== undefined)
  process.stderr.write(`tunnel-gateway: no native data path: ${outcome}\n`);
process.exitCode = outcome !== undefined && isStrict ? 1 : 0;

/** Why there is no addon; undefined where there is one. */
function compile() {
  const headers = nodeApiHeaders();
  if (headers === undefined) return "the package node-api-headers is missing; run npm ci";
  const sources = readdirSync(join(here, "src"))
    .filter((name) => name.endsWith(".c"))
    .map((name) => join("src", name))
    .sort();
  const flags = [
    "-O3 -g -std=gnu11 -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Werror",
    "-fPIC -shared -fvisibility=hidden -fstack-protector-strong -D_FORTIFY_SOURCE=2",
    "-D_GNU_SOURCE -DNAPI_VERSION=9 -pthread -Wl,-z,relro,-z,now",
  ].flatMap((line) => line.split(" "));
  const compiler = process.env.CC ?? "cc";
  const built = spawnSync(compiler, [...flags, "-I", headers, "-o", output, ...sources], {
    cwd: here,
    encoding: "utf8",
  });
  if (built.error !== undefined)
    return `${compiler} is not installed (Debian: apt-get install gcc libc6-dev)`;
  return built.status === 0 ? undefined : built.stderr;
}

function nodeApiHeaders() {
  try {
    return join(
      dirname(createRequire(import.meta.url).resolve("node-api-headers/package.json")),
      "include",
    );
  } catch {
    return undefined;
  }
}
