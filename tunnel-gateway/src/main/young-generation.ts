import { setFlagsFromString } from "node:v8";

/**
 * Doubled by V8, which does not compress pointers in Node. What stands for 64 MiB of buffers of 16 KiB has to exceed it:
 * with 4 MiB it did at times and at times not.
 */
const YOUNG_GENERATION_MIB = 1;

/** V8's name for the most that the young generation may grow to. */
export const YOUNG_GENERATION_FLAG = "--scavenger-max-new-space-capacity-mb";

/**
 * Keeps V8's young generation small. What devices send arrives in a new buffer for each TLS record; in a young
 * generation of the usual size V8 first collects them when it has counted 64 MiB outside of the heap, and then marks the
 * whole heap. Small, it collects them in passing: uploads cost 0.5 CPU-s per GB instead of 0.8 (bench relay).
 */
export function keepYoungGenerationSmall(): void {
  setFlagsFromString(`${YOUNG_GENERATION_FLAG}=${YOUNG_GENERATION_MIB}`);
}
