import { execFile } from "node:child_process";
import { generateKeyPairSync, sign } from "node:crypto";
import { join } from "node:path";
import { promisify } from "node:util";
import { parseCertificateList } from "@isthmus/shared/x509/certificate-list";
import type { Bench, BenchOptions, BenchOutcome } from "../bench.ts";
import { figure } from "../figure.ts";
import { interleave } from "../measure/interleave.ts";
import { treeCpuSeconds } from "../measure/process-tree.ts";
import { ratios } from "../measure/statistics.ts";
import { OpensslAuthority } from "../peers/openssl-authority.ts";
import { type Program, startProgram } from "../process/program.ts";
import { entryOf } from "../process/service.ts";
import { type MeasuredConnector, startCertConnector } from "../scep/cert-connector.ts";
import { issuingCertificate } from "./authority-files.ts";
import type { BareServerProgram } from "./bare-server.ts";
import type { DownloadProgram } from "./download-load.ts";

const runFile = promisify(execFile);

const REVOKED = 100_000;
const DOWNLOADS = 400;
const CONCURRENCY = 16;

/** The floor's repetitions, so that its time is above the resolution of the clock. */
const FLOOR_REPEATS = 10;

interface Publication {
  /** CPU-ms from the revocation to the list in force. */
  readonly cpuMs: number;
  /** From the command's start to its end: the list is in force by then. */
  readonly seconds: number;
  readonly entries: number;
}

interface Serving {
  readonly cpuMs: number;
  readonly megabytesPerSecond: number;
}

/** Making and serving a revocation list of 100,000 entries. */
export const crlBench: Bench = {
  name: "crl",
  summary:
    "a revocation list of 100,000 entries: making it against a signature and openssl, serving it",
  defaultRuns: 5,
  run,
};

async function run(options: BenchOptions): Promise<BenchOutcome> {
  const revoked = Math.max(1_000, Math.round(REVOKED * options.scale));
  await using stack = new AsyncDisposableStack();
  options.progress(`filling a ledger with ${revoked} revoked certificates`);
  const folder = join(options.folder, "connector");
  // Some that are not revoked yet are left over for the rounds.
  const filling = { entries: revoked + 1_000, revoked };
  const connector = stack.use(await startCertConnector(folder, "ec-p256", filling));
  const download = stack.use(
    await startProgram<DownloadProgram>(new URL("./download-load.ts", import.meta.url)),
  );
  const bare = stack.use(
    await startProgram<BareServerProgram>(new URL("./bare-server.ts", import.meta.url)),
  );
  const listUrl = `${connector.origin}/crl/${issuingCertificate(folder).keyId}.crl`;
  const list = Buffer.from(await (await fetch(listUrl)).arrayBuffer());
  const bareUrl = await bare.ask("serve", { body: list });
  const authority = await OpensslAuthority.make(join(options.folder, "openssl"), revoked);
  const unused = [...connector.knownSerials];
  await publish(connector, listUrl, unused);
  const samples = await interleave<unknown>(options.runs, [
    { name: "floor", run: async () => signatureMs(list) },
    { name: "made", run: () => publish(connector, listUrl, unused) },
    { name: "openssl", run: () => authority.listCpuMs() },
    { name: "served", run: () => serve(connector.pid, listUrl, download) },
    { name: "bare", run: () => serve(bare.pid, bareUrl, download) },
  ]);
  const of = <T>(name: string) => (samples.get(name) ?? []) as T[];
  const made = of<Publication>("made");
  const madeMs = made.map(({ cpuMs }) => cpuMs);
  const served = of<Serving>("served");
  return {
    figures: [
      figure("made: CPU against hashing and signing its bytes", "x", ratios(madeMs, of("floor"))),
      figure("made: CPU against openssl ca -gencrl", "x", ratios(madeMs, of("openssl"))),
      figure("made: CPU per list", "CPU-ms", madeMs),
      figure(
        "made: from the command to the list in force",
        "s",
        made.map(({ seconds }) => seconds),
      ),
      figure("openssl ca -gencrl: CPU per list", "CPU-ms", of("openssl")),
      figure("floor: hashing and signing its bytes", "CPU-ms", of("floor")),
      figure("served: CPU against a bare server", "x", ratios(cpuMs(served), cpuMs(of("bare")))),
      figure("served: CPU per download", "CPU-ms", cpuMs(served)),
      figure(
        "served: throughput",
        "MB/s",
        served.map(({ megabytesPerSecond }) => megabytesPerSecond),
      ),
      figure(
        "missing entries",
        "",
        Math.max(0, revoked - Math.min(...made.map(({ entries }) => entries))),
        { atMost: 0 },
      ),
    ],
    notes: [
      `a list of ${revoked} entries has ${list.length} bytes`,
      "bare server: the same bytes from node:http with nothing around",
    ],
  };
}

async function publish(
  connector: MeasuredConnector,
  listUrl: string,
  unused: string[],
): Promise<Publication> {
  const serial = unused.pop();
  if (serial === undefined) throw new Error("every certificate of the ledger is revoked");
  const config = ["--config", join(connector.folder, "config.json")];
  const started = performance.now();
  const before = treeCpuSeconds(connector.pid);
  await runFile(process.execPath, [
    entryOf("cert-connector"),
    "revoke",
    ...config,
    "--serial",
    serial,
  ]);
  const cpuSeconds = treeCpuSeconds(connector.pid) - before;
  const seconds = (performance.now() - started) / 1_000;
  const list = parseCertificateList(Buffer.from(await (await fetch(listUrl)).arrayBuffer()));
  if (!list.revoked.has(serial)) throw new Error(`certificate ${serial} is not on the list`);
  return { cpuMs: cpuSeconds * 1_000, seconds, entries: list.revoked.size };
}

async function serve(pid: number, url: string, load: Program<DownloadProgram>): Promise<Serving> {
  const before = treeCpuSeconds(pid);
  const order = { url, count: DOWNLOADS, concurrency: CONCURRENCY };
  const { seconds, bytes } = await load.ask("download", order);
  const cpuSeconds = treeCpuSeconds(pid) - before;
  return {
    cpuMs: (cpuSeconds * 1_000) / DOWNLOADS,
    megabytesPerSecond: bytes / 1_000_000 / seconds,
  };
}

function signatureMs(list: Buffer): number {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const before = process.cpuUsage();
  for (let n = 0; n < FLOOR_REPEATS; n += 1) sign("sha256", list, privateKey);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000 / FLOOR_REPEATS;
}

function cpuMs(samples: readonly { readonly cpuMs: number }[]): number[] {
  return samples.map((sample) => sample.cpuMs);
}
