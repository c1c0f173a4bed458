import { setTimeout as delay } from "node:timers/promises";
import { LAB, type Lab } from "../../../test/vpn-lab/namespaces.ts";
import { type Figure, figure } from "../figure.ts";
import type { TlsCertificates } from "../fixtures/tls-certificates.ts";
import { treeCpuSeconds, treeResidentBytes } from "../measure/process-tree.ts";
import { startProgram } from "../process/program.ts";
import type { PacketSinkProgram } from "./packet-sink.ts";
import type { SessionLoadProgram } from "./session-load.ts";
import { papersFor } from "./session-papers.ts";
import type { Side } from "./sides.ts";

const SESSIONS = 200;
/** Opened and closed before, then opened first, so that code and buffers that come only once are not counted to each. */
const WARMING_SESSIONS = 100;
const FIRST_SESSIONS = 20;
const BLAST_SECONDS = 5;
const SETTLE_MS = 2_000;
const KIBIBYTE = 1_024;

/** Budgets: bench/README.md, VPN against ocserv. */
const MEMORY_BUDGET = { atMost: 0.2 };

interface Costs {
  readonly memoryKib: number;
  /** Of a login and a tunnel, each with its TLS handshake. */
  readonly openingCpuMs: number;
  readonly fairnessUp: number;
  readonly fairnessDown: number;
  readonly megabitsUp: number;
  readonly megabitsDown: number;
}

/** Memory and CPU of opening 200 sessions, and how evenly they share what there is; each side once. */
export async function manySessions(
  lab: Lab,
  sides: readonly Side[],
  certificates: TlsCertificates,
  scale: number,
): Promise<Figure[]> {
  const sinkFile = new URL("./packet-sink.ts", import.meta.url);
  const inside = lab.namespace("internal");
  await using sink = await startProgram<PacketSinkProgram>(sinkFile, {}, inside);
  await sink.ask("listen", null);
  const count = Math.max(FIRST_SESSIONS * 2, Math.round(SESSIONS * scale));
  const costs = new Map<string, Costs>();
  for (const side of sides) {
    const loadFile = new URL("./session-load.ts", import.meta.url);
    await using load = await startProgram<SessionLoadProgram>(
      loadFile,
      {},
      lab.namespace("client"),
    );
    const papers = papersFor(side, certificates);
    await load.ask("open", { papers, count: WARMING_SESSIONS });
    await load.ask("close", null);
    await delay(SETTLE_MS);
    await load.ask("open", { papers, count: FIRST_SESSIONS });
    await delay(SETTLE_MS);
    const [bytes, cpu] = [treeResidentBytes(side.pid), treeCpuSeconds(side.pid)];
    await load.ask("open", { papers, count });
    const openingCpu = treeCpuSeconds(side.pid) - cpu;
    await delay(SETTLE_MS);
    const opened = count - FIRST_SESSIONS;
    const memoryKib = (treeResidentBytes(side.pid) - bytes) / KIBIBYTE / opened;
    await sink.ask("counts", null);
    await load.ask("blast", { target: LAB.internal.ipv4, seconds: BLAST_SECONDS });
    const up = await sink.ask("counts", null);
    const receiving = load.ask("receive", { seconds: BLAST_SECONDS });
    await sink.ask("blast", { seconds: BLAST_SECONDS });
    const down = await receiving;
    await load.ask("close", null);
    costs.set(side.name, {
      memoryKib,
      openingCpuMs: (openingCpu * 1_000) / opened,
      fairnessUp: jain(padded(up, count)),
      fairnessDown: jain(down),
      megabitsUp: megabits(up),
      megabitsDown: megabits(down),
    });
  }
  return report(costs);
}

/** Jain's index: 1 where all have the same, 1/n where one has it all. */
export function jain(shares: readonly number[]): number {
  const sum = shares.reduce((total, share) => total + share, 0);
  const squares = shares.reduce((total, share) => total + share * share, 0);
  return squares === 0 ? 0 : (sum * sum) / (shares.length * squares);
}

function report(costs: ReadonlyMap<string, Costs>): Figure[] {
  const of = (name: Side["name"], key: keyof Costs) => costs.get(name)?.[key] ?? Number.NaN;
  const ratio = (key: keyof Costs) => of("gateway", key) / of("ocserv", key);
  const both = (key: keyof Costs, title: string, unit: string) => [
    figure(`${title}, gateway`, unit, of("gateway", key)),
    figure(`${title}, ocserv`, unit, of("ocserv", key)),
  ];
  return [
    figure("session: memory against ocserv", "x", ratio("memoryKib"), MEMORY_BUDGET),
    ...both("memoryKib", "session: memory", "KiB"),
    figure("opening a session: CPU against ocserv", "x", ratio("openingCpuMs")),
    ...both("openingCpuMs", "opening a session: CPU", "CPU-ms"),
    figure("200 sessions up: unfairness (1 - Jain)", "", 1 - of("gateway", "fairnessUp"), {
      atMost: 0.1,
    }),
    figure("200 sessions up: unfairness, ocserv", "", 1 - of("ocserv", "fairnessUp")),
    ...both("megabitsUp", "200 sessions up", "Mbit/s"),
    figure("200 sessions down: unfairness (1 - Jain)", "", 1 - of("gateway", "fairnessDown"), {
      atMost: 0.1,
    }),
    figure("200 sessions down: unfairness, ocserv", "", 1 - of("ocserv", "fairnessDown")),
    ...both("megabitsDown", "200 sessions down", "Mbit/s"),
  ];
}

/** Sessions of which nothing came count as zero. */
function padded(counts: readonly number[], count: number): number[] {
  return [...counts, ...Array(Math.max(0, count - counts.length)).fill(0)];
}

function megabits(counts: readonly number[]): number {
  return (counts.reduce((sum, bytes) => sum + bytes, 0) * 8) / 1e6 / BLAST_SECONDS;
}
