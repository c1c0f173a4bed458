import type { Device } from "./device.ts";
import { alphabetical, type Column, date, type EntityClass, int, text } from "./entity-class.ts";
import type { Fleet } from "./fleet.ts";
import { hex8, mix, pick } from "./random-values.ts";
import { devicesIn } from "./system-classes.ts";

/** One instance of a hardware-inventory class on a device, as one report told it. */
export interface Instance {
  readonly device: Device;
  /** From 0. */
  readonly index: number;
  readonly revision: number;
}

/** What an inventory class reports of a device. */
interface InventoryClass {
  readonly name: string;
  readonly columns: readonly Column<Instance>[];
  readonly count: (device: Device) => number;
}

const WEEK_MS = 7 * 86_400_000;
const PUBLISHERS = [
  "Contoso GmbH",
  "Fabrikam, Inc.",
  "Microsoft Corporation",
  "Northwind",
  "Tailspin",
];
const PRODUCTS = [
  ...["Archive Tool", "Audio Driver", "Backup Agent", "CAD Viewer", "Certificate Client"],
  ...["Chat", "Code Editor", "Database Driver", "Diagram Editor", "Disk Monitor", "Edge Runtime"],
  ...["Expense Client", "File Sync", "Font Pack", "Language Pack", "Mail Add-in", "Meeting Client"],
  ...[
    "Password Vault",
    "PDF Reader",
    "Print Driver",
    "Remote Assist",
    "Scanner Driver",
    "VPN Client",
  ],
];

const CLASSES: readonly InventoryClass[] = [
  {
    name: "OPERATING_SYSTEM",
    count: () => 1,
    columns: [
      text("Caption", ({ device }) => device.system[0]),
      text("Version", ({ device }) => device.system[1]),
      text("BuildNumber", ({ device }) => device.system[1].slice(5)),
      text("BuildExt", ({ device, revision }) => device.build(revision)),
      text("CSDVersion", () => null),
      text("Description", () => ""),
      date("InstallDate", ({ device }) => device.createdAt),
      date("LastBootUpTime", (instance) => timeStampOf(instance) - 3_600_000),
      text("Locale", () => "0409"),
      text("OSArchitecture", () => "64-bit"),
      int("OSLanguage", () => 1033),
      int("OperatingSystemSKU", ({ device }) => (device.system[3] === "SRV" ? 7 : 4)),
      text("RegisteredUser", () => "CORP"),
      text("SystemDirectory", () => "C:\\WINDOWS\\system32"),
      int("TotalVisibleMemorySize", ({ device }) => device.memoryKilobytes),
      text("WindowsDirectory", () => "C:\\WINDOWS"),
    ],
  },
  {
    name: "COMPUTER_SYSTEM",
    count: () => 1,
    columns: [
      text("Name", ({ device }) => device.name),
      text("Manufacturer", ({ device }) => device.manufacturer),
      text("Model", ({ device }) => device.model),
      text("Domain", () => "corp.test"),
      int("DomainRole", ({ device }) => (device.system[3] === "SRV" ? 3 : 1)),
      int("NumberOfProcessors", () => 1),
      int("CurrentTimeZone", () => 60),
      text("Roles", () => "LM_Workstation, LM_Server, NT"),
      text("Status", () => "OK"),
      text("SystemType", () => "x64-based PC"),
      text("UserName", ({ device }) => `CORP\\${device.primaryUser}`),
    ],
  },
  {
    name: "PC_BIOS",
    count: () => 1,
    columns: [
      text("SerialNumber", ({ device }) => device.serialNumber),
      text("Manufacturer", ({ device }) => device.manufacturer),
      text("Name", ({ device }) => `BIOS ${device.bits(50) % 30}`),
      date("ReleaseDate", ({ device }) => device.createdAt - WEEK_MS),
      text("SMBIOSBIOSVersion", ({ device }) => `1.${device.bits(50) % 30}.0`),
      text("Version", ({ device }) => `CORP - ${device.bits(50) % 30}`),
    ],
  },
  {
    name: "LOGICAL_DISK",
    count: (device) => 1 + (device.bits(51) % 3 === 0 ? 1 : 0),
    columns: [
      text("DeviceID", ({ index }) => (index === 0 ? "C:" : "D:")),
      text("Description", () => "Local Fixed Disk"),
      int("DriveType", () => 3),
      text("FileSystem", () => "NTFS"),
      int(
        "FreeSpace",
        ({ device, index, revision }) => device.bits(5_200 + index + revision * 8) % 400_000,
      ),
      int("Size", ({ device, index }) => 476_000 + (device.bits(53 + index) % 4) * 100_000),
      text("VolumeName", ({ index }) => (index === 0 ? "Windows" : "Daten")),
      text("VolumeSerialNumber", ({ device, index }) =>
        hex8(device.bits(55 + index)).toUpperCase(),
      ),
    ],
  },
  {
    name: "WORKSTATION_STATUS",
    count: () => 1,
    columns: [
      date("LastHardwareScan", (instance) => timeStampOf(instance)),
      date("LastReportVersion", (instance) => timeStampOf(instance)),
      int("LastReportNumber", ({ revision }) => revision),
      int("TimezoneOffset", () => 60),
    ],
  },
  {
    name: "ADD_REMOVE_PROGRAMS_64",
    count: programCount,
    columns: [
      text(
        "ProdID",
        ({ device, index }) => `{${hex8(programOf(device, index))}-0000-4000-8000-0050F2000000}`,
      ),
      text("DisplayName", ({ device, index }) => productName(device, index)),
      text("Publisher", ({ device, index }) => pick(PUBLISHERS, programOf(device, index))),
      text("Version", (instance) => productVersion(instance)),
      text("InstallDate", ({ device, index }) =>
        String(20_200_101 + (programOf(device, index) % 28)),
      ),
    ],
  },
];

