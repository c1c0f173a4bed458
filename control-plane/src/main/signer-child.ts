import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Logger } from "pino";

/** Full jitter up to a ceiling that doubles, begun anew after a signer has run this long. */
const FIRST_BACK_OFF_MS = 100;
const MAX_BACK_OFF_MS = 5_000;
const STABLE_AFTER_MS = 30_000;
const STOP_WITHIN_MS = 5_000;

const ENTRY = fileURLToPath(new URL("./signer-main.ts", import.meta.url));

/** Keeps a signer process running. It ends with this process, however that ends: the pipe to it closes. */
export class SignerChild implements AsyncDisposable {
  readonly #arguments: readonly string[];
  readonly #log: Logger;
  readonly #stopping = new AbortController();
  readonly #ended: Promise<void>;
  #child: ChildProcess | undefined;

  constructor(of: { readonly stateFolder: string; readonly socket: string; readonly log: Logger }) {
    this.#arguments = [
      ENTRY,
      "signer",
      "run",
      "--state-folder",
      of.stateFolder,
      "--socket",
      of.socket,
      "--log-level",
      of.log.level,
      "--until-stdin-ends",
    ];
    this.#log = of.log;
    this.#ended = this.#keepRunning();
  }

  /** Process id of the signer that runs now. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async #keepRunning(): Promise<void> {
    const { signal } = this.#stopping;
    let failures = 0;
    while (!signal.aborted) {
      const startedAt = performance.now();
      const exitCode = await this.#runOnce();
      if (signal.aborted) return;
      this.#log.warn({ exitCode }, "signer.ended");
      failures = performance.now() - startedAt > STABLE_AFTER_MS ? 0 : failures + 1;
      const ceiling = Math.min(MAX_BACK_OFF_MS, FIRST_BACK_OFF_MS * 2 ** failures);
      await delay(Math.random() * ceiling, undefined, { signal }).catch(() => undefined);
    }
  }

  async #runOnce(): Promise<number | string | null> {
    // Detached, so that a Ctrl-C at the terminal reaches this process alone, which stops the signer last.
    const child = spawn(process.execPath, this.#arguments, {
      stdio: ["pipe", "inherit", "inherit"],
      detached: true,
    });
    this.#child = child;
    // The pipe is never written to; that it breaks with the child says nothing that the exit does not.
    child.stdin?.on("error", () => {});
    const ended = Promise.withResolvers<number | string | null>();
    child.on("error", (error) => ended.resolve(error.message));
    child.on("exit", (code, by) => ended.resolve(code ?? by));
    return await ended.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    const child = this.#child;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const timer = setTimeout(() => child.kill("SIGKILL"), STOP_WITHIN_MS);
      const exited = once(child, "exit");
      child.kill("SIGTERM");
      await exited;
      clearTimeout(timer);
    }
    await this.#ended;
  }
}
