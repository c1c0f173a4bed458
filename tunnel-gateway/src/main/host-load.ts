import { statfsSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import type { CheckResult, HealthCheck } from "@isthmus/shared/kernel/service-definition";

/** Own choices: an average over five minutes, as Microsoft Tunnel's health checks have it, of samples this far apart. */
const SAMPLE_EVERY_MS = 10_000;
const SAMPLES = 30;
/** Microsoft Tunnel's limits for a warning. On the host it stays a warning: `unhealthy` would take a busy gateway out of service. */
const BUSY_PERCENT = 95;
const LEAST_FREE_MEGABYTES = 5_000;
const MEGABYTE = 1_000_000;

interface Sample {
  readonly busyMs: number;
  readonly allMs: number;
  readonly memoryPercent: number;
}

/** What the host has left: processors and memory as averages over five minutes, disk as it is. */
export class HostLoad implements Disposable {
  readonly #stateFolder: string;
  /** The first stands for the time since the machine was started, until there are samples of five minutes. */
  readonly #samples: Sample[] = [{ ...takeSample(), busyMs: 0, allMs: 0 }];
  readonly #timer: NodeJS.Timeout;

  constructor(stateFolder: string) {
    this.#stateFolder = stateFolder;
    this.#timer = setInterval(() => this.#sample(), SAMPLE_EVERY_MS);
  }

  /** Of all processors. */
  get cpuPercent(): number {
    const [oldest] = this.#samples;
    const now = takeSample();
    const allMs = now.allMs - (oldest?.allMs ?? 0);
    return allMs > 0 ? (100 * (now.busyMs - (oldest?.busyMs ?? 0))) / allMs : 0;
  }

  /** Of the machine, or of the container's limit. */
  get memoryPercent(): number {
    const sum = this.#samples.reduce((total, { memoryPercent }) => total + memoryPercent, 0);
    return sum / this.#samples.length;
  }

  /** For who is not root, on the file system of the state folder. */
  get freeMegabytes(): number {
    const { bavail, bsize } = statfsSync(this.#stateFolder);
    return (bavail * bsize) / MEGABYTE;
  }

  /** Named as the figures that the control plane judges. */
  checks(): readonly HealthCheck[] {
    const load = "give the gateway more, or add a gateway beside it";
    return [
      { name: "cpu-percent", run: () => busy("processors", this.cpuPercent, load) },
      { name: "memory-percent", run: () => busy("memory", this.memoryPercent, load) },
      { name: "disk-free-megabytes", run: () => diskHealth(this.freeMegabytes) },
    ];
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #sample(): void {
    this.#samples.push(takeSample());
    if (this.#samples.length > SAMPLES) this.#samples.shift();
  }
}

function takeSample(): Sample {
  let [busyMs, allMs] = [0, 0];
  for (const { times } of cpus()) {
    const working = times.user + times.nice + times.sys + times.irq;
    busyMs += working;
    allMs += working + times.idle;
  }
  const limit = process.constrainedMemory();
  const total = limit > 0 ? Math.min(limit, totalmem()) : totalmem();
  const memoryPercent = 100 * (1 - Math.min(process.availableMemory(), total) / total);
  return { busyMs, allMs, memoryPercent };
}

function busy(what: string, percent: number, remedy: string): CheckResult {
  const reason = `${what}: ${Math.round(percent)} % in use over five minutes`;
  return percent > BUSY_PERCENT
    ? { status: "warning", reason, remedy }
    : { status: "healthy", reason };
}

function diskHealth(freeMegabytes: number): CheckResult {
  const reason = `${Math.round(freeMegabytes)} MB are free for the state folder`;
  if (freeMegabytes >= LEAST_FREE_MEGABYTES) return { status: "healthy", reason };
  const remedy = "make room: without any, no session can be kept and no login noted";
  return { status: "warning", reason, remedy };
}
