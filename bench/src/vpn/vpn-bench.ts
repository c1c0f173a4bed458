import { join } from "node:path";
import { Lab, labObstacle } from "../../../test/vpn-lab/namespaces.ts";
import type { OpenconnectClient } from "../../../test/vpn-lab/openconnect.ts";
import type { Bench, BenchOptions, BenchOutcome } from "../bench.ts";
import { type Figure, figure } from "../figure.ts";
import { makeTlsCertificates, type TlsCertificates } from "../fixtures/tls-certificates.ts";
import { interleave } from "../measure/interleave.ts";
import { treeCpuSeconds } from "../measure/process-tree.ts";
import { quantile, ratios } from "../measure/statistics.ts";
import { neededTool } from "../peers/tool.ts";
import { handshakes } from "./handshakes.ts";
import { type Direction, packets, startIperfServer, transfer } from "./iperf.ts";
import { manySessions } from "./many-sessions.ts";
import { idleRoundTrips, roundTripsMs } from "./round-trip.ts";
import {
  connectTo,
  type Side,
  startGatewaySide,
  startOcservSide,
  type Transport,
} from "./sides.ts";

/** Seconds of each transfer. */
const TRANSFER_SECONDS = 5;
const GIGABYTE = 1e9;
/** The client's own core counts as full from here on: it, not the server, bounds the throughput. */
const FULL_CORE = 0.95;

/** Budgets: bench/README.md, VPN against ocserv. */
const CPU_MEAN_BUDGET = { atMost: 0.5 };
const CPU_CELL_BUDGET = { atMost: 0.65 };
const RETRANSMITS_BUDGET = { atMost: 1 };

/** Fewer count as so many: one segment in seven thousand is chance, and a ratio to none is no number. */
const RETRANSMITS_PER_GB_AT_LEAST = 100;
/** Beside so many streams round trips are measured. */
const LOADING_STREAMS = 4;
const SMALL_PAYLOAD = 64;
const SMALL_PER_SECOND = 50_000;
const DIRECTIONS: readonly Direction[] = ["up", "down"];

interface Cell {
  readonly transport: Transport;
  readonly direction: Direction;
  readonly streams: number;
}

/** What one transfer cost and gave. */
interface Sample {
  readonly cpuSecondsPerGb: number;
  readonly bytesPerSecond: number;
  readonly retransmitsPerGb: number;
  /** Of pings beside the transfer; NaN where there were none. */
  readonly roundTripP50Ms: number;
  readonly roundTripP99Ms: number;
  /** Cores that the client kept busy. */
  readonly clientCores: number;
}

/** UDP packets of 64 octets that arrived, and what the server spent on them. */
interface SmallPackets {
  readonly perSecond: number;
  readonly cpuSecondsPerMillion: number;
}

interface Round {
  readonly cells: ReadonlyMap<string, Sample>;
  /** By transport and direction. */
  readonly smallPackets: ReadonlyMap<string, SmallPackets>;
}

const TRANSPORTS: readonly Transport[] = ["tls", "dtls"];
const CELLS: readonly Cell[] = TRANSPORTS.flatMap((transport) =>
  DIRECTIONS.flatMap((direction) => [1, 4].map((streams) => ({ transport, direction, streams }))),
);

/** `npm run bench -- vpn`: Debian's openconnect through the gateway and through ocserv, in three network namespaces. */
export const vpnBench: Bench = {
  name: "vpn",
  summary: "packets through the VPN with stock openconnect, against ocserv (needs root)",
  defaultRuns: 3,
  run: runVpnBench,
};

async function runVpnBench(options: BenchOptions): Promise<BenchOutcome> {
  const obstacle = labObstacle();
  if (obstacle !== undefined) throw new Error(`bench vpn cannot run here: ${obstacle}`);
  for (const tool of ["openconnect", "ocserv", "iperf3"] as const) neededTool(tool);
  const certificates = await makeTlsCertificates(options.folder);
  await using lab = await Lab.make("bench");
  await using _server = await startIperfServer(lab);
  const at = (name: string) => join(options.folder, name);
  await using gateway = await startGatewaySide(lab, at("gateway"), certificates);
  await using ocserv = await startOcservSide(lab, certificates);
  const measure = (side: Side) => async (round: number) => {
    options.progress(`round ${round + 1}/${options.runs}: ${side.name}`);
    try {
      return await measureSide(lab, side, certificates, options);
    } catch (error) {
      throw new Error(`${side.name} said:\n${side.output()}`, { cause: error });
    }
  };
  const rounds = await interleave<Round>(options.runs, [
    { name: "gateway", run: measure(gateway) },
    { name: "ocserv", run: measure(ocserv) },
  ]);
  const idle: Figure[] = [];
  for (const transport of TRANSPORTS) {
    options.progress(`idle round trips: ${transport}`);
    const both = { ...options, certificates };
    idle.push(...(await idleRoundTrips(lab, [gateway, ocserv], transport, both)));
  }
  options.progress("TLS handshakes");
  const shaken = await handshakes(lab, [gateway, ocserv], certificates, options.scale);
  options.progress("many sessions");
  const many = await manySessions(lab, [gateway, ocserv], certificates, options.scale);
  const { figures, notes } = report(rounds.get("gateway") ?? [], rounds.get("ocserv") ?? []);
  return { figures: [...figures, ...idle, ...shaken, ...many], notes };
}

