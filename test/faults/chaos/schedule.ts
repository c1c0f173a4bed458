import type { PlannedFault } from "./fault.ts";
import { FAULTS } from "./faults.ts";
import { type LoadStep, LoadSteps } from "./load-steps.ts";
import { SeededRandom } from "./random.ts";

/** One fault, with what goes on before it and beside it. */
export interface Round {
  readonly fault: PlannedFault;
  readonly before: LoadStep;
  readonly besideAfterMs: number;
  readonly beside: LoadStep;
  readonly pauseMs: number;
}

/** Own number: apart from the seed of the faults, so that neither moves when the other draws more. */
const LOAD_SEED = 0x5bd1_e995;
/** Fewer than this many devices must not be left by all removals. */
const MIN_DEVICES = 20;

/**
 * Everything that a run does, before it begins: the same numbers give the same run. The faults that are named first come once each,
 * in an order of their own; then as they are drawn by weight.
 */
export function drawSchedule(of: {
  readonly seed: number;
  readonly faults: number;
  readonly devices: number;
}): readonly Round[] {
  if (of.devices < MIN_DEVICES) throw new Error(`a run needs at least ${MIN_DEVICES} devices`);
  const random = new SeededRandom(of.seed);
  const steps = new LoadSteps(new SeededRandom(of.seed ^ LOAD_SEED), of.devices);
  const first = random.shuffled(FAULTS.filter(({ isNamed }) => isNamed));
  return Array.from({ length: of.faults }, (_, index) => {
    const fault = (first[index] ?? drawn(random)).plan(random);
    const besideAfterMs = random.between(0, 300);
    const pauseMs = random.between(0, 500);
    return { fault, before: steps.next(), besideAfterMs, beside: steps.next(), pauseMs };
  });
}

function drawn(random: SeededRandom) {
  const total = FAULTS.reduce((sum, { weight }) => sum + weight, 0);
  let left = random.share() * total;
  for (const fault of FAULTS) {
    left -= fault.weight;
    if (left < 0) return fault;
  }
  return random.pick(FAULTS);
}
