import { setFlagsFromString } from "node:v8";

/**
 * How V8 spends its time beside ours, for a service that makes much and keeps little. Each was measured in pairs by the CPU of
 * an enrolment (bench scep, 2 cores).
 */
export const ENGINE_FLAGS = [
  // The young generation is collected on the thread that made it: what is alive there is a few requests, and dividing that
  // among threads cost more than it saved (7 percent).
  "--no-parallel-scavenge",
  // The old generation may quadruple before it is marked again. Some 35 MB stay, and 40 MB more were there within 600
  // enrolments; marking pushed the rest out of the processors' caches too (3 percent, for up to 100 MB more).
  "--heap-growing-percent=300",
  // What is called a hundred times is compiled to the end then, not after the 3,000 calls of a long start (3 percent within
  // the first 10,000 enrolments).
  "--invocation-count-for-turbofan=100",
] as const;

/** Has to come before there are worker threads: the flags are read by each part of V8 when it gets there. */
export function setEngineFlags(): void {
  for (const flag of ENGINE_FLAGS) setFlagsFromString(flag);
}
