import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { until } from "@isthmus/shared/testing/until";

export const CONNECTOR_MAIN = resolve("cert-connector/src/main.ts");
const START_TIMEOUT_MS = 60_000;

/** The process of a certificate connector whose files lie in `folder`; a test may kill it and start it again. */
export class ConnectorChild {
  readonly #folder: string;
  #child: ChildProcess | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Starts it and returns the SCEP address of the profile `device` once it is ready. */
  async start(): Promise<string> {
    const args = [CONNECTOR_MAIN, "run", "--config", join(this.#folder, "config.json")];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
    this.#child = child;
    const isReady = () => this.#runFileOf(child);
    const ready = await until(isReady, "a running connector", START_TIMEOUT_MS);
    return `${ready.scepUrl}/scep/device`;
  }

  /** Ends it, where it runs, and waits until it has gone: with SIGKILL in the middle of whatever it does. */
  async end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((done) => child.once("exit", done));
    child.kill(signal);
    await ended;
  }

  /** A killed process leaves its file behind: only the one of this process counts. */
  #runFileOf(child: ChildProcess): { readonly scepUrl: string } | undefined {
    if (child.exitCode !== null) throw new Error(`the connector ended with ${child.exitCode}`);
    try {
      const run = JSON.parse(readFileSync(join(this.#folder, "state", "run.json"), "utf8"));
      return run.pid === child.pid ? run : undefined;
    } catch {
      return undefined;
    }
  }
}
