import type { Device } from "./device.ts";
import {
  alphabetical,
  type Column,
  date,
  type EntityClass,
  flag,
  int,
  type KeyRange,
  text,
  texts,
} from "./entity-class.ts";
import type { Fleet } from "./fleet.ts";
import type { SiteOptions } from "./site-options.ts";

const TENANT_ID = "2f1c6b0e-6a3d-4a0f-9a55-1f2d2f7c9b11";
const GROUPS = [
  ...["Domain Computers", "Workstation Admins", "BitLocker Escrow", "Wi-Fi Certificate Autoenrol"],
  ...["Pilot Ring 0", "Pilot Ring 1", "Broad Ring", "VPN Machines", "LAPS Readers", "Kiosk Exempt"],
];
const OUS = ["CORP.TEST/DEVICES", "CORP.TEST/DEVICES/EUROPE"];

/** Rows of one per device, in the order of ResourceIDs. */
export function* devicesIn(fleet: Fleet, ranges: readonly KeyRange[]): Generator<Device> {
  for (const { min, max } of ranges) yield* fleet.between(Math.ceil(min), Math.floor(max));
}

/** A class with one row for each device. */
export function perDevice(
  fleet: Fleet,
  of: Pick<EntityClass<Device>, "name" | "route" | "keys" | "columns">,
  has: (device: Device) => boolean = () => true,
): EntityClass<Device> {
  return {
    ...of,
    rows: function* (ranges) {
      for (const device of devicesIn(fleet, ranges)) if (has(device)) yield device;
    },
    byKey: (key) => {
      const device = fleet.device(Number(key));
      return device !== undefined && has(device) ? device : undefined;
    },
    deviceOf: (device) => device,
  };
}

/** Discovery data, the v1.0 devices, the online state and co-management. */
export function systemClasses(fleet: Fleet, options: SiteOptions): EntityClass[] {
  const siteCode = options.siteCode ?? "CM1";
  const key = options.systemKeyName ?? "ResourceId";
  const classes = [
    perDevice(fleet, {
      name: "Device",
      route: "v1.0",
      keys: ["MachineId"],
      columns: v1Columns(siteCode),
    }),
    perDevice(fleet, {
      name: "SMS_R_System",
      route: "wmi",
      keys: [key],
      columns: alphabetical(discoveryColumns(siteCode, key)),
    }),
    perDevice(fleet, {
      name: "SMS_CN_ClientStatus",
      route: "wmi",
      keys: ["ResourceID"],
      columns: alphabetical<Device>([
        int("ResourceID", ({ id }) => id),
        text("SMSID", ({ smsId }) => smsId),
        flag("OnlineStatus", ({ isOnline }) => isOnline),
        date("LastOnlineTime", ({ lastHeartbeat }) => lastHeartbeat),
        date("LastOfflineTime", (device) => (device.isOnline ? null : device.lastHeartbeat)),
        text("AccessMP", () => `mp1.${options.providerFqdn ?? "corp.test"}`),
      ]),
    }),
    perDevice(fleet, {
      name: "SMS_Client_ComanagementState",
      route: "wmi",
      keys: ["ResourceId"],
      columns: alphabetical<Device>([
        int("ResourceId", ({ id }) => id),
        int("MachineId", ({ id }) => id),
        int("MDMEnrolled", ({ coManagement }) => (coManagement.mdmEnrolled ? 1 : 0)),
        int("MDMProvisioned", ({ coManagement }) => (coManagement.mdmEnrolled ? 1 : 0)),
        text("Authority", ({ coManagement }) => (coManagement.mdmEnrolled ? "Intune" : "")),
        int("ComgmtPolicyPresent", ({ coManagement }) => (coManagement.policyPresent ? 1 : 0)),
        int("CoManagementFlags", ({ coManagement }) => (coManagement.policyPresent ? 8193 : 1)),
      ]),
    }),
    perDevice(fleet, {
      name: "SMS_G_System_CH_ClientSummary",
      route: "wmi",
      keys: ["ResourceID"],
      columns: alphabetical(healthColumns(options)),
    }),
  ];
  return classes as unknown as EntityClass[];
}

