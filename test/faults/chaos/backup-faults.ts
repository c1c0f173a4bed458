import { setTimeout as delay } from "node:timers/promises";
import { type ChaosFault, fault } from "./fault.ts";
import type { SeededRandom } from "./random.ts";
import { BRIDGES, type Machine, type Scene, soon, within } from "./scene.ts";

/** States that are older than what others remember of them, and states that there are twice. */

const LONGEST_MS = 3_000;
const NOTICED_WITHIN_MS = 15_000;

const age = (random: SeededRandom) => random.between(1_000, 2 * LONGEST_MS);

export const BACKUP_FAULTS: readonly ChaosFault[] = [
  fault({
    ...{ name: "the bridge's state is put back from a backup", weight: 3, isNamed: true },
    draw: (random) => ({ bridge: random.pick(BRIDGES), ms: age(random) }),
    strike: (scene, { bridge, ms }) => putBack(scene, bridge, ms),
  }),
  fault({
    ...{ name: "the control plane's state is put back from a backup", weight: 2 },
    draw: (random) => ({ ms: age(random) }),
    async strike(scene, { ms }) {
      const struck = await putBack(scene, "control-plane", ms);
      scene.forgetSession();
      return struck;
    },
  }),
  fault({
    ...{ name: "the site's provider is put back from a backup", weight: 1 },
    draw: (random) => ({ ms: random.between(200, LONGEST_MS) }),
    async strike({ site }, { ms }) {
      await site.ask("backup");
      await delay(ms);
      await site.ask("restore");
      return 1;
    },
  }),
  fault({
    ...{ name: "a bridge is cloned", weight: 2, isNamed: true },
    draw: (random) => ({ bridge: random.pick(BRIDGES), ms: random.between(1_000, LONGEST_MS) }),
    strike: clone,
  }),
];

/** The backup is as old as the fault lasts: what happened meanwhile is forgotten on this side alone. */
async function putBack(scene: Scene, machine: Machine, ms: number): Promise<number> {
  const copy = `${machine}-backup`;
  await scene.stop(machine, "stop");
  scene.copy(machine, copy);
  await scene.start(machine);
  await delay(ms);
  await scene.stop(machine, "kill");
  scene.putBack(copy, machine);
  await scene.start(machine);
  return 1;
}

/** A second machine with the same identity: the control plane shuts both out until somebody has looked. A strike is that it did. */
async function clone(
  scene: Scene,
  { bridge, ms }: { readonly bridge: (typeof BRIDGES)[number]; readonly ms: number },
): Promise<number> {
  const name = `${bridge}-clone`;
  await scene.stop(bridge, "stop");
  scene.copy(bridge, name);
  await scene.start(bridge);
  await scene.start(bridge, name);
  const path = `/connectors/${scene.connectors[bridge]}`;
  const statusOf = async () => (await (await scene.graph()).get<{ status: string }>(path)).status;
  await within(NOTICED_WITHIN_MS, async () => (await statusOf()) === "quarantined");
  await delay(ms);
  await scene.stop(name, "kill");
  // Shut out it comes back by itself in a quarter of an hour at the soonest: whoever releases it starts it again.
  await scene.stop(bridge, "stop");
  let releases = 0;
  await soon("the end of a quarantine", async () => {
    const status = await statusOf();
    if (status === "quarantined") {
      await (await scene.graph()).post(`${path}/release`, {});
      releases += 1;
    }
    return status === "disconnected";
  });
  await scene.start(bridge);
  return releases;
}
