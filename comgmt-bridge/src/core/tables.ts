import type { RecordKind } from "@isthmus/shared/link/inventory-messages";
import { aboutRowsPerDevice } from "./rows-per-device.ts";

/** Under `/v1.0` or `/wmi` of the AdminService. */
export interface ClassName {
  readonly route: "v1.0" | "wmi";
  readonly name: string;
}

/**
 * Which tables of a site's AdminService make up the records of each kind, and to which facet each column goes. What changes by itself
 * all the time is in no page that a scan compares: such columns are of tables with `reading: "seldom"`, or not asked for at all.
 * Columns that a site lacks are left out (`site/probe-tables.ts`), and so are tables, unless `isRequired`.
 */
export interface SiteTable {
  /** Among the tables of its kind: what its page is called where hashes are kept. */
  readonly id: string;
  readonly of: ClassName;
  /** As sites are known to spell it; the first that a row has. */
  readonly keyNames: readonly string[];
  /** Without it a kind cannot be read. */
  readonly isRequired: boolean;
  /** In every scan, or in the first and once in a longer period, besides what hints tell. */
  readonly reading: "always" | "seldom";
  /** About how many rows there are for one key; 1 says that there is never more than one. */
  readonly rowsPerKey: number;
  readonly content: TableContent;
}

export type TableContent =
  /** One row for a record: columns by facet. A facet may have columns of several tables. */
  | { readonly kind: "columns"; readonly facets: Readonly<Record<string, readonly string[]>> }
  /** Rows of a record become one list; all columns but those that move with every report. */
  | { readonly kind: "rows"; readonly facet: string; readonly columns?: readonly string[] }
  /** One column of all rows becomes a sorted list of texts. */
  | { readonly kind: "values"; readonly facet: string; readonly column: string };

/** How records of a kind are found. */
export interface KindTables {
  readonly kind: RecordKind;
  /** Its rows are the records; all other tables add to them. */
  readonly spine: SiteTable;
  readonly others: readonly SiteTable[];
  /** Numeric keys are read in ranges that never move; anything else is read whole. */
  readonly isInRanges: boolean;
}

/** SMS_R_System and SMS_R_User spell it so; some releases differ. */
export const SYSTEM_KEYS = ["ResourceId", "ResourceID"];
const INVENTORY_KEYS = ["ResourceID", "ResourceId"];

export const wmi = (name: string): ClassName => ({ route: "wmi", name });

/** Move with every report, whether or not anything else does, so no page may hold them. */
export const REPORT_COLUMNS: readonly string[] = ["TimeStamp", "RevisionID"];

const SYSTEM: SiteTable = {
  id: "SMS_R_System",
  of: wmi("SMS_R_System"),
  keyNames: SYSTEM_KEYS,
  isRequired: true,
  reading: "always",
  rowsPerKey: 1,
  content: {
    kind: "columns",
    facets: {
      identity: [
        ...["Name", "NetbiosName", "SMSUniqueIdentifier", "PreviousSMSUUID", "SMSUUIDChangeDate"],
        ...["SMBIOSGUID", "HardwareID", "SerialNumber", "SID", "AADDeviceID", "AADTenantID"],
        ...["DistinguishedName", "ResourceDomainORWorkgroup", "FullDomainName", "ResourceNames"],
        ...["MACAddresses", "CreationDate"],
      ],
      stable: [
        ...["Client", "ClientVersion", "ClientType", "ClientEdition", "Active", "Obsolete"],
        ...["Decommissioned", "Unknown", "ResourceType", "AgentName", "AlwaysInternet"],
        ...["InternetEnabled", "AADPrimaryUserID", "ADSiteName", "Build", "BuildExt", "OSBranch"],
        ...["OperatingSystemNameandVersion", "CPUType", "Manufacturer", "Model", "SKU"],
        ...["IPAddresses", "IPSubnets", "IPv6Addresses", "IsAssignedToUser", "IsVirtualMachine"],
        ...["VirtualMachineHostName", "LastLogonUserDomain", "LastLogonUserName"],
        ...["ManagementAuthority", "MDMDeviceCategoryID", "DeviceOwner", "PrimaryGroupID"],
        ...["SecurityGroupName", "SystemGroupName", "SystemOUName", "SystemContainerName"],
        ...["SystemRoles", "SMSAssignedSites", "SMSInstalledSites", "UserAccountControl"],
        "WipeStatus",
      ],
    },
  },
};

const DEVICE: SiteTable = {
  id: "Device",
  of: { route: "v1.0", name: "Device" },
  keyNames: ["MachineId"],
  isRequired: false,
  reading: "always",
  rowsPerKey: 1,
  content: {
    kind: "columns",
    facets: {
      stable: [
        ...["SiteCode", "Domain", "DomainNames", "IsClient", "CoManaged", "PrimaryUser"],
        ...["LastLogonUser", "DeviceOS", "DeviceOSBuild", "MACAddress"],
        ...[
          "DeviceCategory",
          "EndpointProtectionStatus",
          "EPDeploymentState",
          "SuppressAutoProvision",
        ],
      ],
    },
  },
};

