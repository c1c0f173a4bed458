import type { BenchOutcome } from "../bench.ts";
import { type Figure, figure } from "../figure.ts";
import { median, ratios } from "../measure/statistics.ts";
import {
  CELLS,
  type Cell,
  DIRECTIONS,
  LOADING_STREAMS,
  nameOf,
  type Round,
  type Sample,
  SMALL_PAYLOAD,
  type SmallPackets,
  TRANSPORTS,
} from "./round.ts";
import type { Transport } from "./sides.ts";

/**
 * The client's own core counts as full where it ran for so much of the time, or for a little less and could have run for nearly all
 * of the rest: it never waits for the server then, and what it waits for is a core.
 */
const FULL_CORE = 0.95;
const NEARLY_FULL_CORE = 0.9;
const NEVER_WITHOUT_WORK = 0.98;

/** Budgets: bench/README.md, VPN against ocserv. */
const CPU_MEAN_BUDGET = { atMost: 0.5 };
const CPU_CELL_BUDGET = { atMost: 0.65 };
const THROUGHPUT_BUDGET = { atLeast: 1.5 };
const RETRANSMITS_BUDGET = { atMost: 1 };

/** Fewer count as so many: one segment in seven thousand is chance, and a ratio to none is no number. */
const RETRANSMITS_PER_GB_AT_LEAST = 100;

/** What the rounds say of both sides: a round of one belongs to that of the other at the same place. */
export function roundFigures(gateway: readonly Round[], ocserv: readonly Round[]): BenchOutcome {
  const figures: Figure[] = [];
  const notes: string[] = [];
  const cpuRatios = CELLS.map((cell) => pairs(gateway, ocserv, cell, "cpuSecondsPerGb"));
  const means = gateway.map((_, round) => mean(cpuRatios.map((one) => one[round] ?? Number.NaN)));
  figures.push(figure("CPU per GB against ocserv, mean of all", "x", means, CPU_MEAN_BUDGET));
  for (const [index, cell] of CELLS.entries()) {
    const name = nameOf(cell);
    figures.push(figure(`${name}: CPU per GB`, "x", cpuRatios[index] ?? [], CPU_CELL_BUDGET));
    figures.push(figure(`${name}: CPU, gateway`, "CPU-s/GB", of(gateway, cell, "cpuSecondsPerGb")));
    figures.push(figure(`${name}: CPU, ocserv`, "CPU-s/GB", of(ocserv, cell, "cpuSecondsPerGb")));
    const isFull = isCoreFull(gateway, cell);
    const throughput = pairs(gateway, ocserv, cell, "bytesPerSecond");
    const budget = isFull ? undefined : THROUGHPUT_BUDGET;
    figures.push(figure(`${name}: throughput`, "x", throughput, budget));
    const gigabits = (rounds: readonly Round[]) =>
      of(rounds, cell, "bytesPerSecond").map((rate) => (rate * 8) / 1e9);
    figures.push(figure(`${name}: throughput, gateway`, "Gbit/s", gigabits(gateway)));
    figures.push(figure(`${name}: throughput, ocserv`, "Gbit/s", gigabits(ocserv)));
    figures.push(...retransmitFigures(gateway, ocserv, cell));
    if (cell.streams === LOADING_STREAMS) figures.push(...roundTripFigures(gateway, ocserv, cell));
    figures.push(...clientFigures(gateway, ocserv, cell));
    if (isFull) notes.push(`${name}: the client's own core was full, so throughput is not judged`);
  }
  figures.push(...TRANSPORTS.flatMap((transport) => transportFigures(gateway, ocserv, transport)));
  return { figures, notes };
}

function isCoreFull(gateway: readonly Round[], cell: Cell): boolean {
  const running = median(of(gateway, cell, "clientRunning"));
  const waiting = median(of(gateway, cell, "clientWaiting"));
  if (running >= FULL_CORE) return true;
  return running >= NEARLY_FULL_CORE && running + waiting >= NEVER_WITHOUT_WORK;
}

/** What belongs to no transfer of TCP: small packets. */
function transportFigures(
  gateway: readonly Round[],
  ocserv: readonly Round[],
  transport: Transport,
): Figure[] {
  const figures: Figure[] = [];
  for (const direction of DIRECTIONS) {
    const key = `${transport} ${direction}`;
    const small = (rounds: readonly Round[], value: keyof SmallPackets) =>
      rounds.map((round) => round.smallPackets.get(key)?.[value] ?? Number.NaN);
    const name = `${key}: packets of ${SMALL_PAYLOAD} octets`;
    const [own, theirs] = [gateway, ocserv].map((rounds) => small(rounds, "cpuSecondsPerMillion"));
    figures.push(figure(`${name}: CPU`, "x", ratios(own ?? [], theirs ?? [])));
    figures.push(figure(`${name}: CPU, gateway`, "CPU-s/million", own ?? []));
    for (const [side, rounds] of [
      ["gateway", gateway],
      ["ocserv", ocserv],
    ] as const) {
      figures.push(figure(`${name}: arrived, ${side}`, "/s", small(rounds, "perSecond")));
    }
  }
  return figures;
}

/** Whether it was the client, or a machine without a core for it, that bounded the throughput. */
function clientFigures(gateway: readonly Round[], ocserv: readonly Round[], cell: Cell): Figure[] {
  const name = nameOf(cell);
  return [
    figure(`${name}: client runs, gateway`, "cores", of(gateway, cell, "clientRunning")),
    figure(`${name}: client runs, ocserv`, "cores", of(ocserv, cell, "clientRunning")),
    figure(
      `${name}: client waits for a core, gateway`,
      "cores",
      of(gateway, cell, "clientWaiting"),
    ),
    figure(`${name}: client waits for a core, ocserv`, "cores", of(ocserv, cell, "clientWaiting")),
  ];
}

function roundTripFigures(
  gateway: readonly Round[],
  ocserv: readonly Round[],
  cell: Cell,
): Figure[] {
  const name = `${nameOf(cell)}: round trip beside it`;
  const both = (share: string, key: keyof Sample) => [
    figure(`${name} ${share}, gateway`, "ms", of(gateway, cell, key)),
    figure(`${name} ${share}, ocserv`, "ms", of(ocserv, cell, key)),
  ];
  return [...both("p50", "roundTripP50Ms"), ...both("p99", "roundTripP99Ms")];
}

function retransmitFigures(
  gateway: readonly Round[],
  ocserv: readonly Round[],
  cell: Cell,
): Figure[] {
  const name = `${nameOf(cell)}: retransmits per GB`;
  const [own, theirs] = [gateway, ocserv].map((rounds) => of(rounds, cell, "retransmitsPerGb"));
  const counted = (rates: readonly number[]) =>
    rates.map((rate) => Math.max(rate, RETRANSMITS_PER_GB_AT_LEAST));
  return [
    figure(name, "x", ratios(counted(own ?? []), counted(theirs ?? [])), RETRANSMITS_BUDGET),
    figure(`${name}, gateway`, "", own ?? []),
    figure(`${name}, ocserv`, "", theirs ?? []),
  ];
}

function pairs(
  gateway: readonly Round[],
  ocserv: readonly Round[],
  cell: Cell,
  key: keyof Sample,
): number[] {
  return ratios(of(gateway, cell, key), of(ocserv, cell, key));
}

function of(rounds: readonly Round[], cell: Cell, key: keyof Sample): number[] {
  return rounds.map((round) => round.cells.get(nameOf(cell))?.[key] ?? Number.NaN);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
