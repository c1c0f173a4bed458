import { DatabaseSync } from "node:sqlite";
import type { Scene } from "./scene.ts";
import { CLASSES, SITE } from "./settings.ts";
import { type Rows, siteRows } from "./site-rows.ts";

/** What the cloud has that the site has not, and the other way round. */

const MOST_TOLD = 10;

interface Difference {
  readonly what: string;
  /** Whether it is a device that the site has no more. */
  readonly isGone?: true;
}

/** None where the cloud has what the site has. */
export async function differences(scene: Scene): Promise<readonly Difference[]> {
  const site = await siteDevices(scene);
  const lists = await siteLists(scene);
  const memberships = await siteMemberships(scene);
  using store = new DatabaseSync(scene.storeOf("control-plane"), { readOnly: true });
  const found = [
    ...deviceDifferences(store, site),
    ...[...lists].flatMap(([kind, keys]) => listDifferences(kind, cloudKeys(store, kind), keys)),
    ...listDifferences("membership", cloudMemberships(store), memberships),
  ];
  return found
    .sort((a, b) => Number(b.isGone ?? false) - Number(a.isGone ?? false))
    .slice(0, MOST_TOLD);
}

function deviceDifferences(store: DatabaseSync, site: Map<string, SiteDevice>): Difference[] {
  const records = recordsOf(store, "device");
  const cloud = new Map(records.map((record) => [record.key, record]));
  const found: Difference[] = [];
  for (const [key, { name, classes }] of site) {
    const record = cloud.get(key);
    if (record === undefined) found.push({ what: `${key} is missing` });
    else if (record.name !== name) {
      found.push({ what: `${key} is called ${record.name}, not ${name}` });
    } else found.push(...classDifferences(store, record.id, key, classes));
  }
  for (const key of cloud.keys()) {
    if (!site.has(key)) found.push({ what: `${key} is gone at the site`, isGone: true });
  }
  return found;
}

interface StoredRecord {
  readonly id: number;
  readonly key: string;
  readonly name: string | null;
}

function recordsOf(store: DatabaseSync, kind: string): StoredRecord[] {
  return store
    .prepare(
      `SELECT r.id, r.key, r.name FROM inventory_record r JOIN inventory_source s ON s.id = r.source_id
       WHERE s.name = ? AND r.kind = ? AND r.deleted_at IS NULL`,
    )
    .all(SITE, kind) as unknown as StoredRecord[];
}

const cloudKeys = (store: DatabaseSync, kind: string) =>
  new Set(recordsOf(store, kind).map(({ key }) => key));

function cloudMemberships(store: DatabaseSync): Set<string> {
  const rows = store
    .prepare(
      `SELECT r.key, m.collection_key AS collection FROM inventory_membership m
       JOIN inventory_record r ON r.id = m.record_id JOIN inventory_source s ON s.id = r.source_id
       WHERE s.name = ? AND r.kind = 'device' AND r.deleted_at IS NULL`,
    )
    .all(SITE) as { key: string; collection: string }[];
  return new Set(rows.map(({ key, collection }) => `${key} in ${collection}`));
}

function listDifferences(
  kind: string,
  cloud: ReadonlySet<string>,
  site: ReadonlySet<string>,
): Difference[] {
  return [
    ...[...site]
      .filter((key) => !cloud.has(key))
      .map((key) => ({ what: `${kind} ${key} is missing` })),
    ...[...cloud]
      .filter((key) => !site.has(key))
      .map((key) => ({ what: `${kind} ${key} is too many` })),
  ];
}

function classDifferences(
  store: DatabaseSync,
  recordId: number,
  key: string,
  classes: ReadonlyMap<string, string>,
): Difference[] {
  return [...classes].flatMap(([name, rows]) => {
    const facet = store
      .prepare("SELECT value FROM inventory_facet WHERE record_id = ? AND facet = ?")
      .get(recordId, name) as { value: string } | undefined;
    const kept = facet === undefined ? "" : comparable(JSON.parse(facet.value) as Rows);
    return kept === rows ? [] : [{ what: `${key} has another ${name}` }];
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

/** Keys of what is told besides devices, by kind. */
async function siteLists(scene: Scene): Promise<Map<string, Set<string>>> {
  const keys = async (path: string, column: string) =>
    new Set((await siteRows(scene, path)).map((row) => String(row[column])));
  return new Map([
    ["user", await keys("wmi/SMS_R_User", "ResourceId")],
    ["collection", await keys("wmi/SMS_Collection", "CollectionID")],
    ["software-update", await keys("wmi/SMS_SoftwareUpdate", "CI_ID")],
  ]);
}

async function siteMemberships(scene: Scene): Promise<Set<string>> {
  const rows = await siteRows(scene, "wmi/SMS_FullCollectionMembership");
  return new Set(rows.map((row) => `${row["ResourceID"]} in ${row["CollectionID"]}`));
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