/** Of the same class: what a device does by being there. */
const DEVICE_ACTIVITY: SiteTable = {
  ...DEVICE,
  id: "Device.activity",
  reading: "seldom",
  content: {
    kind: "columns",
    facets: {
      volatile: [
        ...["CNIsOnline", "CNLastOnlineTime", "CNLastOfflineTime", "CNAccessMP", "IsActive"],
        ...["LastActiveTime", "LastDDR", "LastHardwareScan", "LastSoftwareScan"],
        ...["LastPolicyRequest", "LastStatusMessage", "LastMPServerName"],
      ],
    },
  },
};

const CO_MANAGEMENT: SiteTable = {
  id: "SMS_Client_ComanagementState",
  of: wmi("SMS_Client_ComanagementState"),
  keyNames: INVENTORY_KEYS,
  isRequired: false,
  reading: "always",
  rowsPerKey: 1,
  content: {
    kind: "columns",
    facets: {
      stable: [
        ...["MDMEnrolled", "MDMProvisioned", "Authority", "ComgmtPolicyPresent"],
        ...["CoManagementFlags", "HybridAADJoined", "AADJoined", "AutoEnrollmentStatusCode"],
      ],
    },
  },
};

const CLIENT_HEALTH: SiteTable = {
  id: "SMS_CH_Summary",
  of: wmi("SMS_CH_Summary"),
  keyNames: INVENTORY_KEYS,
  isRequired: false,
  reading: "always",
  rowsPerKey: 1,
  content: {
    kind: "columns",
    facets: {
      health: [
        ...["ClientActiveStatus", "ClientState", "ClientStateDescription", "HealthType"],
        ...["LastEvaluationHealthy", "LastHealthEvaluationResult", "IsActiveDDR", "IsActiveHW"],
        ...["IsActivePolicyRequest", "IsActiveStatusMessages", "IsActiveSW"],
      ],
    },
  },
};

const MEMBERSHIP: SiteTable = {
  id: "SMS_FullCollectionMembership",
  of: wmi("SMS_FullCollectionMembership"),
  keyNames: INVENTORY_KEYS,
  isRequired: false,
  reading: "always",
  rowsPerKey: 8,
  content: { kind: "values", facet: "collections", column: "CollectionID" },
};

const CUSTOM_PROPERTIES: SiteTable = {
  id: "SMS_G_System_ExtensionData",
  of: wmi("SMS_G_System_ExtensionData"),
  keyNames: INVENTORY_KEYS,
  isRequired: false,
  reading: "always",
  rowsPerKey: 2,
  content: {
    kind: "rows",
    facet: "SMS_G_System_ExtensionData",
    columns: ["PropertyName", "PropertyValue"],
  },
};

const UPDATE_COMPLIANCE: SiteTable = {
  id: "SMS_UpdateComplianceStatus",
  of: wmi("SMS_UpdateComplianceStatus"),
  keyNames: ["MachineID"],
  isRequired: false,
  reading: "seldom",
  rowsPerKey: 64,
  content: { kind: "rows", facet: "updateCompliance", columns: ["CI_ID", "Status"] },
};

/** A class of hardware inventory, `SMS_G_System_*`: the facet has its name. */
function inventoryTable(name: string): SiteTable {
  return {
    id: name,
    of: wmi(name),
    keyNames: INVENTORY_KEYS,
    isRequired: false,
    reading: "seldom",
    rowsPerKey: aboutRowsPerDevice(name),
    content: { kind: "rows", facet: name },
  };
}

export interface DeviceTablesWanted {
  readonly inventoryClasses: readonly string[];
  readonly isUpdateComplianceRead: boolean;
}

export function deviceTables(wanted: DeviceTablesWanted): KindTables {
  const classes = wanted.inventoryClasses.filter((name) => name !== CUSTOM_PROPERTIES.id);
  return {
    kind: "device",
    spine: SYSTEM,
    others: [
      ...[DEVICE, CO_MANAGEMENT, CLIENT_HEALTH, MEMBERSHIP, CUSTOM_PROPERTIES, DEVICE_ACTIVITY],
      ...(wanted.isUpdateComplianceRead ? [UPDATE_COMPLIANCE] : []),
      ...classes.map(inventoryTable),
    ],
    isInRanges: true,
  };
}

/** Every column that a table's facets want; undefined where that is whatever the class has. */
export function wantedColumns({ content }: SiteTable): readonly string[] | undefined {
  switch (content.kind) {
    case "columns":
      return Object.values(content.facets).flat();
    case "values":
      return [content.column];
    case "rows":
      return content.columns;
  }
}

export function facetsOf({ content }: SiteTable): readonly string[] {
  return content.kind === "columns" ? Object.keys(content.facets) : [content.facet];
}
