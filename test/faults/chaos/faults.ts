import { rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { SeededRandom } from "./random.ts";
import { BRIDGES, DISK_BRIDGE, DISK_MEBIBYTES, type Machine, type Scene, soon } from "./scene.ts";

/** Something that goes wrong, and is over when `strike` returns; what it leaves behind the machines have to mend themselves. */
export interface ChaosFault {
  readonly name: string;
  /** How often it is drawn beside the others. */
  readonly weight: number;
  strike(scene: Scene, random: SeededRandom): Promise<void>;
}

const MACHINES: readonly Machine[] = ["control-plane", ...BRIDGES];
const LONGEST_MS = 3_000;
const HOUR_MS = 3_600_000;
const MEBIBYTE = 1_048_576;

export const FAULTS: readonly ChaosFault[] = [
  {
    name: "SIGKILL of a bridge",
    weight: 5,
    async strike(scene, random) {
      await restart(scene, random.pick(BRIDGES), "kill", random.between(0, 500));
    },
  },
  {
    name: "SIGKILL of the control plane",
    weight: 4,
    async strike(scene, random) {
      await restart(scene, "control-plane", "kill", random.between(0, 500));
    },
  },
  {
    name: "a bridge is stopped for a while",
    weight: 2,
    async strike(scene, random) {
      await restart(scene, random.pick(BRIDGES), "stop", random.between(500, LONGEST_MS));
    },
  },
  {
    name: "the link is cut",
    weight: 4,
    async strike({ wires }, random) {
      for (let cuts = random.between(1, 3); cuts > 0; cuts -= 1) {
        wires.cloud.cut();
        await delay(random.between(0, 300));
      }
    },
  },
  {
    name: "the cloud cannot be reached",
    weight: 2,
    async strike({ wires }, random) {
      wires.cloud.setDown(true);
      await delay(random.between(500, LONGEST_MS));
      wires.cloud.setDown(false);
    },
  },
  {
    name: "the link carries nothing for a while",
    weight: 2,
    async strike({ wires }, random) {
      wires.cloud.setHeld(true);
      await delay(random.between(500, LONGEST_MS));
      wires.cloud.setHeld(false);
    },
  },
  {
    name: "connections to the site are cut",
    weight: 3,
    async strike({ wires }, random) {
      for (let cuts = random.between(1, 4); cuts > 0; cuts -= 1) {
        wires.site.cut();
        await delay(random.between(0, 200));
      }
    },
  },
  {
    name: "the provider hangs",
    weight: 2,
    async strike({ site }, random) {
      await site.ask("fault", { fault: { kind: "hang" }, times: random.between(1, 4) });
    },
  },
  {
    name: "pages come short",
    weight: 4,
    async strike({ site }, random) {
      const fault = { kind: "short-page", rows: random.between(0, 20) };
      await site.ask("fault", { fault, method: "GET", times: random.between(1, 6) });
    },
  },
  {
    name: "a page comes again",
    weight: 2,
    async strike({ site }, random) {
      await site.ask("fault", { fault: { kind: "repeated-page" }, times: random.between(1, 4) });
    },
  },
  {
    name: "answers are cut",
    weight: 4,
    async strike({ site }, random) {
      const when = random.pick(["before", "after", "mid-body"] as const);
      await site.ask("fault", { fault: { kind: "cut", when }, times: random.between(1, 4) });
    },
  },
  {
    name: "what an action did is not answered",
    weight: 3,
    async strike({ site }, random) {
      const fault = { kind: "cut", when: random.pick(["after", "mid-body"] as const) };
      await site.ask("fault", { fault, method: "POST", times: random.between(1, 3) });
    },
  },
  {
    name: "the provider answers with errors",
    weight: 3,
    async strike({ site }, random) {
      const status = random.pick([429, 500, 503]);
      await site.ask("fault", { fault: { kind: "status", status }, times: random.between(1, 10) });
    },
  },
  {
    name: "rights are narrowed for a while",
    weight: 3,
    async strike({ site }, random) {
      await site.ask("narrow", random.pick([0, 0.3, 0.7]));
      await delay(random.between(1_000, 2 * LONGEST_MS));
      await site.ask("narrow", 1);
    },
  },
  {
    name: "the bridge's disk is full for a while",
    weight: 2,
    async strike(scene, random) {
      const state = scene.stateOf(DISK_BRIDGE);
      const filler = join(state, "filler");
      fill(filler, state);
      await delay(random.between(500, LONGEST_MS));
      rmSync(filler, { force: true });
      await scene.restore(DISK_BRIDGE);
    },
  },
  {
    name: "the bridge's state is put back from a backup",
    weight: 3,
    async strike(scene, random) {
      const bridge = random.pick(BRIDGES);
      await putBack(scene, bridge, random);
    },
  },
  {
    name: "the control plane's state is put back from a backup",
    weight: 2,
    async strike(scene, random) {
      await putBack(scene, "control-plane", random);
      scene.forgetSession();
    },
  },
  {
    name: "the site's provider is put back from a backup",
    weight: 1,
    async strike({ site }, random) {
      await site.ask("backup");
      await delay(random.between(200, LONGEST_MS));
      await site.ask("restore");
    },
  },
  {
    name: "a clock jumps",
    weight: 3,
    async strike(scene, random) {
      const machine = random.pick(MACHINES);
      const file = scene.clockFileOf(machine);
      writeFileSync(file, String(random.pick([-HOUR_MS, -60_000, 60_000, HOUR_MS])));
      await delay(random.between(1_000, LONGEST_MS));
      writeFileSync(file, "0");
    },
  },
  {
    name: "the provider's clock is off for a while",
    weight: 2,
    async strike({ site }, random) {
      await site.ask("skewClock", random.pick([-600_000, 600_000]));
      await delay(random.between(1_000, LONGEST_MS));
      await site.ask("skewClock", 0);
    },
  },
  {
    name: "a bridge is cloned",
    weight: 2,
    strike: (scene, random) => clone(scene, random.pick(BRIDGES), random),
  },
];

async function restart(
  scene: Scene,
  machine: Machine,
  how: "kill" | "stop",
  pauseMs: number,
): Promise<void> {
  await scene.stop(machine, how);
  await delay(pauseMs);
  await scene.start(machine);
}

/** The backup is as old as the fault lasts: what happened meanwhile is forgotten on this side alone. */
async function putBack(scene: Scene, machine: Machine, random: SeededRandom): Promise<void> {
  const copy = `${machine}-backup`;
  await scene.stop(machine, "stop");
  scene.copy(machine, copy);
  await scene.start(machine);
  await delay(random.between(1_000, 2 * LONGEST_MS));
  await scene.stop(machine, "kill");
  scene.putBack(copy, machine);
  await scene.start(machine);
}

/** A second machine with the same identity: the control plane shuts both out until somebody has looked. */
async function clone(
  scene: Scene,
  bridge: (typeof BRIDGES)[number],
  random: SeededRandom,
): Promise<void> {
  const name = `${bridge}-clone`;
  await scene.stop(bridge, "stop");
  scene.copy(bridge, name);
  await scene.start(bridge);
  await scene.start(bridge, name);
  await delay(random.between(1_000, LONGEST_MS));
  await scene.stop(name, "kill");
  // Shut out it comes back by itself in a quarter of an hour at the soonest: whoever releases it starts it again.
  await scene.stop(bridge, "stop");
  const path = `/connectors/${scene.connectors[bridge]}`;
  await soon("the end of a quarantine", async () => {
    const graph = await scene.graph();
    const { status } = await graph.get<{ status: string }>(path);
    if (status === "quarantined") await graph.post(`${path}/release`, {});
    return status === "disconnected";
  });
  await scene.start(bridge);
}

/** Leaves nothing: a write of any length fails. Throws where the disk is not the small one. */
function fill(file: string, folder: string): void {
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize > DISK_MEBIBYTES * MEBIBYTE)
    throw new Error(`${folder} has no disk of its own`);
  const chunk = Buffer.alloc(bsize);
  try {
    writeFileSync(file, Buffer.alloc(Math.max(0, bavail - 1) * bsize));
    for (;;) writeFileSync(file, chunk, { flag: "a" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  }
}
