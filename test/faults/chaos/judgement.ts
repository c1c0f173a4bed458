import { writeFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { json } from "node:stream/consumers";
import { BRIDGES, CLASSES, type Machine, type Scene, SITE, soon, TOKEN } from "./scene.ts";

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
const MACHINES: readonly Machine[] = ["control-plane", ...BRIDGES];
const FINAL = ["succeeded", "failed", "expired", "cancelled", "refused", "unknown"];

const GONE = "is gone at the site";

type Rows = readonly Readonly<Record<string, unknown>>[];

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
        last = found.join("; ");
        if (found.some((what) => what.endsWith(GONE))) await approveDeletions(scene);
        return last === "";
      },
      EQUAL_WITHIN_MS,
    );
  } catch (error) {
    throw new Error(`the cloud does not equal the site: ${last}`, { cause: error });
  }
  say(`equal after ${Math.round((performance.now() - began) / 1_000)} s`);
}

/** What somebody on the host does who has looked at the site: with rights as they should be, what is still missing is gone. */
async function approveDeletions(scene: Scene): Promise<void> {
  const words = ["deletions", "approve", SITE, "device"];
  // That one has nothing to approve, or is not there, is no matter.
  await Promise.allSettled(BRIDGES.map((bridge) => scene.command(bridge, ...words)));
}

/** What the cloud has of devices that the site has not, and the other way round. */
async function differences(scene: Scene): Promise<string[]> {
  const site = await siteDevices(scene);
  using store = new DatabaseSync(storeOf(scene, "control-plane"), { readOnly: true });
  const records = store
    .prepare(
      `SELECT r.id, r.key, r.name FROM inventory_record r JOIN inventory_source s ON s.id = r.source_id
       WHERE s.name = ? AND r.kind = 'device' AND r.deleted_at IS NULL`,
    )
    .all(SITE) as { id: number; key: string; name: string | null }[];
  const cloud = new Map(records.map((record) => [record.key, record]));
  const found: string[] = [];
  for (const [key, { name, classes }] of site) {
    const record = cloud.get(key);
    if (record === undefined) found.push(`${key} is missing`);
    else if (record.name !== name) found.push(`${key} is called ${record.name}, not ${name}`);
    else found.push(...classDifferences(store, record.id, key, classes));
  }
  for (const key of cloud.keys()) if (!site.has(key)) found.push(`${key} ${GONE}`);
  return found.slice(0, 10);
}

function classDifferences(
  store: DatabaseSync,
  recordId: number,
  key: string,
  classes: ReadonlyMap<string, string>,
): string[] {
  return [...classes].flatMap(([name, rows]) => {
    const facet = store
      .prepare("SELECT value FROM inventory_facet WHERE record_id = ? AND facet = ?")
      .get(recordId, name) as { value: string } | undefined;
    const kept = facet === undefined ? "" : comparable(JSON.parse(facet.value) as Rows);
    return kept === rows ? [] : [`${key} has another ${name}`];
  });
}

interface SiteDevice {
  readonly name: string;
  /** Rows of each class, in a text that can be compared. */
  readonly classes: Map<string, string>;
}

async function siteDevices(scene: Scene): Promise<Map<string, SiteDevice>> {
  const devices = new Map<string, SiteDevice>();
  for (const row of await siteRows(scene, "v1.0/Device")) {
    devices.set(String(row["MachineId"]), { name: String(row["Name"]), classes: new Map() });
  }
  for (const name of CLASSES) {
    const byDevice = Map.groupBy(await siteRows(scene, `wmi/${name}`), (row) =>
      String(row["ResourceID"]),
    );
    for (const [key, rows] of byDevice) devices.get(key)?.classes.set(name, comparable(rows));
  }
  return devices;
}

/** Of a row's report rather than of what it tells: a facet has none of it. */
const REPORT = new Set(["ResourceID", "RevisionID", "TimeStamp"]);

/** Without what the service adds, what is empty, and whatever the order. */
function comparable(rows: Rows): string {
  return rows
    .map((row) =>
      Object.entries(row)
        .filter(
          ([name, value]) => !/^(__|@odata\.)/.test(name) && value !== null && !REPORT.has(name),
        )
        .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
        .sort()
        .join(","),
    )
    .sort()
    .join("\n");
}

/** Asked of the simulator itself, past the line that was cut. */
async function siteRows(scene: Scene, path: string): Promise<Rows> {
  const asked = request(`https://localhost:${scene.sitePort}/AdminService_TokenAuth/${path}`, {
    headers: { authorization: `Bearer ${TOKEN}` },
    ca: scene.siteAuthority(),
  });
  const answer = await new Promise<import("node:http").IncomingMessage>((resolve, reject) => {
    asked.once("response", resolve).once("error", reject).end();
  });
  return ((await json(answer)) as { value: Rows }).value;
}

/** After `healed`: whether anything was repeated or left without an end. */
export async function judge(
  scene: Scene,
  asked: readonly string[],
  say: (line: string) => void,
): Promise<Judgement> {
  say(`waiting for the end of ${asked.length} actions`);
  let open: string[] = [];
  // Devices that stay offline let an action wait until it expires; of what a restored bridge has forgotten the control plane hears no more, and ends it after an hour.
  for (const machine of MACHINES) writeFileSync(scene.clockFileOf(machine), String(LATER_MS));
  await soon(
    "every action to end",
    async () => {
      open = openActions(scene);
      return open.length === 0;
    },
    FINAL_WITHIN_MS,
  ).catch(() => undefined);
  using store = new DatabaseSync(storeOf(scene, "control-plane"), { readOnly: true });
  const states = store
    .prepare("SELECT state, count(*) AS count FROM site_action GROUP BY state")
    .all() as { state: string; count: number }[];
  const wordless = store
    .prepare("SELECT id FROM site_action WHERE state = 'unknown' AND coalesce(reason, '') = ''")
    .all();
  const repeated = await scene.site.ask("repeated");
  const scripts = Object.entries(repeated as Record<string, number>).filter(([what]) =>
    / script /.test(what),
  );
  const executions = (await scene.site.ask("executions")) as readonly { kind: string }[];
  return {
    figures: [
      ...states.map(({ state, count }) => `${count} actions ${state}`),
      `${executions.filter(({ kind }) => kind === "script").length} scripts ran on devices`,
      ...events(store),
    ],
    faulty: [
      ...open.map((what) => `has no end: ${what}`),
      ...wordless.map(({ id }) => `unknown without a reason: ${id}`),
      ...digestsThatDiffer(store),
      ...scripts.map(([what, count]) => `ran ${count} times: ${what}`),
    ],
  };
}

/** Of each kind the digest that was compared last. */
function digestsThatDiffer(store: DatabaseSync): string[] {
  const last = store
    .prepare(
      `SELECT kind, event, max(id) FROM inventory_event
       WHERE side = 'cloud' AND event IN ('digest.same', 'digest.differs') GROUP BY kind`,
    )
    .all() as { kind: string; event: string }[];
  if (last.length === 0) return ["no digest was compared"];
  return last
    .filter(({ event }) => event !== "digest.same")
    .map(({ kind }) => `the digests of kind ${kind} differ`);
}

function openActions(scene: Scene): string[] {
  using store = new DatabaseSync(storeOf(scene, "control-plane"), { readOnly: true });
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

function storeOf(scene: Scene, machine: Machine): string {
  return join(scene.stateOf(machine), "store.db");
}
