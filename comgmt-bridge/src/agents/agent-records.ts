import type { ReadRecord } from "../core/inventory-state.ts";
import {
  firstRow,
  type InventoryDocument,
  type InventoryRow,
} from "../protocol/inventory-document/inventory-document.ts";

/**
 * Sections that become facets of their own, under the agent's names. Left out are ENVS, PROCESSES, REGISTRY and LICENSEINFOS, which hold
 * secrets or change by the minute, and USERS and ACCESSLOG, of which `volatile` has what counts.
 */
export const SECTIONS = [
  ...["ANTIVIRUS", "BATTERIES", "BIOS", "CONTROLLERS", "CPUS", "DRIVES", "FIREWALL", "HARDWARE"],
  ...["INPUTS", "LOCAL_GROUPS", "LOCAL_USERS", "LOGICAL_VOLUMES", "MEMORIES", "MODEMS", "MONITORS"],
  ...["NETWORKS", "OPERATINGSYSTEM", "PHYSICAL_VOLUMES", "PORTS", "POWERSUPPLIES", "PRINTERS"],
  ...["REMOTE_MGMT", "SLOTS", "SOFTWARES", "SOUNDS", "STORAGES", "USBDEVICES", "VIDEOS"],
  ...["VIRTUALMACHINES", "VOLUME_GROUPS"],
] as const;

/** What changes with each document and says nothing of the device; and Windows' product key. */
const LEFT_OUT: Readonly<Record<string, readonly string[]>> = {
  HARDWARE: [
    ...["CHECKSUM", "DATELASTLOGGEDUSER", "ETIME", "LASTDATE", "LASTLOGGEDUSER", "RUNNINGTIME"],
    ...["UPTIME", "WINPRODKEY"],
  ],
  OPERATINGSYSTEM: ["BOOT_TIME"],
};
/** Of software what tells it apart: lists of a thousand have to fit a facet. */
const SOFTWARE_FIELDS: ReadonlySet<string> = new Set([
  ...["ARCH", "FROM", "GUID", "INSTALLDATE", "NAME", "PUBLISHER", "VERSION"],
]);

/** Facets that every record of a document is read with. */
export const FACETS: readonly string[] = ["identity", "stable", "volatile", ...SECTIONS];

/** `writtenAt` is when the document was written, in ms. */
export function recordOf(document: InventoryDocument, writtenAt: number): ReadRecord {
  const bios = firstRow(document, "BIOS");
  const hardware = firstRow(document, "HARDWARE");
  const system = firstRow(document, "OPERATINGSYSTEM");
  const access = firstRow(document, "ACCESSLOG");
  const facets: Record<string, unknown> = {
    identity: {
      deviceId: document.deviceId,
      name: hardware["NAME"] ?? system["HOSTNAME"] ?? system["DNS_DOMAIN"],
      domain: system["DNS_DOMAIN"] ?? hardware["WORKGROUP"],
      fqdn: system["FQDN"],
      uuid: hardware["UUID"],
      serialNumber: bios["SSN"],
      assetTag: bios["ASSETTAG"],
    },
    stable: {
      manufacturer: bios["SMANUFACTURER"] ?? bios["BMANUFACTURER"],
      model: bios["SMODEL"] ?? bios["MMODEL"],
      chassisType: hardware["CHASSIS_TYPE"],
      virtualization: hardware["VMSYSTEM"],
      operatingSystem: system["FULL_NAME"] ?? hardware["OSNAME"],
      osVersion: system["VERSION"] ?? hardware["OSVERSION"],
      kernel: system["KERNEL_VERSION"],
      architecture: system["ARCH"] ?? hardware["ARCHNAME"],
      clientVersion: document.agent,
    },
    volatile: {
      lastSeenAt: new Date(writtenAt).toISOString(),
      inventoriedAt: access["LOGDATE"],
      lastLoggedUser: hardware["LASTLOGGEDUSER"],
      bootTime: system["BOOT_TIME"],
    },
    ...Object.fromEntries(
      SECTIONS.flatMap((section) => {
        const rows = document.sections.get(section);
        return rows === undefined || rows.length === 0
          ? []
          : [[section, rows.map(lasting(section))]];
      }),
    ),
  };
  return {
    key: document.deviceId,
    facets: Object.fromEntries(
      Object.entries(facets).map(([name, value]) => [name, JSON.stringify(value)]),
    ),
  };
}

function lasting(section: string): (row: InventoryRow) => InventoryRow {
  const leftOut = LEFT_OUT[section] ?? [];
  const isKept =
    section === "SOFTWARES"
      ? (name: string) => SOFTWARE_FIELDS.has(name)
      : (name: string) => !leftOut.includes(name);
  return (row) => Object.fromEntries(Object.entries(row).filter(([name]) => isKept(name)));
}
