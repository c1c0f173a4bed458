import { join } from "node:path";
import type { Bench, BenchOptions, BenchOutcome } from "../bench.ts";
import { type Budget, type Figure, figure } from "../figure.ts";
import { makeTlsCertificates, type TlsCertificates } from "../fixtures/tls-certificates.ts";
import { interleave } from "../measure/interleave.ts";
import { treeCpuSeconds } from "../measure/process-tree.ts";
import { ratios } from "../measure/statistics.ts";
import { startNginx } from "../peers/nginx.ts";
import { type Program, startProgram } from "../process/program.ts";
import type { ByteServerProgram } from "./byte-server.ts";
import { startGateway } from "./gateway.ts";
import { idleFigures } from "./idle-tunnels.ts";
import type { StreamKind } from "./stream-order.ts";
import type { Way } from "./tunnel-client.ts";
import type { TunnelLoadProgram } from "./tunnel-load.ts";

/** Octets of a measured transfer, over all its streams, and of the one before it that warms both sides up. */
const TRANSFER_BYTES = 1_000_000_000;
const WARM_UP_BYTES = 200_000_000;
const GIGABYTE = 1e9;
const MEGABYTE = 1e6;

/** Budgets: bench/README.md, relay against nginx stream + TLS. */
const CPU_BUDGET = { atMost: 1.5 };
const HTTP2_CPU_BUDGET = { atMost: 1.8 };

const CELLS: readonly Cell[] = (["download", "upload"] as const).flatMap((kind) =>
  [1, 4].map((streams) => ({ kind, streams })),
);

interface Cell {
  readonly kind: StreamKind;
  readonly streams: number;
}

/** A proxy under measurement and the way through it. */
export interface Side {
  readonly name: "gateway" | "http2" | "nginx";
  readonly pid: number;
  readonly way: Way;
}

interface Sample {
  readonly cpuSecondsPerGb: number;
  readonly megabytesPerSecond: number;
  readonly loadCpuSecondsPerGb: number;
}

/** The tunnel gateway's HTTP/1.1 CONNECT with mutual TLS against nginx stream with mutual TLS. */
export const relayBench: Bench = {
  name: "relay",
  summary: "CPU per GB, throughput and idle memory of the relay against nginx stream + TLS",
  defaultRuns: 5,
  run,
};

async function run(options: BenchOptions): Promise<BenchOutcome> {
  const certificates = await makeTlsCertificates(options.folder);
  await using server = await startProgram<ByteServerProgram>(
    new URL("./byte-server.ts", import.meta.url),
  );
  await using load = await startProgram<TunnelLoadProgram>(
    new URL("./tunnel-load.ts", import.meta.url),
  );
  const port = await server.ask("listen", null);
  await using sides = await startSides(options, certificates, port);
  const figures: Figure[] = [];
  for (const side of sides.all) {
    for (const cell of CELLS) await transfer(side, load, cell, WARM_UP_BYTES * options.scale);
  }
  for (const cell of CELLS) {
    options.progress(`${cell.kind}, ${cell.streams} streams`);
    figures.push(...(await measureCell(options, sides.all, load, cell)));
  }
  figures.unshift(...meansOf(figures));
  options.progress("idle tunnels");
  const ofConnections = sides.all.filter(({ name }) => name !== "http2");
  figures.push(...(await idleFigures(ofConnections, load, options.scale)));
  return { figures, notes: NOTES };
}

const NOTES = [
  "CPU is that of the proxy's processes alone; load generator and byte server have processes of their own",
  "all sides share the machine's cores, so the throughput of one stream is bounded by the slowest of the four",
];

