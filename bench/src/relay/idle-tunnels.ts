import { setTimeout as delay } from "node:timers/promises";
import { type Figure, figure } from "../figure.ts";
import { treeCpuSeconds, treeResidentBytes } from "../measure/process-tree.ts";
import type { Program } from "../process/program.ts";
import type { Side } from "./relay-bench.ts";
import type { TunnelLoadProgram } from "./tunnel-load.ts";

/** Tunnels opened first, so that buffers and code that come only once are not counted to each. */
const FIRST_TUNNELS = 200;
const IDLE_TUNNELS = 1_000;
const KIBIBYTE = 1024;
const SETTLE_STEP_MS = 1_000;
const MAX_SETTLE_STEPS = 20;
/** Memory is at rest when two readings a second apart differ by less than this share. */
const SETTLED_SHARE = 0.005;

/** Memory of an idle tunnel and CPU of opening one (mutual TLS handshake, policy, upstream connection), each side once. */
export async function idleFigures(
  sides: readonly Side[],
  load: Program<TunnelLoadProgram>,
  scale: number,
): Promise<Figure[]> {
  const count = Math.ceil(IDLE_TUNNELS * scale);
  const costs = new Map<string, TunnelCost>();
  for (const side of sides) costs.set(side.name, await measure(side, load, count));
  const of = (name: Side["name"], key: keyof TunnelCost) => costs.get(name)?.[key] ?? Number.NaN;
  const both = (key: keyof TunnelCost, title: string, unit: string): Figure[] => [
    figure(`${title} against nginx`, "x", of("gateway", key) / of("nginx", key)),
    figure(`${title}, gateway`, unit, of("gateway", key)),
    figure(`${title}, nginx`, unit, of("nginx", key)),
  ];
  return [
    ...both("idleKib", "idle tunnel: memory", "KiB"),
    ...both("openingCpuMs", "opening a tunnel: CPU", "CPU-ms"),
  ];
}

interface TunnelCost {
  readonly idleKib: number;
  readonly openingCpuMs: number;
}

async function measure(
  side: Side,
  load: Program<TunnelLoadProgram>,
  count: number,
): Promise<TunnelCost> {
  await open(side, load, FIRST_TUNNELS);
  const bytesBefore = await settledBytes(side.pid);
  const cpuBefore = treeCpuSeconds(side.pid);
  await open(side, load, count);
  const cpuSeconds = treeCpuSeconds(side.pid) - cpuBefore;
  const bytes = (await settledBytes(side.pid)) - bytesBefore;
  await load.ask("close", null);
  return { idleKib: bytes / KIBIBYTE / count, openingCpuMs: (cpuSeconds * 1000) / count };
}

/** Opens tunnels and lets the byte server answer in each of them, so that both legs of all stand. */
async function open(side: Side, load: Program<TunnelLoadProgram>, count: number): Promise<void> {
  await load.ask("open", { way: side.way, count });
  await load.ask("settle", null);
}

async function settledBytes(pid: number): Promise<number> {
  let last = treeResidentBytes(pid);
  for (let step = 0; step < MAX_SETTLE_STEPS; step++) {
    await delay(SETTLE_STEP_MS);
    const now = treeResidentBytes(pid);
    if (Math.abs(now - last) < SETTLED_SHARE * now) return now;
    last = now;
  }
  return last;
}
