import type { Bench, BenchOptions, BenchOutcome } from "../bench.ts";
import { type Figure, figure } from "../figure.ts";
import { interleave } from "../measure/interleave.ts";
import { treeCpuSeconds } from "../measure/process-tree.ts";
import { quantile, ratios } from "../measure/statistics.ts";
import { type KeyCosts, measureKeyCosts } from "../peers/openssl-speed.ts";
import { type Program, startProgram } from "../process/program.ts";
import { CONCURRENCY, scaled } from "./load-size.ts";
import type { ScepLoadProgram } from "./scep-load.ts";
import { type Side, startSides } from "./sides.ts";

const WARM_UP_ENROLMENTS = 1_500;

/** Budgets: bench/README.md. */
const CPU_BUDGET = { atMost: 2 };
const LATENCY_BUDGET = { atMost: 200 };
/** "Flat": what an enrolment costs beside a million others, by what it costs beside none. */
const FLAT_BUDGET = { atMost: 1.1 };
const NONE = { atMost: 0 };

interface Sample {
  /** CPU-ms of one enrolment. */
  readonly cpuMs: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly failures: readonly string[];
  readonly repeatedSerials: number;
}

/** SCEP enrolments at cert-connector against the RSA floor, with step-ca and Debian's scepserver beside. */
export const scepBench: Bench = {
  name: "scep",
  summary: "CPU per SCEP enrolment against the RSA floor of openssl speed, step-ca and scepserver",
  defaultRuns: 5,
  run,
};

async function run(options: BenchOptions): Promise<BenchOutcome> {
  await using load = await startProgram<ScepLoadProgram>(
    new URL("./scep-load.ts", import.meta.url),
  );
  await using sides = await startSides(options);
  const serials = new Map<string, Set<string>>(sides.all.map(({ name }) => [name, new Set()]));
  for (const side of sides.all) {
    options.progress(`warm-up, ${side.name}`);
    await enrol(side, load, scaled(WARM_UP_ENROLMENTS, options), "warm", serials);
  }
  const samples = await interleave<Sample | KeyCosts>(options.runs, [
    { name: "floor", run: measureKeyCosts },
    ...sides.all.map((side) => ({
      name: side.name,
      run: (round: number) => {
        options.progress(`round ${round + 1}, ${side.name}`);
        return enrol(side, load, side.enrolments, `round${round}`, serials);
      },
    })),
  ]);
  const of = (name: Side["name"]) => (samples.get(name) ?? []) as Sample[];
  const floors = (samples.get("floor") ?? []) as KeyCosts[];
  return {
    figures: [
      ...connectorFigures("RSA CA", of("RSA CA"), floors.map(rsaFloorMs)),
      ...connectorFigures("EC CA", of("EC CA"), floors.map(ecFloorMs)),
      ...flatFigures(of("RSA CA"), of("full ledger")),
      ...peerFigures("step-ca", of("RSA CA"), of("step-ca")),
      ...peerFigures("scepserver", of("RSA CA"), of("scepserver")),
    ],
    notes: [...NOTES, ...firstFailures(sides.all, of), ...sides.notes],
  };
}

const NOTES = [
  `concurrency ${CONCURRENCY}; the load generator shares the machine's cores, so throughput and latency are lower bounds`,
  "floor: 3 private and 3 public RSA-2048 operations; with the EC CA 2 private, 3 public and an ECDSA P-256 signature",
];

/** Decrypting the envelope, signing the certificate and the answer; verifying message and CSR, sealing the answer. */
function rsaFloorMs({ rsaPrivateMs, rsaPublicMs }: KeyCosts): number {
  return 3 * rsaPrivateMs + 3 * rsaPublicMs;
}

function ecFloorMs({ rsaPrivateMs, rsaPublicMs, ecSignMs }: KeyCosts): number {
  return 2 * rsaPrivateMs + 3 * rsaPublicMs + ecSignMs;
}

