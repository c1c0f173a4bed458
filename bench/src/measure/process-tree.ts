import { readdirSync, readFileSync } from "node:fs";

/** USER_HZ: what `utime` and `stime` are counted in on every Linux that Node runs on (proc(5), getconf CLK_TCK). */
const TICKS_PER_SECOND = 100;
const KIBIBYTE = 1024;

/** The fields of `/proc/<pid>/stat` that a bench needs (proc(5)); CPU is that of all threads, dead ones included. */
export interface ProcessStat {
  readonly pid: number;
  readonly parentPid: number;
  /** Seconds in user and kernel mode. */
  readonly cpuSeconds: number;
  /** The same of children that have ended and were waited for. */
  readonly reapedCpuSeconds: number;
}

/** Reads one line of `/proc/<pid>/stat`. The command's name may hold spaces and parentheses: the last one ends it. */
export function parseProcessStat(line: string): ProcessStat {
  const end = line.lastIndexOf(")");
  // Field 3 (state) is the first behind the name: field n is at n - 3.
  const fields = line.slice(end + 2).split(" ");
  const field = (number: number) => Number(fields[number - 3]);
  return {
    pid: Number.parseInt(line, 10),
    parentPid: field(4),
    cpuSeconds: (field(14) + field(15)) / TICKS_PER_SECOND,
    reapedCpuSeconds: (field(16) + field(17)) / TICKS_PER_SECOND,
  };
}

/** CPU seconds that a process, its threads and its descendants, living and reaped, have used since they began. */
export function treeCpuSeconds(rootPid: number): number {
  return tree(rootPid).reduce((sum, one) => sum + one.cpuSeconds + one.reapedCpuSeconds, 0);
}

/** Resident bytes of a process and its descendants; pages that they share are divided among them (PSS). */
export function treeResidentBytes(rootPid: number): number {
  return tree(rootPid).reduce((sum, { pid }) => sum + proportionalBytes(pid), 0);
}

/** Resident bytes of a process and its descendants as `ps` and limits on RSS see them, now and at their peaks. */
export function treeMemory(rootPid: number): {
  readonly residentBytes: number;
  readonly peakBytes: number;
} {
  const statuses = tree(rootPid).map(({ pid }) => readFileSync(`/proc/${pid}/status`, "utf8"));
  const sum = (key: string) =>
    statuses.reduce((total, status) => total + kibibytesOf(status, key) * KIBIBYTE, 0);
  return { residentBytes: sum("VmRSS"), peakBytes: sum("VmHWM") };
}

/** A process that has ended meanwhile holds nothing. */
function proportionalBytes(pid: number): number {
  try {
    return kibibytesOf(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"), "Pss") * KIBIBYTE;
  } catch {
    return 0;
  }
}

/** A process that has ended and was not yet waited for has no such line: it holds nothing. */
function kibibytesOf(text: string, key: string): number {
  return Number(new RegExp(`^${key}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0);
}

function tree(rootPid: number): ProcessStat[] {
  const all = allProcesses();
  const root = all.find(({ pid }) => pid === rootPid);
  if (root === undefined) throw new Error(`process ${rootPid} has ended while it was measured`);
  const members = [root];
  for (const member of members) {
    members.push(...all.filter(({ parentPid }) => parentPid === member.pid));
  }
  return members;
}

function allProcesses(): ProcessStat[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readStat(name))
    .filter((stat) => stat !== undefined);
}

function readStat(pid: string): ProcessStat | undefined {
  try {
    return parseProcessStat(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    // It ended between the listing and the reading.
    return undefined;
  }
}
