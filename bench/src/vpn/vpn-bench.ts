import { join } from "node:path";
import { Lab, labObstacle } from "../../../test/vpn-lab/namespaces.ts";
import type { OpenconnectClient } from "../../../test/vpn-lab/openconnect.ts";
import type { Bench, BenchOptions, BenchOutcome } from "../bench.ts";
import { type Figure, figure } from "../figure.ts";
import { makeTlsCertificates, type TlsCertificates } from "../fixtures/tls-certificates.ts";
import { interleave } from "../measure/interleave.ts";
import { treeCpuSeconds } from "../measure/process-tree.ts";
import { ratios } from "../measure/statistics.ts";
import { neededTool } from "../peers/tool.ts";
import { handshakes } from "./handshakes.ts";
import { type Direction, startIperfServer, transfer } from "./iperf.ts";
import { manySessions } from "./many-sessions.ts";
import { idleRoundTripUs } from "./round-trip.ts";
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
const IDLE_RTT_BUDGET_US = { atMost: 50 };

interface Cell {
  readonly transport: Transport;
  readonly direction: Direction;
  readonly streams: number;
}

/** What one transfer cost and gave. */
interface Sample {
  readonly cpuSecondsPerGb: number;
  readonly bytesPerSecond: number;
  readonly retransmits: number;
  /** Cores that the client kept busy. */
  readonly clientCores: number;
}

interface Round {
  readonly cells: ReadonlyMap<string, Sample>;
  readonly idleRttUs: Readonly<Record<Transport, number>>;
}

const TRANSPORTS: readonly Transport[] = ["tls", "dtls"];
const CELLS: readonly Cell[] = TRANSPORTS.flatMap((transport) =>
  (["up", "down"] as const).flatMap((direction) =>
    [1, 4].map((streams) => ({ transport, direction, streams })),
  ),
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
  options.progress("TLS handshakes");
  const shaken = await handshakes(lab, [gateway, ocserv], certificates, options.scale);
  options.progress("many sessions");
  const many = await manySessions(lab, [gateway, ocserv], certificates, options.scale);
  const { figures, notes } = report(rounds.get("gateway") ?? [], rounds.get("ocserv") ?? []);
  return { figures: [...figures, ...shaken, ...many], notes };
}

async function measureSide(
  lab: Lab,
  side: Side,
  certificates: TlsCertificates,
  options: BenchOptions,
): Promise<Round> {
  const cells = new Map<string, Sample>();
  const idle = { tls: Number.NaN, dtls: Number.NaN };
  const seconds = Math.max(1, Math.round(TRANSFER_SECONDS * options.scale));
  for (const transport of TRANSPORTS) {
    const { folder } = options;
    await using client = await connectTo(lab, side, transport, { folder, certificates });
    if (transport === "dtls") await client.until(/Established DTLS connection/);
    idle[transport] = await idleRoundTripUs(lab);
    for (const cell of CELLS.filter((one) => one.transport === transport)) {
      cells.set(nameOf(cell), await measureCell(lab, side, client, { ...cell, seconds }));
    }
  }
  return { cells, idleRttUs: idle };
}

async function measureCell(
  lab: Lab,
  side: Side,
  client: OpenconnectClient,
  cell: Cell & { readonly seconds: number },
): Promise<Sample> {
  const clientPid = client.process.pid ?? 0;
  const [before, clientBefore] = [treeCpuSeconds(side.pid), treeCpuSeconds(clientPid)];
  const moved = await transfer(lab, cell);
  const cpu = treeCpuSeconds(side.pid) - before;
  const clientCpu = treeCpuSeconds(clientPid) - clientBefore;
  return {
    cpuSecondsPerGb: cpu / (moved.bytes / GIGABYTE),
    bytesPerSecond: moved.bytes / moved.seconds,
    retransmits: moved.retransmits,
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
    figures.push(figure(`${name}: retransmits, gateway`, "", of(gateway, cell, "retransmits")));
    figures.push(figure(`${name}: retransmits, ocserv`, "", of(ocserv, cell, "retransmits")));
    if (of(gateway, cell, "clientCores").every((cores) => cores >= FULL_CORE)) {
      notes.push(`${name}: the client's own core was full, so throughput is not judged`);
    }
  }
  for (const transport of TRANSPORTS) {
    const added = gateway.map(
      (round, index) =>
        round.idleRttUs[transport] - (ocserv[index]?.idleRttUs[transport] ?? Number.NaN),
    );
    figures.push(
      figure(`${transport}: idle round trip beyond ocserv's`, "us", added, IDLE_RTT_BUDGET_US),
    );
    const own = gateway.map((round) => round.idleRttUs[transport]);
    figures.push(figure(`${transport}: idle round trip, gateway`, "us", own));
  }
  return { figures, notes };
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