async function enrol(
  side: Side,
  load: Program<ScepLoadProgram>,
  count: number,
  prefix: string,
  serials: ReadonlyMap<string, Set<string>>,
): Promise<Sample> {
  const names = Array.from({ length: count }, (_, index) => `${prefix}-device-${index}`);
  const { url, mayEchoNonce } = side;
  await load.ask("prepare", { url, mayEchoNonce, enrollees: await side.enrollees(names) });
  const before = treeCpuSeconds(side.pid);
  const { seconds, latenciesMs } = await load.ask("fire", { concurrency: CONCURRENCY });
  const cpuSeconds = treeCpuSeconds(side.pid) - before;
  const { serialNumbers, failures } = await load.ask("check", undefined);
  const seen = serials.get(side.name) ?? new Set();
  const distinctBefore = seen.size;
  for (const serial of serialNumbers) seen.add(serial);
  return {
    cpuMs: (cpuSeconds * 1000) / count,
    perSecond: count / seconds,
    p50Ms: quantile(latenciesMs, 0.5),
    p99Ms: quantile(latenciesMs, 0.99),
    failures,
    repeatedSerials: serialNumbers.length - (seen.size - distinctBefore),
  };
}

function connectorFigures(
  name: Side["name"],
  samples: readonly Sample[],
  floorsMs: readonly number[],
): Figure[] {
  const cpu = samples.map(({ cpuMs }) => cpuMs);
  const budget = name === "RSA CA" ? CPU_BUDGET : undefined;
  return [
    figure(
      `${name}: CPU against ${name === "RSA CA" ? "the RSA" : "its"} floor`,
      "x",
      ratios(cpu, floorsMs),
      budget,
    ),
    figure(`${name}: CPU per enrolment`, "CPU-ms", cpu),
    figure(`${name}: floor`, "CPU-ms", floorsMs),
    ...speedFigures(name, samples),
    figure(`${name}: failures`, "", total(samples, failureCount), NONE),
    figure(`${name}: repeated serials`, "", total(samples, repeats), NONE),
  ];
}

function flatFigures(empty: readonly Sample[], full: readonly Sample[]): Figure[] {
  const cpu = (samples: readonly Sample[]) => samples.map(({ cpuMs }) => cpuMs);
  return [
    figure(
      "full ledger against an empty one: CPU",
      "x",
      ratios(cpu(full), cpu(empty)),
      FLAT_BUDGET,
    ),
    figure("full ledger: CPU per enrolment", "CPU-ms", cpu(full)),
    ...speedFigures("full ledger", full),
    figure("full ledger: failures", "", total(full, failureCount), NONE),
    figure("full ledger: repeated serials", "", total(full, repeats), NONE),
  ];
}

/** A round with step-ca counts where it issued every certificate, so that both have done the same work; scepserver never does. */
function peerFigures(
  name: Side["name"],
  own: readonly Sample[],
  peer: readonly Sample[],
): Figure[] {
  if (peer.length === 0) return [];
  const cpu = (samples: readonly Sample[]) => samples.map(({ cpuMs }) => cpuMs);
  const all = ratios(cpu(own), cpu(peer));
  const hasIssuedAll = peer.map(({ failures }) => failures.length === 0);
  const counting = all.filter((_, round) => name !== "step-ca" || hasIssuedAll[round]);
  return [
    figure(`RSA CA against ${name}: CPU`, "x", counting),
    figure(`${name}: CPU per enrolment`, "CPU-ms", cpu(peer)),
    ...speedFigures(name, peer),
    figure(`${name}: failures`, "", total(peer, failureCount)),
    figure(`${name}: repeated serials`, "", total(peer, repeats)),
  ];
}

function speedFigures(name: Side["name"], samples: readonly Sample[]): Figure[] {
  const hasLatencyBudget = name === "RSA CA" || name === "full ledger";
  const of = (key: "perSecond" | "p50Ms" | "p99Ms") => samples.map((sample) => sample[key]);
  return [
    figure(`${name}: throughput`, "/s", of("perSecond")),
    figure(`${name}: latency p50`, "ms", of("p50Ms")),
    figure(
      `${name}: latency p99`,
      "ms",
      of("p99Ms"),
      hasLatencyBudget ? LATENCY_BUDGET : undefined,
    ),
  ];
}

function firstFailures(sides: readonly Side[], of: (name: Side["name"]) => Sample[]): string[] {
  return sides.flatMap(({ name }) => {
    const [first] = of(name).flatMap(({ failures }) => failures);
    return first === undefined ? [] : [`first failure of ${name}: ${first}`];
  });
}

const failureCount = ({ failures }: Sample) => failures.length;
const repeats = ({ repeatedSerials }: Sample) => repeatedSerials;

function total(samples: readonly Sample[], count: (sample: Sample) => number): number {
  return samples.reduce((sum, sample) => sum + count(sample), 0);
}
