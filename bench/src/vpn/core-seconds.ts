import { readdirSync, readFileSync } from "node:fs";

const NANOSECONDS = 1e9;

/** Since a process began, of all its threads that live. */
export interface CoreSeconds {
  readonly running: number;
  /** Ready to run, while other work had the cores. */
  readonly waiting: number;
}

/** From `/proc/<pid>/task/<tid>/schedstat` (Documentation/scheduler/sched-stats.rst), exact to the nanosecond. */
export function coreSeconds(pid: number): CoreSeconds {
  const sum = { running: 0, waiting: 0 };
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const line = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8");
    const [running = Number.NaN, waiting = Number.NaN] = line.split(" ").map(Number);
    sum.running += running / NANOSECONDS;
    sum.waiting += waiting / NANOSECONDS;
  }
  return sum;
}
