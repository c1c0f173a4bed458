import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Bench, BenchOutcome } from "./bench.ts";
import { help, parseCommandLine, type Request } from "./command-line.ts";
import { linkBench } from "./link/link-bench.ts";
import { describeMachine } from "./machine.ts";
import { killChildren } from "./process/children.ts";
import { relayBench } from "./relay/relay-bench.ts";
import { asJson, asText, type BenchReport, missedBudgets } from "./report.ts";
import { crlBench } from "./revocation/crl-bench.ts";
import { ocspBench } from "./revocation/ocsp-bench.ts";
import { scepBench } from "./scep/scep-bench.ts";
import { startBench } from "./start/start-bench.ts";
import { syncChangeBench, syncFleetBench, syncManyBench } from "./sync/sync-bench.ts";
import { vpnBench } from "./vpn/vpn-bench.ts";

const BENCHES: readonly Bench[] = [
  scepBench,
  ocspBench,
  crlBench,
  relayBench,
  vpnBench,
  syncFleetBench,
  syncChangeBench,
  syncManyBench,
  linkBench,
  startBench,
];

const EXIT = { ok: 0, missed: 1, usage: 2, stopped: 130 } as const;

/** Where the bench under way keeps its files. */
let folder: string | undefined;

process.once("SIGINT", stop);
process.once("SIGTERM", stop);
process.exitCode = await main(process.argv.slice(2));

async function main(words: readonly string[]): Promise<number> {
  const request = parseCommandLine(words, BENCHES);
  if (request.kind === "help") {
    process.stdout.write(help(BENCHES));
    return EXIT.ok;
  }
  if (request.kind === "fault") {
    process.stderr.write(`${request.message}\n\n${help(BENCHES)}`);
    return EXIT.usage;
  }
  return await measure(request);
}

async function measure(request: Request & { kind: "run" }): Promise<number> {
  const machine = describeMachine();
  const reports: BenchReport[] = [];
  for (const bench of request.benches) reports.push(await runOne(bench, request));
  const text = request.isJson ? asJson(machine, reports) : asText(machine, reports);
  process.stdout.write(`${text}\n`);
  const missed = missedBudgets(reports);
  for (const line of missed) process.stderr.write(`missed: ${line}\n`);
  const hasFailed = reports.some(({ outcome }) => "error" in outcome);
  return hasFailed || (request.isAsserted && missed.length > 0) ? EXIT.missed : EXIT.ok;
}

async function runOne(bench: Bench, request: Request & { kind: "run" }): Promise<BenchReport> {
  const started = performance.now();
  const outcome = await attempt(bench, request);
  return {
    bench: bench.name,
    seconds: (performance.now() - started) / 1000,
    isJudged: request.scale >= 1,
    outcome,
  };
}

async function attempt(
  bench: Bench,
  request: Request & { kind: "run" },
): Promise<BenchOutcome | { error: string }> {
  folder = mkdtempSync(join(tmpdir(), `isthmus-bench-${bench.name}-`));
  const progress = (line: string) => void process.stderr.write(`${bench.name}: ${line}\n`);
  try {
    const runs = request.runs ?? bench.defaultRuns;
    return await bench.run({ runs, scale: request.scale, folder, progress });
  } catch (error) {
    if (error instanceof Error) progress(error.stack ?? error.message);
    return { error: error instanceof Error ? error.message : String(error) };
  } finally {
    removeFolder();
  }
}

function removeFolder(): void {
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  folder = undefined;
}

/** A bench that is stopped half-way leaves neither services nor files behind. */
function stop(): void {
  killChildren();
  removeFolder();
  process.exit(EXIT.stopped);
}
