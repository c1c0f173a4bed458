import { readFileSync, rmSync, statfsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { type ChaosFault, fault } from "./fault.ts";
import {
  activeBridge,
  BRIDGES,
  DISK_MEBIBYTES,
  MACHINES,
  type Machine,
  type Scene,
  within,
} from "./scene.ts";

/** Processes, disks and clocks. */

const LONGEST_MS = 3_000;
const HOUR_MS = 3_600_000;
const MEBIBYTE = 1_048_576;
/** A bridge that reads writes within this time. */
const FULL_WITHIN_MS = 15_000;

export const MACHINE_FAULTS: readonly ChaosFault[] = [
  fault({
    ...{ name: "SIGKILL of a bridge", weight: 5, isNamed: true },
    draw: (random) => ({ bridge: random.pick(BRIDGES), ms: random.between(0, 500) }),
    strike: (scene, { bridge, ms }) => restart(scene, bridge, "kill", ms),
  }),
  fault({
    ...{ name: "SIGKILL of the control plane", weight: 4, isNamed: true },
    draw: (random) => ({ ms: random.between(0, 500) }),
    strike: (scene, { ms }) => restart(scene, "control-plane", "kill", ms),
  }),
  fault({
    ...{ name: "a bridge is stopped for a while", weight: 2 },
    draw: (random) => ({ bridge: random.pick(BRIDGES), ms: random.between(500, LONGEST_MS) }),
    strike: (scene, { bridge, ms }) => restart(scene, bridge, "stop", ms),
  }),
  fault({
    ...{ name: "a bridge's disk is full for a while", weight: 2, isNamed: true },
    // The bridge that does not read the site has little to write.
    draw: (random) => ({ isActive: random.share() < 0.8, ms: random.between(500, LONGEST_MS) }),
    strike: fillDisk,
  }),
  fault({
    ...{ name: "a clock jumps", weight: 3, isNamed: true },
    draw: (random) => ({
      machine: random.pick(MACHINES),
      jumpMs: random.pick([-HOUR_MS, -60_000, 60_000, HOUR_MS]),
      ms: random.between(1_000, LONGEST_MS),
    }),
    async strike(scene, { machine, jumpMs, ms }) {
      const file = scene.clockFileOf(machine);
      writeFileSync(file, String(jumpMs));
      await delay(ms);
      writeFileSync(file, "0");
      return Number(scene.isRunning(machine));
    },
  }),
];

async function restart(
  scene: Scene,
  machine: Machine,
  how: "kill" | "stop",
  pauseMs: number,
): Promise<number> {
  const struck = Number(scene.isRunning(machine));
  await scene.stop(machine, how);
  await delay(pauseMs);
  await scene.start(machine);
  return struck;
}

/** A strike is a line of the bridge's log that says so. */
async function fillDisk(
  scene: Scene,
  { isActive, ms }: { readonly isActive: boolean; readonly ms: number },
): Promise<number> {
  const active = activeBridge(scene) ?? BRIDGES[0];
  const bridge = BRIDGES.find((each) => (each === active) === isActive) ?? active;
  const state = scene.stateOf(bridge);
  const filler = join(state, "filler");
  const logFile = scene.logFileOf(bridge);
  const from = statSync(logFile).size;
  const struck = () => linesOfFullDisk(logFile, from);
  emptyLog(join(state, "store.db"));
  fill(filler, state);
  if (isActive) await within(FULL_WITHIN_MS, () => struck() > 0);
  await delay(ms);
  rmSync(filler, { force: true });
  await scene.restore(bridge);
  return struck();
}

function linesOfFullDisk(logFile: string, from: number): number {
  const text = readFileSync(logFile).subarray(from).toString("utf8");
  return text.match(/ENOSPC|SQLITE_FULL|store-full|disk is full/g)?.length ?? 0;
}

/** Leaves the store's write-ahead log no room of its own, so that the next write needs some of the disk. */
function emptyLog(file: string): void {
  using store = new DatabaseSync(file, { timeout: 1_000 });
  store.exec("PRAGMA wal_checkpoint(TRUNCATE)");
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
