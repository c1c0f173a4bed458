import { spawn, spawnSync } from "node:child_process";
import { openSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { findTool } from "../tools.ts";

/** The image every service image starts from (`deploy/Dockerfile`). */
const BASE_IMAGE = "node:24-bookworm-slim";
const START_TIMEOUT_MS = 60_000;
const PULL_TIMEOUT_MS = 120_000;
const BUILD_TIMEOUT_MS = 600_000;

/** Sees to a running container engine that has the base image. Returns what went wrong, or undefined. */
export async function prepareContainerEngine(
  say: (line: string) => void,
): Promise<string | undefined> {
  const failure = isEngineRunning() ? undefined : await startEngine(say);
  return failure ?? prepareBaseImage(say);
}

/** Whether the `docker` command reaches an engine. */
export function isEngineRunning(): boolean {
  const docker = findTool("docker");
  return docker !== undefined && spawnSync(docker, ["info"], { timeout: 20_000 }).status === 0;
}

async function startEngine(say: (line: string) => void): Promise<string | undefined> {
  const dockerd = findTool("dockerd");
  if (dockerd === undefined || process.getuid?.() !== 0)
    return "dockerd is not there to be started";
  const logFile = join(tmpdir(), "isthmus-dockerd.log");
  const log = openSync(logFile, "a");
  const engine = spawn(dockerd, [], { detached: true, stdio: ["ignore", log, log] });
  engine.on("error", () => {});
  engine.unref();
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!isEngineRunning()) {
    if (engine.exitCode !== null) return `dockerd ended with ${engine.exitCode}, see ${logFile}`;
    if (performance.now() > deadline) return `dockerd does not answer, see ${logFile}`;
    await delay(200);
  }
  say(`started dockerd; it stays until \`kill ${engine.pid}\`, its log is ${logFile}`);
  return undefined;
}

function prepareBaseImage(say: (line: string) => void): string | undefined {
  if (isBaseImageThere()) return undefined;
  if (docker(["pull", "--quiet", BASE_IMAGE], PULL_TIMEOUT_MS) === 0) return undefined;
  say(`no registry brings ${BASE_IMAGE}: building it from Debian packages`);
  const script = join(import.meta.dirname, "../../deploy/base-image/build.sh");
  const build = spawnSync("bash", [script], { timeout: BUILD_TIMEOUT_MS, encoding: "utf8" });
  if (build.status === 0) return undefined;
  return `${script} failed: ${build.error?.message ?? build.stderr.trim().split("\n").slice(-5).join("\n")}`;
}

/** One of before without Node's headers, against which the images compile, is built again. */
function isBaseImageThere(): boolean {
  const headers = ["test", "-e", "/usr/local/include/node/common.gypi"];
  return docker(["run", "--rm", "--pull=never", BASE_IMAGE, ...headers], 20_000) === 0;
}

function docker(words: readonly string[], timeoutMs: number): number | null {
  return spawnSync(findTool("docker") ?? "docker", words, { timeout: timeoutMs }).status;
}
