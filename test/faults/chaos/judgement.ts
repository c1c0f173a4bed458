import { writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { differences } from "./differences.ts";
import type { Load } from "./load.ts";
import { BRIDGES, MACHINES, type Scene, soon } from "./scene.ts";
import { SITE } from "./settings.ts";
import { successesIn, unfounded } from "./successes.ts";

/** How the run ended. */
export interface Judgement {
  /** In words, for people. */
  readonly figures: readonly string[];
  /** What should not be; empty where all is well. */
  readonly faulty: readonly string[];
}

/** Two complete scans, a digest and what it brings about. */
const EQUAL_WITHIN_MS = 240_000;
const FINAL_WITHIN_MS = 240_000;
const LATER_MS = 2 * 3_600_000;
const FINAL = ["succeeded", "failed", "expired", "cancelled", "refused", "unknown"];

/** Ends all faults and waits until the cloud has what the site has. */
export async function healed(scene: Scene, say: (line: string) => void): Promise<void> {
  await scene.site.ask("clearFaults");
  await scene.site.ask("narrow", 1);
  await scene.site.ask("skewClock", 0);
  scene.wires.cloud.setDown(false);
  scene.wires.cloud.setHeld(false);
  for (const machine of MACHINES) {
    writeFileSync(scene.clockFileOf(machine), "0");
    await scene.restore(machine);
  }
  say("healed; waiting until the cloud equals the site");
  const began = performance.now();
  let last = "";
  try {
    await soon(
      "the cloud to equal the site",
      async () => {
        const found = await differences(scene);
        if (found.length === 0) return true;
        last = found.map(({ what }) => what).join("; ");
        if (found.some(({ isGone }) => isGone)) await approveDeletions(scene);
        return false;
      },
      EQUAL_WITHIN_MS,
    );
  } catch (error) {
    throw new Error(`the cloud does not equal the site: ${last}`, { cause: error });
  }
  const seconds = Math.round((performance.now() - began) / 1_000);
  say(`equal after ${seconds} s${last === "" ? "" : `, at last ${last}`}`);
}

/** What somebody on the host does who has looked at the site: with rights as they should be, what is still missing is gone. */
async function approveDeletions(scene: Scene): Promise<void> {
  const words = ["deletions", "approve", SITE, "device"];
  // That one has nothing to approve, or is not there, is no matter.
  await Promise.allSettled(BRIDGES.map((bridge) => scene.command(bridge, ...words)));
}

/** After `healed`: whether anything was repeated, invented or left without an end. */
export async function judge(
  scene: Scene,
  load: Load,
  say: (line: string) => void,
): Promise<Judgement> {
  say(`waiting for a digest of each kind, and for the end of ${load.actions.length} actions`);
  const [differing, open] = await Promise.all([digestsThatDiffer(scene), actionsWithoutEnd(scene)]);
  using store = openStore(scene);
  const states = store
    .prepare("SELECT state, count(*) AS count FROM site_action GROUP BY state")
    .all() as { state: string; count: number }[];
  const repeated = (await scene.site.ask("repeated")) as Record<string, number>;
  const scripts = Object.entries(repeated).filter(([what]) => / script /.test(what));
  const executions = (await scene.site.ask("executions")) as readonly { kind: string }[];
  const successes = successesIn(store);
  return {
    figures: [
      ...states.map(({ state, count }) => `${count} actions ${state}`),
      `${executions.filter(({ kind }) => kind === "script").length} scripts ran on devices`,
      `${successes.length} successes on devices`,
      ...events(store),
    ],
    faulty: [
      ...open.map((what) => `has no end: ${what}`),
      ...wordless(store),
      ...differing.map((kind) => `the digests of kind ${kind} do not agree at the end`),
      ...scripts.map(([what, count]) => `ran ${count} times: ${what}`),
      ...(await unfounded(scene, successes, load.markers)),
    ],
  };
}

/** Of an action, and of a device in it, that nobody knows the end of it has to be explained. */
function wordless(store: DatabaseSync): string[] {
  const actions = store
    .prepare("SELECT id FROM site_action WHERE state = 'unknown' AND coalesce(reason, '') = ''")
    .all();
  const devices = store
    .prepare(
      `SELECT action_id || ' on ' || key AS id FROM device_action WHERE state = 'unknown' AND coalesce(reason, '') = ''`,
    )
    .all();
  return [...actions, ...devices].map(({ id }) => `unknown without a reason: ${id}`);
}

/** Devices that stay offline let an action wait until it expires; of what a restored bridge has forgotten the control plane hears no more, and ends it after an hour. */
async function actionsWithoutEnd(scene: Scene): Promise<readonly string[]> {
  let open: string[] = [];
  for (const machine of MACHINES) writeFileSync(scene.clockFileOf(machine), String(LATER_MS));
  await soon(
    "every action to end",
    async () => {
      open = openActions(scene);
      return open.length === 0;
    },
    FINAL_WITHIN_MS,
  ).catch(() => undefined);
  return open;
}

interface Compared {
  readonly kind: string;
  readonly event: string;
  readonly id: number;
}

/** Kinds of which no digest that was made behind the last change is the same on both sides. */
async function digestsThatDiffer(scene: Scene): Promise<readonly string[]> {
  const lastCompared = () => {
    using store = openStore(scene);
    return store
      .prepare(
        `SELECT kind, event, max(id) AS id FROM inventory_event
         WHERE side = 'cloud' AND event IN ('digest.same', 'digest.differs') GROUP BY kind`,
      )
      .all() as unknown as Compared[];
  };
  const before = new Map(lastCompared().map(({ kind, id }) => [kind, id]));
  if (before.size === 0) return ["any"];
  let differing: readonly string[] = [];
  await soon(
    "the digests to agree",
    async () => {
      const isSettled = ({ kind, event, id }: Compared) =>
        event === "digest.same" && id > (before.get(kind) ?? 0);
      differing = lastCompared()
        .filter((last) => !isSettled(last))
        .map(({ kind }) => kind);
      return differing.length === 0;
    },
    EQUAL_WITHIN_MS,
  ).catch(() => undefined);
  return differing;
}

function openActions(scene: Scene): string[] {
  using store = openStore(scene);
  const marks = FINAL.map(() => "?").join(", ");
  const final = [...FINAL, "notApplicable"];
  const actions = store
    .prepare(
      `SELECT id, kind, state FROM site_action WHERE ended_at IS NULL AND state NOT IN (${marks})`,
    )
    .all(...FINAL) as { id: string; kind: string; state: string }[];
  const devices = store
    .prepare(
      `SELECT action_id, key, state FROM device_action WHERE state NOT IN (${final.map(() => "?").join(", ")})`,
    )
    .all(...final) as { action_id: string; key: string; state: string }[];
  const commands = store
    .prepare(
      `SELECT id, kind, state FROM command WHERE kind LIKE 'site.%' AND state NOT IN (${marks})`,
    )
    .all(...FINAL) as { id: string; kind: string; state: string }[];
  return [
    ...actions.map(({ id, kind, state }) => `${kind} ${id} is ${state}`),
    ...devices.map(({ action_id, key, state }) => `${action_id} on ${key} is ${state}`),
    ...commands.map(({ id, kind, state }) => `command ${kind} ${id} is ${state}`),
  ];
}

/** What both sides noted of drift, repairs and deletions. */
function events(store: DatabaseSync): string[] {
  const rows = store
    .prepare(
      "SELECT side, event, count(*) AS count FROM inventory_event GROUP BY side, event ORDER BY event",
    )
    .all() as { side: string; event: string; count: number }[];
  return rows.map(({ side, event, count }) => `${count} x ${event} (${side})`);
}

function openStore(scene: Scene): DatabaseSync {
  return new DatabaseSync(scene.storeOf("control-plane"), { readOnly: true });
}
