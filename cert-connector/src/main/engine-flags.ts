import { setFlagsFromString } from "node:v8";

/** V8's name for collecting the young generation on several threads at once. */
export const PARALLEL_SCAVENGE_FLAG = "--parallel-scavenge";

/**
 * Has V8 collect the young generation on the thread that made it. What is alive there is a few requests; dividing that among
 * threads cost more than it saved: 7 percent of the CPU of an enrolment (bench scep, 2 cores).
 */
export function collectYoungGenerationAlone(): void {
  setFlagsFromString(PARALLEL_SCAVENGE_FLAG.replace("--", "--no-"));
}
