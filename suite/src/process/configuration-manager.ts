import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createInterface, type Interface } from "node:readline";
import { ConnectorError } from "@isthmus/shared/errors";

/** The simulated Configuration Manager site, as the demonstration has it. */
export const DEMO_SITE = {
  siteCode: "CM1",
  devices: 300,
  /** ResourceID of the first device. */
  firstResourceId: 16_777_216,
  collectionId: "SMS00001",
  /** An approved script, whose output names the device. */
  script: {
    guid: "5F1A2B3C-7D4E-4C55-9A61-0C2D4E6F8A10",
    name: "Free disk space",
    text: 'Get-PSDrive -PSProvider FileSystem | ForEach-Object { "$($_.Name) $($_.Free)" }\r\n',
    author: "CORP\\author",
    isApproved: true,
    output: "C 128849018880",
  },
} as const;

/** Of the script as the site stores it: UTF-16LE with a byte order mark. */
export const DEMO_SCRIPT_SHA256 = createHash("sha256")
  .update(Buffer.from(`\ufeff${DEMO_SITE.script.text}`, "utf16le"))
  .digest("hex");

const PROGRAM = new URL("../../../test/simulators/configmgr/site-process.ts", import.meta.url);
const READY_TIMEOUT_MS = 30_000;

/** A simulated site in a process of its own. */
export interface ConfigurationManager extends AsyncDisposable {
  readonly pid: number;
  /** Asks the simulator, e.g. `change` with what happens to a device. */
  ask(name: string, ...given: readonly unknown[]): Promise<unknown>;
}

/**
 * Starts the site on a port of this machine and waits until it answers; the certificate of its authority goes to `caFile`. `given` are further options
 * of the simulator. Throws `service-failed`.
 */
export async function startConfigurationManager(of: {
  readonly port: number;
  readonly token: string;
  readonly caFile: string;
  readonly given?: Readonly<Record<string, unknown>>;
}): Promise<ConfigurationManager> {
  const options = {
    ...{ port: of.port, caFile: of.caFile, siteCode: DEMO_SITE.siteCode },
    ...{ devices: DEMO_SITE.devices, scripts: [DEMO_SITE.script] },
    behaviour: { answerMinMs: 200, answerMaxMs: 1_500 },
    tokens: { [of.token]: { name: "CORP\\isthmus" } },
    ...of.given,
  };
  const child = spawn(process.execPath, [PROGRAM.pathname, JSON.stringify(options)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface(child.stdout);
  await untilReady(child, lines);
  return new Process(child, lines);
}

class Process implements ConfigurationManager {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #waiting: ((line: string | undefined) => void)[] = [];

  constructor(child: ChildProcess, lines: Interface) {
    this.pid = child.pid ?? 0;
    this.#child = child;
    lines.on("line", (line) => this.#waiting.shift()?.(line));
    child.once("exit", () => {
      for (const settle of this.#waiting.splice(0)) settle(undefined);
    });
  }

  async ask(name: string, ...given: readonly unknown[]): Promise<unknown> {
    const line = await new Promise<string | undefined>((settle) => {
      this.#waiting.push(settle);
      this.#child.stdin?.write(`${JSON.stringify([name, ...given])}\n`);
    });
    const answer = JSON.parse(line ?? '{"error":"it has ended"}') as Record<string, unknown>;
    if (answer["error"] === undefined) return answer["result"];
    throw new ConnectorError("site-simulator", `the simulated site: ${String(answer["error"])}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill("SIGKILL");
    await ended;
  }
}

async function untilReady(child: ChildProcess, lines: Interface): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const fail = (why: string) =>
    reject(new ConnectorError("service-failed", `the simulated Configuration Manager site ${why}`));
  const timer = setTimeout(() => fail("is not ready after 30 s"), READY_TIMEOUT_MS);
  lines.once("line", () => resolve());
  child.once("exit", () => fail("ended before it was ready"));
  try {
    await promise;
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
