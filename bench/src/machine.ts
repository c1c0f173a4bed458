import { execFileSync, spawnSync } from "node:child_process";
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";
import { findTool, type ToolName } from "../../test/tools.ts";

/** What figures depend on beside the code. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
  readonly nodeOpenssl: string;
  readonly openssl: string;
  readonly nginx: string;
  readonly scepserver: string;
  readonly openFiles: string;
  /** Load of the last minute when the bench began; figures taken beside other work are rough. */
  readonly loadAverage: number;
  readonly measuredAt: string;
}

const MISSING = "not installed";

/** Describes the machine a bench runs on, now. */
export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.versions.node,
    nodeOpenssl: process.versions.openssl,
    openssl: said("openssl", ["version"], /OpenSSL ([^\s]+)/),
    nginx: said("nginx", ["-v"], /nginx\/([^\s]+)/),
    scepserver: said("scepserver", ["-version"], /([\d.]+)/),
    openFiles: execFileSync("sh", ["-c", "ulimit -n"], { encoding: "utf8" }).trim(),
    loadAverage: Number((loadavg()[0] ?? 0).toFixed(2)),
    measuredAt: new Date().toISOString(),
  };
}

function said(tool: ToolName, words: readonly string[], version: RegExp): string {
  const path = findTool(tool);
  if (path === undefined) return MISSING;
  const { stdout, stderr } = spawnSync(path, words, { encoding: "utf8" });
  return version.exec(`${stdout}${stderr}`)?.[1] ?? "unknown";
}