/** 7 of LastHealthEvaluationResult is "succeeded" and 3 "failed"; LastEvaluationHealthy is 1 for a pass and 2 for a failure. */
function healthColumns(options: SiteOptions): readonly Column<Device>[] {
  const isActive = ({ health }: Device) => (health.isActive ? 1 : 0);
  const words = ({ health: { isActive: active, isPassed } }: Device) =>
    `${active ? "Active" : "Inactive"}/${isPassed ? "Pass" : "Fail"}`;
  const states = ["Active/Pass", "Active/Fail", "Active/Unknown", "Inactive/Pass", "Inactive/Fail"];
  const contact = ({ lastHeartbeat }: Device) => lastHeartbeat;
  return [
    int("ResourceID", ({ id }) => id),
    int("ClientActiveStatus", isActive),
    int("ClientState", (device) => states.indexOf(words(device)) + 1),
    text("ClientStateDescription", words),
    int("ClientRemediationSuccess", () => null),
    date("ExpectedNextPolicyRequest", (device) => contact(device) + 3_600_000),
    int("IsActiveDDR", isActive),
    int("IsActiveHW", isActive),
    int("IsActivePolicyRequest", isActive),
    int("IsActiveStatusMessages", isActive),
    int("IsActiveSW", () => 0),
    date("LastActiveTime", contact),
    date("LastDDR", contact),
    int("LastEvaluationHealthy", ({ health }) => (health.isPassed ? 1 : 2)),
    date("LastHealthEvaluation", ({ lastHardwareScan }) => lastHardwareScan),
    int("LastHealthEvaluationResult", ({ health }) => (health.isPassed ? 7 : 3)),
    date("LastHW", ({ lastHardwareScan }) => lastHardwareScan),
    text("LastMPServerName", () => `mp1.${options.providerFqdn ?? "corp.test"}`),
    date("LastOnline", contact),
    date("LastPolicyRequest", contact),
    date("LastStatusMessage", contact),
    date("LastSW", () => null),
  ];
}

function v1Columns(siteCode: string): readonly Column<Device>[] {
  return [
    int("MachineId", ({ id }) => id),
    text("ArchitectureKey", () => "5"),
    text("Name", ({ name }) => name),
    text("SMSID", ({ smsId }) => smsId),
    text("SiteCode", () => siteCode),
    text("Domain", () => "CORP"),
    text("ClientVersion", (device) => clientVersion(device)),
    int("IsClient", () => 1),
    int("IsObsolete", () => 0),
    int("IsActive", () => 1),
    flag("CNIsOnline", ({ isOnline }) => isOnline),
    date("CNLastOnlineTime", ({ lastHeartbeat }) => lastHeartbeat),
    text("AADDeviceID", ({ entraDeviceId }) => entraDeviceId),
    text("AADTenantID", () => TENANT_ID),
    text("AADPrimaryUserID", ({ primaryUser }) => `${primaryUser}@corp.test`),
    text("PrimaryUser", ({ primaryUser }) => `CORP\\${primaryUser}`),
    text("LastLogonUser", ({ primaryUser }) => primaryUser),
    text("DeviceOS", ({ system }) => system[2]),
    text("DeviceOSBuild", (device) => device.build(device.inventoryRevision)),
    text("Manufacturer", ({ manufacturer }) => manufacturer),
    text("Model", ({ model }) => model),
    text("SerialNumber", ({ serialNumber }) => serialNumber),
    text("DomainNames", () => "corp.test"),
    int("SKU", ({ system }) => (system[3] === "SRV" ? 7 : 4)),
    text("ADSiteName", ({ location }) => location),
    text("MACAddress", ({ macAddress }) => macAddress),
    int("CoManaged", ({ coManagement: { mdmEnrolled, policyPresent } }) =>
      mdmEnrolled && policyPresent ? 1 : 0,
    ),
    date("LastActiveTime", ({ lastHeartbeat }) => lastHeartbeat),
    date("LastDDR", ({ lastHeartbeat }) => lastHeartbeat),
    date("LastHardwareScan", ({ lastHardwareScan }) => lastHardwareScan),
    date("LastPolicyRequest", ({ lastHeartbeat }) => lastHeartbeat),
  ];
}