async function measureSide(
  lab: Lab,
  side: Side,
  certificates: TlsCertificates,
  options: BenchOptions,
): Promise<Round> {
  const cells = new Map<string, Sample>();
  const smallPackets = new Map<string, SmallPackets>();
  const seconds = Math.max(1, Math.round(TRANSFER_SECONDS * options.scale));
  for (const transport of TRANSPORTS) {
    const { folder } = options;
    await using client = await connectTo(lab, side, transport, { folder, certificates });
    if (transport === "dtls") await client.until(/Established DTLS connection/);
    for (const cell of CELLS.filter((one) => one.transport === transport)) {
      cells.set(nameOf(cell), await measureCell(lab, side, client, { ...cell, seconds }));
    }
    for (const direction of DIRECTIONS) {
      const small = { payload: SMALL_PAYLOAD, perSecond: SMALL_PER_SECOND };
      const cpu = treeCpuSeconds(side.pid);
      const run = await packets(lab, { direction, ...small, seconds });
      smallPackets.set(`${transport} ${direction}`, {
        perSecond: run.received / run.seconds,
        cpuSecondsPerMillion: ((treeCpuSeconds(side.pid) - cpu) * 1e6) / run.received,
      });
    }
  }
  return { cells, smallPackets };
}

async function measureCell(
  lab: Lab,
  side: Side,
  client: OpenconnectClient,
  cell: Cell & { readonly seconds: number },
): Promise<Sample> {
  const clientPid = client.process.pid ?? 0;
  const [before, clientBefore] = [treeCpuSeconds(side.pid), treeCpuSeconds(clientPid)];
  const isPinged = cell.streams === LOADING_STREAMS;
  const [moved, roundTrips] = await Promise.all([
    transfer(lab, cell),
    isPinged ? roundTripsMs(lab, cell.seconds) : [],
  ]);
  const cpu = treeCpuSeconds(side.pid) - before;
  const clientCpu = treeCpuSeconds(clientPid) - clientBefore;
  return {
    cpuSecondsPerGb: cpu / (moved.bytes / GIGABYTE),
    bytesPerSecond: moved.bytes / moved.seconds,
    retransmitsPerGb: moved.retransmits / (moved.bytes / GIGABYTE),
    roundTripP50Ms: quantile(roundTrips, 0.5),
    roundTripP99Ms: quantile(roundTrips, 0.99),
    clientCores: clientCpu / moved.seconds,
  };
}

function report(gateway: readonly Round[], ocserv: readonly Round[]): BenchOutcome {
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
    figures.push(
      figure(`${name}: throughput`, "x", pairs(gateway, ocserv, cell, "bytesPerSecond")),
    );
    const gigabits = (rounds: readonly Round[]) =>
      of(rounds, cell, "bytesPerSecond").map((rate) => (rate * 8) / 1e9);
    figures.push(figure(`${name}: throughput, gateway`, "Gbit/s", gigabits(gateway)));
    figures.push(figure(`${name}: throughput, ocserv`, "Gbit/s", gigabits(ocserv)));
    figures.push(...retransmitFigures(gateway, ocserv, cell));
    if (cell.streams === LOADING_STREAMS) figures.push(...roundTripFigures(gateway, ocserv, cell));
    if (of(gateway, cell, "clientCores").every((cores) => cores >= FULL_CORE)) {
      notes.push(`${name}: the client's own core was full, so throughput is not judged`);
    }
  }
  figures.push(...TRANSPORTS.flatMap((transport) => transportFigures(gateway, ocserv, transport)));
  return { figures, notes };
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

function nameOf({ transport, direction, streams }: Cell): string {
  return `${transport} ${direction} ${streams}`;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
