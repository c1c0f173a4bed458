import { setTimeout as delay } from "node:timers/promises";
import { DeletionWatch } from "./deletion-watch.ts";
import { FAULTS } from "./faults.ts";
import { healed, type Judgement, judge } from "./judgement.ts";
import { Load } from "./load.ts";
import { Scene, within } from "./scene.ts";
import { drawSchedule } from "./schedule.ts";
import { FIRST_RESOURCE_ID } from "./settings.ts";
import { COUNTED_AT_SITE } from "./site-faults.ts";

const STRIKE_WITHIN_MS = 30_000;

interface ChaosOptions {
  /** Empty; holds state and logs. */
  readonly folder: string;
  readonly faults: number;
  readonly seed: number;
  readonly devices: number;
  readonly say: (line: string) => void;
}

/** Of one fault: how often it was injected, and how much it has touched. */
interface Struck {
  injected: number;
  strikes: number;
}

export interface ChaosReport extends Judgement {
  readonly seed: number;
  readonly faults: Readonly<Record<string, Struck>>;
  /** Actions that the control plane has taken, by kind. */
  readonly actions: Readonly<Record<string, number>>;
  readonly refused: number;
  readonly lastRefusal: string;
}

/** Devices change and actions are asked for while one thing after the other goes wrong; then all is healed, and judged. */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { seed, devices, say } = options;
  const rounds = drawSchedule(options);
  await using scene = await Scene.open(options.folder, devices, seed);
  await healed(scene, say);
  const load = new Load(scene, FIRST_RESOURCE_ID + devices);
  const faults = Object.fromEntries(
    rounds.map(({ fault }): [string, Struck] => [fault.name, { injected: 0, strikes: 0 }]),
  );
  await using watch = new DeletionWatch(scene);
  for (const [index, { fault, before, besideAfterMs, beside, pauseMs }] of rounds.entries()) {
    say(`${index + 1}/${rounds.length} ${fault.name} ${JSON.stringify(fault.detail)}`);
    await load.run(before);
    const goesOn = delay(besideAfterMs).then(() => load.run(beside));
    const [outcome] = await Promise.allSettled([fault.strike(scene), goesOn]);
    if (outcome.status === "rejected") throw outcome.reason;
    count(faults[fault.name], outcome.value);
    await delay(pauseMs);
  }
  await countStrikesAtSite(scene, faults);
  await healed(scene, say);
  const judgement = await judge(scene, load, say);
  await watch.look();
  return {
    seed,
    faults,
    actions: load.taken,
    refused: load.refused,
    lastRefusal: load.lastRefusal,
    figures: [...judgement.figures, ...watch.figures],
    faulty: [...judgement.faulty, ...watch.faulty],
  };
}

/** Before the site's faults are taken back; the last of them have a while to strike. */
async function countStrikesAtSite(
  scene: Scene,
  faults: Readonly<Record<string, Struck>>,
): Promise<void> {
  let strikes: Readonly<Record<string, number>> = {};
  const names = Object.keys(faults).filter((name) => COUNTED_AT_SITE.has(name));
  await within(STRIKE_WITHIN_MS, async () => {
    strikes = (await scene.site.ask("strikes")) as Readonly<Record<string, number>>;
    return names.every((name) => Number(strikes[name]) > 0);
  });
  for (const name of names) count(faults[name], Number(strikes[name] ?? 0), 0);
}

function count(of: Struck | undefined, strikes: number, injected = 1): void {
  if (of === undefined) return;
  of.injected += injected;
  of.strikes += strikes;
}

/** Names of the faults that have to be in every run. */
export const NAMED_FAULTS: readonly string[] = FAULTS.filter(({ isNamed }) => isNamed).map(
  ({ name }) => name,
);
