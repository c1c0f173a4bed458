import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";

const MAIN = new URL("../../../comgmt-bridge/src/main.ts", import.meta.url).pathname;

/** How a run of the command line ended. */
export interface Ended {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The bridge, the smallest of the connectors, with files of its own: what a person has on a host. */
export class BridgeHost implements AsyncDisposable {
  readonly folder: string;
  readonly #temporary: Disposable;
  readonly #running = new Set<ChildProcess>();

  constructor(configuration: Readonly<Record<string, unknown>> = {}) {
    const temporary = temporaryFolder();
    this.#temporary = temporary;
    this.folder = temporary.path;
    this.write("config.json", { stateFolder: "state", log: { level: "error" }, ...configuration });
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  write(name: string, content: unknown): void {
    const isText = typeof content === "string";
    writeFileSync(this.path(name), isText ? content : JSON.stringify(content));
  }

  /** Runs one command to its end; `--config` is added. */
  command(...words: readonly string[]): Promise<Ended> {
    return new Promise((resolve) => {
      const arguments_ = [MAIN, ...words, "--config", this.path("config.json")];
      execFile(process.execPath, arguments_, (error, stdout, stderr) => {
        const code = error === null ? 0 : error.code;
        resolve({ exitCode: typeof code === "number" ? code : null, stdout, stderr });
      });
    });
  }

  /** The answer of one command with `--json`. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of many shapes
  async json(...words: readonly string[]): Promise<any> {
    return JSON.parse((await this.command(...words, "--json")).stdout);
  }

  /** Starts the service and waits until it is ready. */
  async run(): Promise<ChildProcess> {
    const child = spawn(process.execPath, [MAIN, "run", "--config", this.path("config.json")]);
    this.#running.add(child);
    const output = text(child.stdout);
    const stderr = text(child.stderr);
    await until(async () => {
      if (child.exitCode === null) return this.runFile()?.pid === child.pid;
      throw new Error(`bridge ended: ${await output}${await stderr}`);
    }, "readiness");
    return child;
  }

  /** What run.json says, or undefined. */
  runFile(): { readonly pid: number; readonly healthUrl: string } | undefined {
    const file = this.path("state/run.json");
    return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined;
  }

  async end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
    this.#running.delete(child);
    const exited = once(child, "exit");
    child.kill(signal);
    const [exitCode] = await exited;
    return exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of [...this.#running]) {
      if (child.exitCode === null) await this.end(child, "SIGKILL");
    }
    this.#temporary[Symbol.dispose]();
  }
}
