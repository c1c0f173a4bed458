import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { remember } from "./children.ts";

const STOP_TIMEOUT_MS = 10_000;
const START_TIMEOUT_MS = 60_000;
const RETRY_MS = 5;
/** How much of a program's last output is kept for the message when it fails. */
const MAX_KEPT_OUTPUT_CHARACTERS = 4_000;

/** A program that is measured or serves as a peer: a service of the suite, nginx, scepserver. */
export interface Foreign extends AsyncDisposable {
  readonly pid: number;
  /** The last of what it printed. */
  output(): string;
  /** Waits until `condition` holds. Throws with the program's last output when it ends first, or after 60 s. */
  until(what: string, condition: () => Promise<boolean> | boolean): Promise<void>;
  /** Kills it with SIGKILL and waits for its end. */
  kill(): Promise<void>;
}

export interface ForeignOptions {
  readonly folder?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** Starts a program; disposing of it sends SIGTERM, and SIGKILL where that is not heeded within 10 s. */
export function startForeign(
  command: string,
  words: readonly string[],
  options: ForeignOptions = {},
): Foreign {
  const child = spawn(command, words, {
    cwd: options.folder,
    env: { ...process.env, ...options.environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  remember(child);
  let kept = "";
  let failure: string | undefined;
  const keep = (chunk: Buffer) => {
    kept = (kept + chunk.toString()).slice(-MAX_KEPT_OUTPUT_CHARACTERS);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  child.once("error", (error) => {
    failure = error.message;
  });
  child.once("exit", (code, signal) => {
    failure = `it ended (${signal ?? `exit ${code}`})`;
  });
  const stop = async (signal: NodeJS.Signals) => {
    if (failure !== undefined) return;
    const exit = once(child, "exit");
    child.kill(signal);
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
    await exit;
    clearTimeout(timer);
  };
  return {
    pid: child.pid ?? 0,
    output: () => kept,
    until: async (what, condition) => {
      const deadline = performance.now() + START_TIMEOUT_MS;
      while (!(await condition())) {
        if (failure === undefined && performance.now() > deadline) failure = "it took over 60 s";
        if (failure !== undefined) throw new Error(`${command}: no ${what}: ${failure}\n${kept}`);
        await delay(RETRY_MS);
      }
    },
    kill: () => stop("SIGKILL"),
    [Symbol.asyncDispose]: () => stop("SIGTERM"),
  };
}

/** Whether something accepts TCP connections at this port of 127.0.0.1. */
export async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
