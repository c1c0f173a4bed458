import type { Lab } from "../../../test/vpn-lab/namespaces.ts";
import type { OpenconnectClient } from "../../../test/vpn-lab/openconnect.ts";
import type { BenchOptions } from "../bench.ts";
import type { TlsCertificates } from "../fixtures/tls-certificates.ts";
import { treeCpuSeconds } from "../measure/process-tree.ts";
import { quantile } from "../measure/statistics.ts";
import { coreSeconds } from "./core-seconds.ts";
import { type Direction, packets, transfer } from "./iperf.ts";
import { roundTripsMs } from "./round-trip.ts";
import { connectTo, type Side, type Transport } from "./sides.ts";
import { lastLines } from "./turn.ts";

/** Seconds of each transfer. */
const TRANSFER_SECONDS = 5;
const GIGABYTE = 1e9;
/** Beside so many streams round trips are measured. */
export const LOADING_STREAMS = 4;
export const SMALL_PAYLOAD = 64;
const SMALL_PER_SECOND = 50_000;
export const DIRECTIONS: readonly Direction[] = ["up", "down"];

export interface Cell {
  readonly transport: Transport;
  readonly direction: Direction;
  readonly streams: number;
}

/** What one transfer cost and gave. */
export interface Sample {
  readonly cpuSecondsPerGb: number;
  readonly bytesPerSecond: number;
  readonly retransmitsPerGb: number;
  /** Of pings beside the transfer; NaN where there were none. */
  readonly roundTripP50Ms: number;
  readonly roundTripP99Ms: number;
  /** Share of the time in which the client ran, and in which it could have run and had to wait for a core. */
  readonly clientRunning: number;
  readonly clientWaiting: number;
}

/** UDP packets of 64 octets that arrived, and what the server spent on them. */
export interface SmallPackets {
  readonly perSecond: number;
  readonly cpuSecondsPerMillion: number;
}

/** What one side does before the other has its turn: short, as machines change their speed within minutes. */
export interface Part {
  readonly transport: Transport;
  readonly direction: Direction;
}

/** What one side did in a round, or in a part of it. */
export interface Round {
  readonly cells: ReadonlyMap<string, Sample>;
  /** By transport and direction. */
  readonly smallPackets: ReadonlyMap<string, SmallPackets>;
}

export const TRANSPORTS: readonly Transport[] = ["tls", "dtls"];
export const CELLS: readonly Cell[] = TRANSPORTS.flatMap((transport) =>
  DIRECTIONS.flatMap((direction) => [1, 4].map((streams) => ({ transport, direction, streams }))),
);

export const PARTS: readonly Part[] = TRANSPORTS.flatMap((transport) =>
  DIRECTIONS.map((direction) => ({ transport, direction })),
);

/** The cells of a part, and small packets, through one side; throws with what its client said last. */
export async function measurePart(
  lab: Lab,
  side: Side,
  { transport, direction }: Part,
  options: BenchOptions & { readonly certificates: TlsCertificates },
): Promise<Round> {
  const cells = new Map<string, Sample>();
  const seconds = Math.max(1, Math.round(TRANSFER_SECONDS * options.scale));
  await using client = await connectTo(lab, side, transport, options);
  try {
    if (transport === "dtls") await client.until(/Established DTLS connection/);
    for (const cell of CELLS) {
      if (cell.transport !== transport || cell.direction !== direction) continue;
      cells.set(nameOf(cell), await measureCell(lab, side, client, { ...cell, seconds }));
    }
    const small = await measureSmallPackets(lab, side, direction, seconds);
    return { cells, smallPackets: new Map([[`${transport} ${direction}`, small]]) };
  } catch (cause) {
    throw new Error(`over ${transport}; the client:\n${lastLines(client.output())}`, { cause });
  }
}

export function wholeRound(parts: readonly Round[]): Round {
  return {
    cells: new Map(parts.flatMap(({ cells }) => [...cells])),
    smallPackets: new Map(parts.flatMap(({ smallPackets }) => [...smallPackets])),
  };
}

async function measureCell(
  lab: Lab,
  side: Side,
  openconnect: OpenconnectClient,
  cell: Cell & { readonly seconds: number },
): Promise<Sample> {
  const clientPid = openconnect.process.pid ?? 0;
  const [before, clientBefore] = [treeCpuSeconds(side.pid), coreSeconds(clientPid)];
  const isPinged = cell.streams === LOADING_STREAMS;
  const [moved, roundTrips] = await Promise.all([
    transfer(lab, cell),
    isPinged ? roundTripsMs(lab, cell.seconds) : [],
  ]);
  const cpu = treeCpuSeconds(side.pid) - before;
  const client = coreSeconds(clientPid);
  return {
    cpuSecondsPerGb: cpu / (moved.bytes / GIGABYTE),
    bytesPerSecond: moved.bytes / moved.seconds,
    retransmitsPerGb: moved.retransmits / (moved.bytes / GIGABYTE),
    roundTripP50Ms: quantile(roundTrips, 0.5),
    roundTripP99Ms: quantile(roundTrips, 0.99),
    clientRunning: (client.running - clientBefore.running) / moved.seconds,
    clientWaiting: (client.waiting - clientBefore.waiting) / moved.seconds,
  };
}

async function measureSmallPackets(
  lab: Lab,
  side: Side,
  direction: Direction,
  seconds: number,
): Promise<SmallPackets> {
  const before = treeCpuSeconds(side.pid);
  const small = { payload: SMALL_PAYLOAD, perSecond: SMALL_PER_SECOND };
  const run = await packets(lab, { direction, ...small, seconds });
  return {
    perSecond: run.received / run.seconds,
    cpuSecondsPerMillion: ((treeCpuSeconds(side.pid) - before) * 1e6) / run.received,
  };
}

export function nameOf({ transport, direction, streams }: Cell): string {
  return `${transport} ${direction} ${streams}`;
}
