import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { treeResidentBytes } from "../measure/process-tree.ts";
import { quantile } from "../measure/statistics.ts";
import { type Program, startProgram } from "../process/program.ts";
import { checkLedger, type LedgerFigures } from "./ledger-check.ts";
import { RevocationWatch } from "./revocation-watch.ts";
import type { SoakLoadProgram, SoakProgress } from "./soak-load.ts";
import {
  cli,
  PROFILE_ID,
  prepareConnector,
  type SoakFiles,
  startConnector,
} from "./soaking-connector.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const SAMPLE_MS = 5_000;
/** The capacity is measured for so long; half of it is the load. */
const CAPACITY_MS = 20_000;
/** Certificates live for a day; they are renewed at half of it and a little. */
const RENEW_AFTER_MS = 12.5 * HOUR_MS;

export interface SoakOptions {
  readonly minutes: number;
  /** Hours of the moved clock in this time. */
  readonly hours: number;
  /** Enrolments a second; half of what is measured at the beginning where it is not given. */
  readonly perSecond: number | undefined;
  readonly folder: string;
  readonly progress: (line: string) => void;
}

export interface SoakReport extends LedgerFigures {
  readonly minutes: number;
  readonly movedHours: number;
  readonly perSecond: number;
  readonly enrolled: number;
  readonly renewed: number;
  readonly failed: number;
  readonly failures: readonly string[];
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Resident (PSS), median of the second and of the last quarter. */
  readonly memoryEarlyMiB: number;
  readonly memoryLateMiB: number;
  readonly revocations: number;
  readonly revocationLists: number;
  readonly listFaults: readonly string[];
  /** Certificates of the RA that devices have seen; 2 after a rollover. */
  readonly registrationCertificates: number;
  readonly auditChain: string;
}

/** A connector at half its load, on a clock that moves through a day. */
export async function soak(options: SoakOptions): Promise<SoakReport> {
  const files = await prepareConnector(options.folder);
  const clock = movedClock(options, files);
  await using stack = new AsyncDisposableStack();
  const connector = await startConnector(files, clock.environment);
  stack.use(connector);
  const load = stack.use(
    await startProgram<SoakLoadProgram>(
      new URL("./soak-load.ts", import.meta.url),
      clock.environment,
    ),
  );
  const order = {
    url: `${connector.baseUrl}/scep/${PROFILE_ID}`,
    profileId: PROFILE_ID,
    challengeKey: readFileSync(join(files.stateFolder, "challenge-key.pem"), "utf8"),
    renewAfterMs: RENEW_AFTER_MS,
    keepRecipientMs: (options.hours * HOUR_MS) / 8,
  };
  const perSecond = options.perSecond ?? (await halfOfCapacity(load, order, options));
  options.progress(`${perSecond.toFixed(0)} enrolments a second for ${options.minutes} minutes`);
  const watch = new RevocationWatch(files, connector.baseUrl, clock.now);
  await load.ask("begin", { ...order, perSecond });
  const seen = await observe({ options, load, watch, pid: connector.pid, now: clock.now });
  await load.ask("end", undefined);
  seen.take(await load.ask("progress", undefined));
  await stack.disposeAsync();
  return {
    minutes: options.minutes,
    movedHours: options.hours,
    perSecond,
    ...seen.figures(),
    ...checkLedger(join(files.stateFolder, "store.db"), seen.serialNumbers),
    revocations: watch.revocations,
    revocationLists: watch.lists,
    listFaults: watch.faults,
    auditChain: await auditChain(files),
  };
}

