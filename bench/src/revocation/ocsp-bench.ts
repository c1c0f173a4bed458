import { join } from "node:path";
import type { Bench, BenchOptions, BenchOutcome } from "../bench.ts";
import { type Figure, figure } from "../figure.ts";
import { interleave } from "../measure/interleave.ts";
import { treeCpuSeconds } from "../measure/process-tree.ts";
import { quantile, ratios } from "../measure/statistics.ts";
import { startOpensslOcsp } from "../peers/openssl-ocsp.ts";
import { type KeyCosts, measureKeyCosts } from "../peers/openssl-speed.ts";
import { type Program, startProgram } from "../process/program.ts";
import { startCertConnector } from "../scep/cert-connector.ts";
import { issuingCertificate } from "./authority-files.ts";
import type { OcspLoadProgram } from "./ocsp-load.ts";

/** Questions of a round and of the warm-up, and certificates in the ledger. */
const QUESTIONS = 20_000;
const PEER_QUESTIONS = 4_000;
const WARM_UP_QUESTIONS = 5_000;
const ENTRIES = 100_000;
const CONCURRENCY = 64;

const NONE = { atMost: 0 };

interface Side {
  readonly name: "signed" | "kept" | "openssl ocsp";
  readonly pid: number;
  readonly url: string;
  readonly issuerDer: Uint8Array;
  readonly serialNumbers: readonly string[];
  /** With one, each answer is signed for its question alone. */
  readonly withNonce: boolean;
  readonly questions: number;
  readonly concurrency: number;
}

interface Sample {
  readonly cpuMs: number;
  readonly perSecond: number;
  readonly p99Ms: number;
  readonly failures: number;
  readonly first: string | undefined;
}

/** OCSP answers of cert-connector against the cost of a signature, and openssl's responder beside. */
export const ocspBench: Bench = {
  name: "ocsp",
  summary:
    "CPU per OCSP answer, signed afresh and kept, against a signature and against openssl ocsp",
  defaultRuns: 5,
  run,
};

async function run(options: BenchOptions): Promise<BenchOutcome> {
  await using load = await startProgram<OcspLoadProgram>(
    new URL("./ocsp-load.ts", import.meta.url),
  );
  await using stack = new AsyncDisposableStack();
  const sides = await startSides(options, stack);
  for (const side of sides) {
    options.progress(`warm-up, ${side.name}`);
    await ask(side, load, scaled(Math.min(side.questions, WARM_UP_QUESTIONS), options));
  }
  const samples = await interleave<Sample | KeyCosts>(options.runs, [
    { name: "floor", run: measureKeyCosts },
    ...sides.map((side) => ({
      name: side.name,
      run: (round: number) => {
        options.progress(`round ${round + 1}, ${side.name}`);
        return ask(side, load, scaled(side.questions, options));
      },
    })),
  ]);
  const of = (name: Side["name"]) => (samples.get(name) ?? []) as Sample[];
  const floors = ((samples.get("floor") ?? []) as KeyCosts[]).map(({ ecSignMs }) => ecSignMs);
  const first = sides.flatMap(({ name }) => of(name).flatMap((sample) => sample.first ?? []))[0];
  return {
    figures: [
      ...figures("signed", of("signed"), floors),
      ...figures("kept", of("kept"), floors),
      figure("kept against signed: CPU", "x", ratios(cpu(of("kept")), cpu(of("signed")))),
      figure(
        "signed against openssl ocsp: CPU",
        "x",
        ratios(cpu(of("signed")), cpu(of("openssl ocsp"))),
      ),
      ...figures("openssl ocsp", of("openssl ocsp"), floors),
      figure("floor: one ECDSA P-256 signature", "CPU-ms", floors),
    ],
    notes: [...NOTES, ...(first === undefined ? [] : [`first failure: ${first}`])],
  };
}

const NOTES = [
  `concurrency ${CONCURRENCY}, a ledger of ${ENTRIES} certificates; openssl is asked by one client, and its index holds the 1,000 that are asked for`,
  "signed: each question has a nonce; kept: none has, and an answer is signed once for all who ask meanwhile",
];

async function startSides(options: BenchOptions, stack: AsyncDisposableStack): Promise<Side[]> {
  options.progress(`filling a ledger with ${scaled(ENTRIES, options)} certificates`);
  const folder = join(options.folder, "connector");
  const filling = { entries: scaled(ENTRIES, options), revoked: 0 };
  const connector = stack.use(await startCertConnector(folder, "ec-p256", filling));
  const { certificate, keyId } = issuingCertificate(folder);
  const own = {
    pid: connector.pid,
    url: `${connector.origin}/ocsp/${keyId}`,
    issuerDer: certificate.der,
    serialNumbers: connector.knownSerials,
    questions: QUESTIONS,
    concurrency: CONCURRENCY,
  };
  const { knownSerials } = connector;
  const peer = stack.use(await startOpensslOcsp(join(options.folder, "openssl"), knownSerials));
  return [
    { name: "signed", ...own, withNonce: true },
    { name: "kept", ...own, withNonce: false },
    {
      name: "openssl ocsp",
      pid: peer.process.pid,
      url: peer.url.href,
      issuerDer: peer.issuer,
      serialNumbers: knownSerials,
      withNonce: true,
      questions: PEER_QUESTIONS,
      // It serves one connection after the other.
      concurrency: 1,
    },
  ];
}

async function ask(side: Side, load: Program<OcspLoadProgram>, count: number): Promise<Sample> {
  const { issuerDer, serialNumbers, withNonce, url, pid } = side;
  await load.ask("prepare", { issuerDer, serialNumbers, count, withNonce });
  const before = treeCpuSeconds(pid);
  const { seconds, latenciesMs } = await load.ask("fire", { url, concurrency: side.concurrency });
  const cpuSeconds = treeCpuSeconds(pid) - before;
  const { failures, first } = await load.ask("check", undefined);
  return {
    cpuMs: (cpuSeconds * 1_000) / count,
    perSecond: count / seconds,
    p99Ms: quantile(latenciesMs, 0.99),
    failures,
    first: first === undefined ? undefined : `${side.name}: ${first}`,
  };
}

function figures(
  name: Side["name"],
  samples: readonly Sample[],
  floors: readonly number[],
): Figure[] {
  const failures = samples.reduce((sum, sample) => sum + sample.failures, 0);
  return [
    figure(`${name}: CPU against the floor`, "x", ratios(cpu(samples), floors)),
    figure(`${name}: CPU per answer`, "CPU-ms", cpu(samples)),
    figure(
      `${name}: throughput`,
      "/s",
      samples.map(({ perSecond }) => perSecond),
    ),
    figure(
      `${name}: latency p99`,
      "ms",
      samples.map(({ p99Ms }) => p99Ms),
    ),
    name === "openssl ocsp"
      ? figure(`${name}: failures`, "", failures)
      : figure(`${name}: failures`, "", failures, NONE),
  ];
}

function cpu(samples: readonly Sample[]): number[] {
  return samples.map(({ cpuMs }) => cpuMs);
}

function scaled(count: number, { scale }: BenchOptions): number {
  return Math.max(CONCURRENCY, Math.round(count * scale));
}
