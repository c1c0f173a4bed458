import { setTimeout as delay } from "node:timers/promises";
import type { BenchOptions } from "../bench.ts";
import { type Figure, figure } from "../figure.ts";
import { treeCpuSeconds, treeMemory } from "../measure/process-tree.ts";
import { type Program, startProgram } from "../process/program.ts";
import type { FleetLoadProgram } from "./fleet-load.ts";
import {
  fleetTarget,
  insertConnectors,
  type MeasuredControlPlane,
  startControlPlane,
} from "./measured-control-plane.ts";

const CONNECTORS = 10_000;
/** Processes that share the fleet, each within 20,000 open files. */
const LOAD_PROCESSES = 2;
const LOOK_EVERY_MS = 100;
/** Past the budget, so that a miss shows by how much. */
const MAX_WAIT_MS = 300_000;
/** Every connector reports once in this time. */
const MINUTE_MS = 60_000;
const MEBIBYTE = 1_048_576;
const KIBIBYTES_PER_MEBIBYTE = 1_024;

/** Budgets: bench/README.md, link. */
const MEMORY_BUDGET_MIB = { atMost: 1_024 };
const BACK_BUDGET_S = { atMost: 120 };

/** Memory of a node with the whole fleet on it, and how long the fleet needs to come back after the node was killed. */
export async function fleetFigures(
  options: BenchOptions,
  folder: string,
  port: number,
): Promise<Figure[]> {
  const count = Math.ceil((CONNECTORS * options.scale) / LOAD_PROCESSES) * LOAD_PROCESSES;
  await using fleet = await startFleet(count);
  await enrolFleet(fleet, folder, port);
  let node = await startControlPlane(folder, port);
  try {
    const empty = memoryOf(node);
    options.progress(`${count} connectors connect`);
    const connectSeconds = await fleet.connect(node);
    await settle(options);
    const first = memoryOf(node);
    const reportCpu = await cpuPerMinute(node, options);
    const back: number[] = [];
    for (let round = 0; round < options.runs; round++) {
      options.progress(`restart ${round + 1}`);
      const started = performance.now();
      await node.service.kill();
      node = await startControlPlane(folder, port);
      await fleet.untilAllConnected();
      back.push((performance.now() - started) / 1000);
    }
    await settle(options);
    const last = memoryOf(node);
    const title = `memory of the node with ${count} connectors`;
    return [
      figure(`${title}, at most`, "MiB", Math.max(first.peakMib, last.peakMib), MEMORY_BUDGET_MIB),
      figure(`${title}, settled`, "MiB", [first.residentMib, last.residentMib]),
      figure(
        "memory per connector",
        "KiB",
        ((first.residentMib - empty.residentMib) * KIBIBYTES_PER_MEBIBYTE) / count,
      ),
      figure("all back after a restart", "s", back, BACK_BUDGET_S),
      figure("all connected at first", "s", connectSeconds),
      figure("CPU with each reporting once a minute", "CPU-s/min", reportCpu),
    ];
  } finally {
    await node.service[Symbol.asyncDispose]();
  }
}

/** The fleet's processes taken together. */
interface Fleet extends AsyncDisposable {
  readonly shares: readonly Program<FleetLoadProgram>[];
  readonly size: number;
  /** Lets all of them connect; answers the seconds until the last is welcome. */
  connect(node: MeasuredControlPlane): Promise<number>;
  untilAllConnected(): Promise<void>;
}

async function startFleet(size: number): Promise<Fleet> {
  await using stack = new AsyncDisposableStack();
  const shares: Program<FleetLoadProgram>[] = [];
  for (let index = 0; index < LOAD_PROCESSES; index++) {
    const url = new URL("./fleet-load.ts", import.meta.url);
    shares.push(stack.use(await startProgram<FleetLoadProgram>(url)));
  }
  const untilAllConnected = () => waitForAll(shares, size);
  const owned = stack.move();
  return {
    shares,
    size,
    connect: async (node) => {
      const started = performance.now();
      for (const share of shares) await share.ask("start", fleetTarget(node));
      await untilAllConnected();
      return (performance.now() - started) / 1000;
    },
    untilAllConnected,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Makes the fleet's keys and puts its connectors into the store that a first start of the node has made. */
async function enrolFleet(fleet: Fleet, folder: string, port: number): Promise<void> {
  const first = await startControlPlane(folder, port);
  await first.service[Symbol.asyncDispose]();
  for (const share of fleet.shares) {
    const identities = await share.ask("make", { count: fleet.size / LOAD_PROCESSES });
    insertConnectors(first.databaseFile, identities);
  }
}

async function waitForAll(
  shares: readonly Program<FleetLoadProgram>[],
  size: number,
): Promise<void> {
  const deadline = performance.now() + MAX_WAIT_MS;
  for (;;) {
    const standings = await Promise.all(shares.map((share) => share.ask("standing", null)));
    const connected = standings.reduce((sum, standing) => sum + standing.connected, 0);
    if (connected === size) return;
    if (performance.now() > deadline) {
      const refusal = standings.find((standing) => standing.refusal)?.refusal ?? "none was refused";
      throw new Error(`${connected} of ${size} connectors are connected after 300 s; ${refusal}`);
    }
    await delay(LOOK_EVERY_MS);
  }
}

async function settle({ progress, scale }: BenchOptions): Promise<void> {
  progress("a round of reports");
  await delay(MINUTE_MS * Math.min(1, scale));
}

/** Of the node and of its signer, which is a process of its own. */
function memoryOf({ service }: MeasuredControlPlane) {
  const { residentBytes, peakBytes } = treeMemory(service.pid);
  return { residentMib: residentBytes / MEBIBYTE, peakMib: peakBytes / MEBIBYTE };
}

async function cpuPerMinute(
  { service }: MeasuredControlPlane,
  { scale }: BenchOptions,
): Promise<number> {
  const before = treeCpuSeconds(service.pid);
  const spanMs = MINUTE_MS * Math.min(1, scale);
  await delay(spanMs);
  return ((treeCpuSeconds(service.pid) - before) * MINUTE_MS) / spanMs;
}
