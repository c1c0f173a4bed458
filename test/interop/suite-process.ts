import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";

const MAIN = join(import.meta.dirname, "../../suite/src/main.ts");

/** One line of `--json`; the last one of a tour that failed is a result, without `event`. */
export interface SuiteEvent {
  readonly event?: string;
  readonly [field: string]: unknown;
}

/** `npm start` or `npm run tour` as a process of its own, with what it says. */
export interface SuiteProcess {
  readonly events: readonly SuiteEvent[];
  readonly ended: Promise<number | null>;
  /** All it printed on stderr. */
  errors(): string;
  interrupt(): void;
}

export function runSuite(words: readonly string[]): SuiteProcess {
  const child: ChildProcess = spawn(process.execPath, [MAIN, ...words, "--json"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const events: SuiteEvent[] = [];
  let errors = "";
  if (child.stdout !== null) {
    createInterface({ input: child.stdout }).on("line", (line) => events.push(JSON.parse(line)));
  }
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  return {
    events,
    ended: new Promise((resolve) => child.once("close", (code) => resolve(code))),
    errors: () => errors,
    interrupt: () => void child.kill("SIGINT"),
  };
}