function discoveryColumns(siteCode: string, key: string): readonly Column<Device>[] {
  const agents = ["Heartbeat Discovery", "SMS_AD_SYSTEM_DISCOVERY_AGENT", "MP_ClientRegistration"];
  return [
    int(key, ({ id }) => id),
    text("Name", ({ name }) => name),
    text("NetbiosName", ({ name }) => name.slice(0, 15)),
    text("SMSUniqueIdentifier", ({ smsId }) => smsId),
    text("SMBIOSGUID", ({ smbiosGuid }) => smbiosGuid),
    text("HardwareID", (device) => `2:${device.smbiosGuid.replaceAll("-", "")}`),
    text("AADDeviceID", ({ entraDeviceId }) => entraDeviceId),
    text("AADTenantID", () => TENANT_ID),
    text("AADPrimaryUserID", ({ primaryUser }) => `${primaryUser}@corp.test`),
    text("ADSiteName", ({ location }) => location),
    texts("AgentName", () => agents),
    texts("AgentSite", () => [siteCode, siteCode, siteCode]),
    {
      name: "AgentTime",
      type: "Collection(Edm.DateTimeOffset)",
      get: (device) => [device.lastHeartbeat, device.createdAt, device.createdAt],
    },
    int("Active", () => 1),
    int("AlwaysInternet", () => 0),
    text("Build", ({ system }) => system[1]),
    text("BuildExt", (device) => device.build(device.inventoryRevision)),
    int("Client", () => 1),
    int("ClientEdition", () => 0),
    int("ClientType", () => 1),
    text("ClientVersion", (device) => clientVersion(device)),
    text("CPUType", () => "Intel64 Family 6 Model 154 Stepping 3"),
    date("CreationDate", ({ createdAt }) => createdAt),
    int("Decommissioned", () => 0),
    text("DeviceOwner", () => "1"),
    text("DistinguishedName", ({ name }) => `CN=${name},OU=EUROPE,OU=DEVICES,DC=corp,DC=test`),
    text("FullDomainName", () => "CORP.TEST"),
    int("InternetEnabled", () => 0),
    texts("IPAddresses", ({ ipAddress, macAddress }) => [
      ipAddress,
      `fe80::${macAddress.slice(9, 11)}:${macAddress.slice(12, 14)}${macAddress.slice(15)}`.toLowerCase(),
    ]),
    texts("IPSubnets", ({ subnet }) => [subnet]),
    texts("IPv6Addresses", () => []),
    texts("IPv6Prefixes", () => []),
    flag("IsAssignedToUser", () => false),
    flag("IsClientAMT30Compatible", () => false),
    flag("IsMachineChangesPersisted", () => true),
    flag("IsVirtualMachine", ({ manufacturer }) => manufacturer === "VMware, Inc."),
    date("LastLogonTimestamp", ({ lastHeartbeat }) => lastHeartbeat),
    text("LastLogonUserDomain", () => "CORP"),
    text("LastLogonUserName", ({ primaryUser }) => primaryUser),
    texts("MACAddresses", ({ macAddress }) => [macAddress]),
    text("ManagementAuthority", ({ coManagement }) => (coManagement.mdmEnrolled ? "Intune" : "")),
    text("MDMDeviceCategoryID", () => null),
    text("Model", ({ model }) => model),
    text("Manufacturer", ({ manufacturer }) => manufacturer),
    int("Obsolete", () => 0),
    int("OSBranch", () => 0),
    text("OperatingSystemNameandVersion", ({ system }) => system[2]),
    text("PreviousSMSUUID", () => null),
    int("PrimaryGroupID", () => 515),
    text("ResourceDomainORWorkgroup", () => "CORP"),
    texts("ResourceNames", ({ name }) => [`${name}.corp.test`]),
    int("ResourceType", () => 5),
    texts("SecurityGroupName", (device) => groupsOf(device)),
    text("SerialNumber", ({ serialNumber }) => serialNumber),
    text("SID", (device) => sidOf(device)),
    int("SKU", ({ system }) => (system[3] === "SRV" ? 7 : 4)),
    texts("SMSAssignedSites", () => [siteCode]),
    texts("SMSInstalledSites", () => [siteCode]),
    texts("SMSResidentSites", () => [siteCode]),
    date("SMSUUIDChangeDate", ({ createdAt }) => createdAt),
    text("SNMPCommunityName", () => null),
    texts("SystemContainerName", () => []),
    texts("SystemGroupName", (device) => groupsOf(device)),
    texts("SystemOUName", ({ location }) => [...OUS, `CORP.TEST/DEVICES/EUROPE/${location}`]),
    texts("SystemRoles", () => []),
    int("Unknown", () => null),
    int("UserAccountControl", () => 4096),
    text("VirtualMachineHostName", () => ""),
    int("WipeStatus", () => null),
  ];
}

function clientVersion(device: Device): string {
  return device.bits(40) % 10 < 8 ? "5.00.9141.1011" : "5.00.9132.1023";
}

const GROUP_LISTS = Array.from({ length: 1 << GROUPS.length }, (_, bits) =>
  Object.freeze(
    GROUPS.filter((_group, index) => ((bits >>> index) & 1) === 1).map((name) => `CORP\\${name}`),
  ),
);

function groupsOf(device: Device): readonly string[] {
  return GROUP_LISTS[device.bits(41) % GROUP_LISTS.length] ?? [];
}

function sidOf(device: Device): string {
  return `S-1-5-21-${device.options.seed}-1180699209-877415012-${device.id}`;
}
