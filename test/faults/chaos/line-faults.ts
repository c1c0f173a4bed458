import { setTimeout as delay } from "node:timers/promises";
import { type ChaosFault, fault } from "./fault.ts";
import type { SeededRandom } from "./random.ts";
import { within } from "./scene.ts";
import type { Wire } from "./wire.ts";

/** Between the machines. A strike is a connection that was cut, refused or held. */

const LONGEST_MS = 3_000;
/** Whoever was cut off before has to have come back, or there is nothing to cut. */
const OPEN_WITHIN_MS = 10_000;

const aWhile = (random: SeededRandom) => ({ ms: random.between(500, LONGEST_MS) });
const cuts = (most: number, longestMs: number) => (random: SeededRandom) => ({
  pausesMs: Array.from({ length: random.between(1, most) }, () => random.between(0, longestMs)),
});

async function cutAgainAndAgain(wire: Wire, pausesMs: readonly number[]): Promise<number> {
  let struck = 0;
  await within(OPEN_WITHIN_MS, () => wire.connections > 0);
  for (const pauseMs of pausesMs) {
    struck += wire.cut();
    await delay(pauseMs);
  }
  return struck;
}

export const LINE_FAULTS: readonly ChaosFault[] = [
  fault({
    ...{ name: "the link is cut", weight: 4, isNamed: true },
    draw: cuts(3, 300),
    strike: ({ wires }, { pausesMs }) => cutAgainAndAgain(wires.cloud, pausesMs),
  }),
  fault({
    ...{ name: "the cloud cannot be reached", weight: 2 },
    draw: aWhile,
    async strike({ wires: { cloud } }, { ms }) {
      const before = cloud.refused;
      const cut = cloud.setDown(true);
      await delay(ms);
      cloud.setDown(false);
      return cut + cloud.refused - before;
    },
  }),
  fault({
    ...{ name: "the link carries nothing for a while", weight: 2 },
    draw: aWhile,
    async strike({ wires: { cloud } }, { ms }) {
      const held = cloud.setHeld(true);
      await delay(ms);
      cloud.setHeld(false);
      return held;
    },
  }),
  fault({
    ...{ name: "connections to the site are cut", weight: 3 },
    draw: cuts(4, 200),
    strike: ({ wires }, { pausesMs }) => cutAgainAndAgain(wires.site, pausesMs),
  }),
];
