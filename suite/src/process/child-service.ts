import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createWriteStream, mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { ConnectorError } from "@isthmus/shared/errors";

const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 12_000;
const COMMAND_TIMEOUT_MS = 60_000;
const POLL_MS = 25;
const LAST_LINES = 12;
const MAX_OUTPUT_BYTES = 16 * 1_048_576;

/** How one service is started. */
export interface ServiceLaunch {
  /** As it stands before each line of its output, e.g. `cert-connector`. */
  readonly name: string;
  /** Absolute path of its main.ts. */
  readonly entry: string;
  readonly configFile: string;
  /** Where it writes run.json once it is ready. */
  readonly stateFolder: string;
  readonly logFile: string;
  /** Shows each line it prints, besides the log file; a failure does not repeat them then. */
  readonly onLine?: (line: string) => void;
  /** Added to this process's own. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** What a ready service says about itself in run.json. */
export interface RunningAs {
  readonly pid: number;
  readonly healthUrl: string;
}

/** A service as a child process: ready when it says so, stopped by SIGTERM, killed by SIGKILL. */
export class ChildService implements AsyncDisposable {
  readonly name: string;
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  readonly #launch: ServiceLaunch;
  readonly #child: ChildProcess;
  readonly #lastLines: string[] = [];
  #hasEnded = false;

  private constructor(launch: ServiceLaunch) {
    this.name = launch.name;
    this.#launch = launch;
    rmSync(join(launch.stateFolder, "run.json"), { force: true });
    mkdirSync(dirname(launch.logFile), { recursive: true });
    this.#child = spawn(process.execPath, [launch.entry, "run", "--config", launch.configFile], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...launch.environment },
    });
    this.ended = new Promise((resolve) => {
      const end = (code: number | null, signal: string | null) => {
        this.#hasEnded = true;
        resolve({ code, signal });
      };
      this.#child.once("error", () => end(null, null));
      this.#child.once("close", end);
    });
    this.#readLines();
  }

  /** Starts the service and waits until it is ready. Throws `service-failed` with its last lines if it ends before. */
  static async start(launch: ServiceLaunch): Promise<ChildService> {
    const service = new ChildService(launch);
    try {
      await service.#untilReady();
      return service;
    } catch (error) {
      await service.stop();
      throw error;
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** What run.json of the state folder says. */
  runningAs(): RunningAs {
    return JSON.parse(readFileSync(join(this.#launch.stateFolder, "run.json"), "utf8"));
  }

  /** Asks it to stop and waits; kills it where it does not stop in 12 s. */
  async stop(): Promise<void> {
    if (this.#hasEnded) return;
    this.#child.kill("SIGTERM");
    const timeout = new AbortController();
    await Promise.race([
      this.ended,
      delay(STOP_TIMEOUT_MS, undefined, { signal: timeout.signal }).catch(() => undefined),
    ]);
    timeout.abort();
    if (!this.#hasEnded) await this.kill();
  }

  /** SIGKILL: the service gets no chance to finish anything. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.ended;
  }

  /** How it failed, and where more is to be found. */
  failure(what: string): ConnectorError {
    const { logFile, onLine } = this.#launch;
    const more =
      onLine === undefined
        ? `the end of ${logFile}:\n${this.#lastLines.join("\n")}`
        : `its log is ${logFile}`;
    return new ConnectorError("service-failed", `${this.name} ${what}; ${more}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #untilReady(): Promise<void> {
    const deadline = performance.now() + READY_TIMEOUT_MS;
    while (!this.#isReady()) {
      if (this.#hasEnded) throw this.failure("ended before it was ready");
      if (performance.now() > deadline) throw this.failure("is not ready after 60 s");
      await delay(POLL_MS);
    }
  }

  #isReady(): boolean {
    try {
      return this.runningAs().pid === this.#child.pid;
    } catch {
      return false;
    }
  }

  #readLines(): void {
    const log = createWriteStream(this.#launch.logFile, { flags: "a", mode: 0o600 });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on("line", (line) => {
        log.write(`${line}\n`);
        this.#lastLines.push(line);
        if (this.#lastLines.length > LAST_LINES) this.#lastLines.shift();
        this.#launch.onLine?.(line);
      });
    }
    this.#child.once("close", () => log.end());
  }
}

const execute = promisify(execFile);

/**
 * Runs one command of a service, e.g. `enrol`, with `input` on its standard input, and returns what it printed. Throws
 * `command-failed` with its last lines.
 */
export async function runCommand(
  entry: string,
  words: readonly string[],
  input = "",
): Promise<string> {
  try {
    const done = execute(process.execPath, [entry, ...words], {
      timeout: COMMAND_TIMEOUT_MS,
      maxBuffer: MAX_OUTPUT_BYTES,
    });
    done.child.stdin?.end(input);
    return (await done).stdout;
  } catch (error) {
    const { stdout = "", stderr = "", message } = error as Error & Record<string, string>;
    const lines = `${stdout}${stderr}`.trim() || message;
    throw new ConnectorError("command-failed", `${words.join(" ")} failed:\n${lines}`, {
      cause: error,
    });
  }
}