/** SMS_G_System_* with what was reported last and SMS_GH_System_* with what was before. */
export function inventoryClasses(fleet: Fleet): EntityClass[] {
  return CLASSES.flatMap((of) => [
    entityClass(fleet, of, `SMS_G_System_${of.name}`, function* (device) {
      const revision = device.inventoryRevision;
      const count = of.count(device);
      for (let index = 0; index < count; index += 1) yield { device, index, revision };
    }),
    entityClass(fleet, of, `SMS_GH_System_${of.name}`, function* (device) {
      const count = of.count(device);
      for (let index = 0; index < count; index += 1) {
        for (let revision = device.inventoryRevision - 1; revision > 0; revision -= 1)
          yield { device, index, revision };
      }
    }),
  ]) as unknown as EntityClass[];
}

function entityClass(
  fleet: Fleet,
  { columns }: InventoryClass,
  name: string,
  instances: (device: Device) => Iterable<Instance>,
): EntityClass<Instance> {
  return {
    name,
    route: "wmi",
    keys: ["ResourceID", "GroupID"],
    columns: alphabetical<Instance>([
      int("ResourceID", ({ device }) => device.id),
      int("GroupID", ({ index }) => index + 1),
      int("RevisionID", ({ revision }) => revision),
      date("TimeStamp", timeStampOf),
      ...columns,
    ]),
    rows: function* (ranges) {
      for (const device of devicesIn(fleet, ranges)) yield* instances(device);
    },
    deviceOf: ({ device }) => device,
  };
}

/** When the report came: the last one at the last scan, those before a period apart. */
function timeStampOf({ device, revision }: Instance): number {
  const period = device.options.natural.inventoryEveryMs ?? WEEK_MS;
  return device.lastHardwareScan - (device.inventoryRevision - revision) * period;
}

/** About as many as the site's options say. */
export function programCount(device: Device): number {
  return Math.max(0, device.options.programsPerDevice + (device.bits(60) % 11) - 5);
}

function programOf(device: Device, index: number): number {
  return mix(device.bits(61) % 200, index);
}

export function productName(device: Device, index: number): string {
  const bits = programOf(device, index);
  return `${pick(PRODUCTS, bits)} ${index} (x64 edition for enterprises, build ${bits % 97})`;
}

/** Each report finds one program updated. */
export function productVersion({ device, index, revision }: Instance): string {
  const updates = Math.floor((revision + index) / Math.max(1, programCount(device)));
  return `${programOf(device, index) % 20}.${index % 10}.${updates}.0`;
}

/** What a class reports of one device now, for the live query. */
export function instancesOf(name: string, device: Device): Record<string, unknown>[] {
  const of = CLASSES.find((each) => each.name === name);
  if (of === undefined) return [];
  const revision = device.inventoryRevision;
  return Array.from({ length: of.count(device) }, (_, index) =>
    Object.fromEntries(
      of.columns.map((column) => [column.name, column.get({ device, index, revision })]),
    ),
  );
}
