import { type PivotQuery, type PivotRow, type Stage, valueIn } from "./cmpivot-query.ts";
import type { Device } from "./device.ts";
import { instancesOf, productName, productVersion, programCount } from "./inventory-classes.ts";
import { badQuery } from "./odata-refusal.ts";

/** What a client sends at most for one query; the rest is cut without a word (documented: 128 KB). */
const CLIENT_BYTES = 131_072;
/** On the device these run; the first of the others, and all behind it, run on what all devices sent. */
const CLIENT_STAGES = ["where", "project"];

const ENTITIES: Readonly<Record<string, (device: Device, argument?: string) => PivotRow[]>> = {
  device: (device) => [
    {
      Name: device.name,
      Manufacturer: device.manufacturer,
      Model: device.model,
      SerialNumber: device.serialNumber,
    },
  ],
  operatingsystem: (device) => instancesOf("OPERATING_SYSTEM", device),
  os: (device) => instancesOf("OPERATING_SYSTEM", device),
  computersystem: (device) => instancesOf("COMPUTER_SYSTEM", device),
  bios: (device) => instancesOf("PC_BIOS", device),
  logicaldisk: (device) => instancesOf("LOGICAL_DISK", device),
  disk: (device) => instancesOf("LOGICAL_DISK", device),
  user: (device) => [{ UserName: `CORP\\${device.primaryUser}` }],
  administrators: (device) => [
    { ObjectClass: "User", Name: `${device.name}\\Administrator`, PrincipalSource: "Local" },
    { ObjectClass: "Group", Name: "CORP\\Workstation Admins", PrincipalSource: "ActiveDirectory" },
  ],
  installedsoftware: (device) => installedSoftware(device),
  service: (device) => [
    { Name: "CcmExec", State: "Running", StartMode: "Auto" },
    {
      Name: "Spooler",
      State: device.bits(190) % 8 === 0 ? "Stopped" : "Running",
      StartMode: "Auto",
    },
  ],
  registry: (device, key) => [
    { Property: "ProductId", Value: `00330-${device.serialNumber}-AAOEM`, Key: key ?? "" },
  ],
  // Of a size of its own: a test of the limit of what a client sends.
  eventlog: (device, log) =>
    Array.from({ length: 2_000 }, (_, index) => ({
      DateTime: device.lastHeartbeat - index * 60_000,
      LogName: log ?? "Application",
      EventId: 1_000 + (device.bits(200 + index) % 9_000),
      Message: `Event ${index} of ${device.name}, told at a length that is usual for messages of Windows.`,
    })),
};

export function requireEntity({ entity }: PivotQuery): void {
  if (ENTITIES[entity.toLowerCase()] === undefined) throw badQuery(`Unknown entity '${entity}'.`);
}

/** What one device answers: the stages that run on it, and no more than it may send. */
export function runOnDevice({ entity, argument, stages }: PivotQuery, device: Device): PivotRow[] {
  const read = ENTITIES[entity.toLowerCase()];
  let rows: PivotRow[] = (read?.(device, argument) ?? []).map((row) => ({
    Device: device.name,
    ...row,
  }));
  for (const stage of stages) {
    if (!CLIENT_STAGES.includes(stage.kind)) break;
    rows = apply(stage, rows);
  }
  return withinBytes(rows);
}

/** What the console or the service makes of all devices' rows. */
export function combine({ stages }: PivotQuery, rows: readonly PivotRow[]): readonly PivotRow[] {
  const first = stages.findIndex(({ kind }) => !CLIENT_STAGES.includes(kind));
  if (first < 0) return rows;
  return stages.slice(first).reduce<readonly PivotRow[]>((all, stage) => apply(stage, all), rows);
}

function apply(stage: Stage, rows: readonly PivotRow[]): PivotRow[] {
  switch (stage.kind) {
    case "where":
      return rows.filter(stage.test);
    case "project":
      return rows.map((row) => withColumns(row, stage.columns));
    case "distinct":
      return summarized(rows, stage.columns).map(({ row }) => row);
    case "count":
      return [{ Count: rows.length }];
    case "take":
      return rows.slice(0, stage.count);
    case "order":
      return ordered(rows, stage.by, stage.isDescending).slice(0, stage.most);
    case "summarize":
      return summarized(rows, stage.by).map(({ row, count }) => ({ ...row, [stage.as]: count }));
  }
}

function withColumns(row: PivotRow, columns: readonly string[]): PivotRow {
  // Results name the device they are from whatever was asked for.
  return {
    ...(Object.hasOwn(row, "Device") && { Device: row["Device"] }),
    ...Object.fromEntries(columns.map((name) => [name, valueIn(row, name)])),
  };
}

function summarized(rows: readonly PivotRow[], by: readonly string[]) {
  const groups = new Map<string, { readonly row: PivotRow; count: number }>();
  for (const row of rows) {
    const values = by.map((name) => [name, valueIn(row, name)] as const);
    const key = JSON.stringify(values).toLowerCase();
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { row: Object.fromEntries(values), count: 1 });
    else group.count += 1;
  }
  return [...groups.values()];
}

function ordered(rows: readonly PivotRow[], by: string, isDescending: boolean): PivotRow[] {
  const sign = isDescending ? -1 : 1;
  return rows.toSorted((left, right) => {
    const [a, b] = [valueIn(left, by), valueIn(right, by)] as [string, string];
    return a === b ? 0 : (a < b ? -1 : 1) * sign;
  });
}

function withinBytes(rows: readonly PivotRow[]): PivotRow[] {
  let bytes = 0;
  const kept = rows.findIndex((row) => {
    bytes += Buffer.byteLength(JSON.stringify(row));
    return bytes > CLIENT_BYTES;
  });
  return rows.slice(0, kept < 0 ? rows.length : kept);
}

function installedSoftware(device: Device): PivotRow[] {
  const revision = device.inventoryRevision;
  return Array.from({ length: programCount(device) }, (_, index) => ({
    ProductName: productName(device, index),
    ProductVersion: productVersion({ device, index, revision }),
    Publisher: "Contoso GmbH",
  }));
}