/** The moved clock begins so that the RA's key is due for a successor in the middle. */
function movedClock({ minutes, hours }: SoakOptions, { raRenewalMs }: SoakFiles) {
  const factor = (hours * HOUR_MS) / (minutes * MINUTE_MS);
  const realStart = Date.now();
  const movedStart = raRenewalMs - (hours / 2) * HOUR_MS;
  const preload = fileURLToPath(new URL("./moved-clock.ts", import.meta.url));
  return {
    now: () => movedStart + (Date.now() - realStart) * factor,
    environment: {
      ISTHMUS_SOAK_CLOCK: `${realStart},${movedStart},${factor}`,
      NODE_OPTIONS: `${process.env["NODE_OPTIONS"] ?? ""} --import=${preload}`.trim(),
    },
  };
}

async function halfOfCapacity(
  load: Program<SoakLoadProgram>,
  order: Omit<Parameters<SoakLoadProgram["begin"]>[0], "perSecond">,
  { progress }: SoakOptions,
): Promise<number> {
  progress("measuring what it can do");
  await load.ask("begin", { ...order, perSecond: Number.POSITIVE_INFINITY });
  await delay(CAPACITY_MS);
  await load.ask("end", undefined);
  const { enrolled } = await load.ask("progress", undefined);
  await load.ask("reset", undefined);
  if (enrolled === 0) throw new Error("not one device could enrol");
  return enrolled / (CAPACITY_MS / 1000) / 2;
}

/** What is seen of the load over time. */
class Observations {
  readonly serialNumbers: string[] = [];
  readonly #latenciesMs: number[] = [];
  readonly #memory: number[] = [];
  #last: SoakProgress | undefined;

  take(progress: SoakProgress): void {
    this.serialNumbers.push(...progress.serialNumbers);
    for (const latency of progress.latenciesMs) this.#latenciesMs.push(latency);
    this.#last = progress;
  }

  takeMemory(bytes: number): void {
    this.#memory.push(bytes / 1_048_576);
  }

  figures() {
    const quarter = Math.ceil(this.#memory.length / 4);
    return {
      enrolled: this.#last?.enrolled ?? 0,
      renewed: this.#last?.renewed ?? 0,
      failed: this.#last?.failed ?? 0,
      failures: this.#last?.failures ?? [],
      registrationCertificates: this.#last?.recipients ?? 0,
      p50Ms: quantile(this.#latenciesMs, 0.5),
      p99Ms: quantile(this.#latenciesMs, 0.99),
      memoryEarlyMiB: quantile(this.#memory.slice(quarter, 2 * quarter), 0.5),
      memoryLateMiB: quantile(this.#memory.slice(-quarter), 0.5),
    };
  }
}

interface Observed {
  readonly options: SoakOptions;
  readonly load: Program<SoakLoadProgram>;
  readonly watch: RevocationWatch;
  readonly pid: number;
  readonly now: () => number;
}

async function observe({ options, load, watch, pid, now }: Observed): Promise<Observations> {
  const seen = new Observations();
  const end = performance.now() + options.minutes * MINUTE_MS;
  let nextMinute = performance.now();
  while (performance.now() < end) {
    await delay(Math.min(SAMPLE_MS, Math.max(0, end - performance.now())));
    const progress = await load.ask("progress", undefined);
    seen.take(progress);
    seen.takeMemory(treeResidentBytes(pid));
    await watch.look();
    if (performance.now() < nextMinute) continue;
    nextMinute += MINUTE_MS;
    const serialNumber = seen.serialNumbers.at(-1);
    if (serialNumber !== undefined) {
      await load.ask("forget", serialNumber);
      await watch.revoke(serialNumber);
    }
    const { enrolled, renewed, failed } = progress;
    const time = new Date(now()).toISOString().slice(0, 16);
    const memory = (treeResidentBytes(pid) / 1_048_576).toFixed(0);
    options.progress(
      `${time}: ${enrolled} enrolled, ${renewed} renewed, ${failed} failed, ${memory} MiB`,
    );
  }
  return seen;
}

async function auditChain({ configurationFile }: SoakFiles): Promise<string> {
  const text = await cli("audit", "verify", "--config", configurationFile);
  return text.trim().split("\n")[0] ?? "";
}
