import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Foreign, startForeign } from "./foreign.ts";

/** A service of the suite, by the name of its workspace. */
export type ServiceName = "control-plane" | "cert-connector" | "comgmt-bridge" | "tunnel-gateway";

/** What a service writes to `<stateFolder>/run.json` once it is ready. */
export interface RunFile {
  readonly pid: number;
  readonly healthUrl: string;
  /** Addresses and URLs of its listeners, by name. */
  readonly [listener: string]: unknown;
}

/** A service that is ready. */
export interface RunningService extends AsyncDisposable {
  readonly pid: number;
  readonly run: RunFile;
  kill(): Promise<void>;
}

export interface ServiceOptions {
  readonly name: ServiceName;
  readonly folder: string;
  /** Its local configuration; `stateFolder` is filled in. */
  readonly configuration: Readonly<Record<string, unknown>>;
  /** What its image has in the environment beyond what is there. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** A service's folder: configuration file and state below it. */
export interface ServiceFiles {
  readonly configurationFile: string;
  readonly stateFolder: string;
}

/** Writes the service's configuration and makes its state folder, so that its commands can run before it starts. */
export function prepareService(options: ServiceOptions): ServiceFiles {
  const stateFolder = join(options.folder, "state");
  mkdirSync(stateFolder, { recursive: true, mode: 0o700 });
  const configurationFile = join(options.folder, "config.json");
  const configuration = { stateFolder, ...options.configuration };
  writeFileSync(configurationFile, JSON.stringify(configuration, null, 2));
  return { configurationFile, stateFolder };
}

/** Starts a service in its folder and waits until `/ready` says so. */
export async function startService(options: ServiceOptions): Promise<RunningService> {
  const files = prepareService(options);
  const process = startRun(options, files);
  try {
    const run = await untilReady(process, files.stateFolder);
    return {
      pid: process.pid,
      run,
      kill: () => process.kill(),
      [Symbol.asyncDispose]: () => process[Symbol.asyncDispose](),
    };
  } catch (error) {
    await process.kill();
    throw error;
  }
}

/** Spawns `<service> run` and returns at once. */
export function startRun(
  options: ServiceOptions,
  files: ServiceFiles,
  environment: Readonly<Record<string, string>> = {},
): Foreign {
  const words = [entryOf(options.name), "run", "--config", files.configurationFile];
  return startForeign(process.execPath, words, {
    environment: { ...options.environment, ...environment },
  });
}

/** Waits for the run file of this very process and for its health listener's word. */
export async function untilReady(process: Foreign, stateFolder: string): Promise<RunFile> {
  let run: RunFile | undefined;
  await process.until("readiness", async () => {
    run = readRunFile(stateFolder);
    return run?.pid === process.pid && (await isReady(run.healthUrl));
  });
  return run as RunFile;
}

function readRunFile(stateFolder: string): RunFile | undefined {
  const file = join(stateFolder, "run.json");
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined;
}

async function isReady(healthUrl: string): Promise<boolean> {
  try {
    return (await fetch(new URL("/ready", healthUrl))).ok;
  } catch {
    return false;
  }
}

/** The file that a service starts from. */
export function entryOf(name: ServiceName): string {
  return fileURLToPath(new URL(`../../../${name}/src/main.ts`, import.meta.url));
}
