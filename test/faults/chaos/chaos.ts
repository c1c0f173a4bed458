import { setTimeout as delay } from "node:timers/promises";
import { type ChaosFault, FAULTS } from "./faults.ts";
import { healed, type Judgement, judge } from "./judgement.ts";
import { Load } from "./load.ts";
import { SeededRandom } from "./random.ts";
import { Scene } from "./scene.ts";

export interface ChaosOptions {
  /** Empty; holds state and logs. */
  readonly folder: string;
  readonly faults: number;
  readonly seed: number;
  readonly devices: number;
  readonly say: (line: string) => void;
}

export interface ChaosReport extends Judgement {
  readonly seed: number;
  /** How often each fault struck. */
  readonly faults: Readonly<Record<string, number>>;
  readonly commands: number;
  readonly refused: number;
  readonly lastRefusal: string;
}

/** Devices change and actions are asked for while one thing after the other goes wrong; then all is healed, and judged. */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { seed, devices, say } = options;
  const random = new SeededRandom(seed);
  await using scene = await Scene.open(options.folder, devices, seed);
  await healed(scene, say);
  const load = new Load(scene, random, devices);
  const struck: Record<string, number> = {};
  for (let count = 1; count <= options.faults; count += 1) {
    const fault = drawn(random);
    struck[fault.name] = (struck[fault.name] ?? 0) + 1;
    say(`${count}/${options.faults} ${fault.name}`);
    await load.step();
    const [outcome] = await Promise.allSettled([fault.strike(scene, random), beside(load, random)]);
    if (outcome.status === "rejected") throw outcome.reason;
    await delay(random.between(0, 500));
  }
  await healed(scene, say);
  const judgement = await judge(scene, load.commands, say);
  return {
    seed,
    faults: struck,
    commands: load.commands.length,
    refused: load.refused,
    lastRefusal: load.lastRefusal,
    ...judgement,
  };
}

/** While the fault is on, the work goes on. */
async function beside(load: Load, random: SeededRandom): Promise<void> {
  await delay(random.between(0, 300));
  await load.step();
}

function drawn(random: SeededRandom): ChaosFault {
  const total = FAULTS.reduce((sum, { weight }) => sum + weight, 0);
  let left = random.share() * total;
  for (const fault of FAULTS) {
    left -= fault.weight;
    if (left < 0) return fault;
  }
  return random.pick(FAULTS);
}