/** The gateway, and nginx with the same key, certificate and client CA, before the same byte server. */
async function startSides(
  options: BenchOptions,
  certificates: TlsCertificates,
  upstreamPort: number,
): Promise<AsyncDisposable & { readonly all: readonly Side[] }> {
  await using stack = new AsyncDisposableStack();
  const gateway = stack.use(await startGateway(join(options.folder, "gateway"), certificates));
  const nginx = stack.use(
    await startNginx({
      folder: join(options.folder, "nginx"),
      ...certificates.server,
      clientCaFile: certificates.caFile,
      upstreamPort,
    }),
  );
  const target = `127.0.0.1:${upstreamPort}`;
  const all: readonly Side[] = [
    { name: "gateway", pid: gateway.pid, way: { port: gateway.port, certificates, target } },
    {
      name: "http2",
      pid: gateway.pid,
      way: { port: gateway.port, certificates, target, isHttp2: true },
    },
    { name: "nginx", pid: nginx.process.pid, way: { port: nginx.port, certificates } },
  ];
  const owned = stack.move();
  return { all, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function measureCell(
  options: BenchOptions,
  sides: readonly Side[],
  load: Program<TunnelLoadProgram>,
  cell: Cell,
): Promise<Figure[]> {
  const bytes = TRANSFER_BYTES * options.scale;
  const samples = await interleave(
    options.runs,
    sides.map((side) => ({ name: side.name, run: () => transfer(side, load, cell, bytes) })),
  );
  const of = (name: Side["name"], key: keyof Sample) =>
    (samples.get(name) ?? []).map((sample) => sample[key]);
  const title = `${cell.kind} x${cell.streams}`;
  const [cpu, speed] = ["cpuSecondsPerGb", "megabytesPerSecond"] as const;
  const against = (name: Side["name"], key: keyof Sample) =>
    ratios(of(name, key), of("nginx", key));
  return [
    figure(`${title}: CPU against nginx`, "x", against("gateway", cpu), CPU_BUDGET),
    figure(`${title}: CPU, gateway`, "CPU-s/GB", of("gateway", cpu)),
    figure(`${title}: CPU, nginx`, "CPU-s/GB", of("nginx", cpu)),
    figure(`${title}: throughput against nginx`, "x", against("gateway", speed)),
    figure(`${title}: throughput, gateway`, "MB/s", of("gateway", speed)),
    figure(`${title}: throughput, nginx`, "MB/s", of("nginx", speed)),
    figure(`${title}, HTTP/2: CPU against nginx`, "x", against("http2", cpu), HTTP2_CPU_BUDGET),
    figure(`${title}, HTTP/2: CPU, gateway`, "CPU-s/GB", of("http2", cpu)),
    figure(`${title}, HTTP/2: throughput against nginx`, "x", against("http2", speed)),
    figure(`${title}, HTTP/2: throughput, gateway`, "MB/s", of("http2", speed)),
    figure(`${title}: load generator`, "CPU-s/GB", of("gateway", "loadCpuSecondsPerGb")),
  ];
}

/** Tunnels are opened before the clock starts: what a handshake costs is another figure. */
async function transfer(
  side: Side,
  load: Program<TunnelLoadProgram>,
  { kind, streams }: Cell,
  bytes: number,
): Promise<Sample> {
  await load.ask("open", { way: side.way, count: streams });
  const before = { side: treeCpuSeconds(side.pid), load: treeCpuSeconds(load.pid) };
  const share = Math.ceil(bytes / streams);
  const seconds = await load.ask("transfer", { kind, bytes: share });
  const moved = share * streams;
  const perGb = (cpuSeconds: number) => (cpuSeconds / moved) * GIGABYTE;
  return {
    cpuSecondsPerGb: perGb(treeCpuSeconds(side.pid) - before.side),
    megabytesPerSecond: moved / MEGABYTE / seconds,
    loadCpuSecondsPerGb: perGb(treeCpuSeconds(load.pid) - before.load),
  };
}

/** The means over the cells of each round, so that no cell hides behind another's weight. */
function meansOf(figures: readonly Figure[]): Figure[] {
  return [
    meanOf(figures, CPU_BUDGET, "CPU per GB against nginx, mean of all"),
    meanOf(figures, HTTP2_CPU_BUDGET, "HTTP/2: CPU per GB against nginx, mean of all"),
  ];
}

function meanOf(figures: readonly Figure[], budget: Budget, title: string): Figure {
  const cells = figures.filter((one) => one.budget === budget).map(({ samples }) => samples);
  const rounds = cells[0]?.length ?? 0;
  const means = Array.from({ length: rounds }, (_, round) =>
    mean(cells.map((samples) => samples[round] ?? Number.NaN)),
  );
  return figure(title, "x", means, budget);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
