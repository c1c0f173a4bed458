import type { DatabaseSync } from "node:sqlite";
import { FIRST_CI } from "../../simulators/configmgr/application-classes.ts";
import type { Execution } from "../../simulators/configmgr/operations.ts";
import type { Scene } from "./scene.ts";
import { APPLICATIONS, applicationGuid } from "./settings.ts";
import { siteRows } from "./site-rows.ts";

/** Client notifications by their numbers at the site. */
const TYPES: Readonly<Record<string, string>> = {
  refreshMachinePolicy: "8",
  refreshUserPolicy: "9",
};
const INSTALLED = 1;

interface Success {
  readonly id: string;
  readonly key: string;
  readonly kind: string;
  readonly action: string;
  readonly subject: string | null;
}

/** What the cloud has as done on a device. */
export function successesIn(store: DatabaseSync): Success[] {
  return store
    .prepare(
      `SELECT a.id, d.key, a.kind, a.action, a.subject FROM device_action d JOIN site_action a ON a.id = d.action_id
       WHERE d.state = 'succeeded'`,
    )
    .all() as unknown as Success[];
}

/** Of these, what the site's devices never did. `markers` are those of the scripts' commands, as far as they are known. */
export async function unfounded(
  scene: Scene,
  successes: readonly Success[],
  markers: ReadonlyMap<string, string>,
): Promise<string[]> {
  const executions = (await scene.site.ask("executions")) as readonly Execution[];
  const counts = new Map<string, number>();
  for (const execution of executions) {
    const key = subjectOf(execution);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const installed = await installedOn(scene);
  return successes
    .filter((success) => {
      const key = wantedOf(success, markers, scene.seed);
      if (key === undefined || installed.has(key)) return false;
      const left = counts.get(key) ?? 0;
      // An installation for two commands may be one.
      if (success.kind !== "site.application") counts.set(key, left - 1);
      return left < 1;
    })
    .map(({ id, key, kind }) => `succeeded, and was never done: ${kind} ${id} on ${key}`);
}

/** Each execution is for one success at most. */
function subjectOf({ resourceId, kind, what, parameters }: Execution): string {
  if (kind === "script") return `${resourceId} script ${parameters["Marker"]}`;
  if (kind === "cmpivot") return `${resourceId} query ${markerIn(what)}`;
  return `${resourceId} ${kind} ${what}`;
}

/** Undefined where nobody could tell it from others. */
function wantedOf(
  { id, key, kind, action, subject }: Success,
  markers: ReadonlyMap<string, string>,
  seed: number,
): string | undefined {
  switch (kind) {
    case "site.script": {
      const marker = markers.get(id);
      return marker && `${key} script ${marker}`;
    }
    case "site.query":
      return `${key} query ${markerIn(subject ?? "")}`;
    case "site.notify":
      return `${key} notification ${TYPES[action]}`;
    case "site.application": {
      const numbers = Array.from({ length: APPLICATIONS }, (_, number) => number);
      const number = numbers.find((each) => applicationGuid(seed, each) === subject);
      return `${key} application Install ${number}`;
    }
    default:
      return undefined;
  }
}

const markerIn = (query: string) => /'(m\d+)'/.exec(query)?.[1];

/** What is installed needs no installation; what is said of devices that are gone nobody can check. */
async function installedOn(scene: Scene): Promise<{ has(key: string): boolean }> {
  const rows = await siteRows(scene, "wmi/SMS_AppDeploymentAssetDetails");
  const there = new Set(rows.map((row) => String(row["MachineID"])));
  const installed = new Set(
    rows
      .filter((row) => row["AppStatusType"] === INSTALLED)
      .map((row) => `${row["MachineID"]} application Install ${Number(row["AppCI"]) - FIRST_CI}`),
  );
  return {
    has(key) {
      const isOfGone = key.includes(" application ") && !there.has(key.split(" ")[0] ?? "");
      return isOfGone || installed.has(key);
    },
  };
}
