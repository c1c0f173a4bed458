import { aboutRowsPerDevice } from "./rows-per-device.ts";
import { type KindTables, type SiteTable, SYSTEM_KEYS, wmi } from "./site-table.ts";

const INVENTORY_KEYS = ["ResourceID", "ResourceId"];

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
  ...wmiTable("SMS_Client_ComanagementState"),
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

/** What the console shows as client activity and client check; times in it move with each contact and are not asked for. */
const CLIENT_HEALTH: SiteTable = {
  ...wmiTable("SMS_G_System_CH_ClientSummary"),
  reading: "always",
  rowsPerKey: 1,
  content: {
    kind: "columns",
    facets: {
      health: [
        ...["ClientActiveStatus", "ClientState", "ClientStateDescription"],
        ...["LastEvaluationHealthy", "LastHealthEvaluationResult", "IsActiveDDR", "IsActiveHW"],
        ...["IsActivePolicyRequest", "IsActiveStatusMessages", "IsActiveSW"],
      ],
    },
  },
};

const MEMBERSHIP: SiteTable = {
  ...wmiTable("SMS_FullCollectionMembership"),
  reading: "always",
  rowsPerKey: 8,
  content: { kind: "values", facet: "collections", column: "CollectionID" },
};

const CUSTOM_PROPERTIES: SiteTable = {
  ...wmiTable("SMS_G_System_ExtensionData"),
  reading: "always",
  rowsPerKey: 2,
  content: {
    kind: "rows",
    facet: "SMS_G_System_ExtensionData",
    columns: ["PropertyName", "PropertyValue"],
  },
};

/**
 * Names of the boundary groups that a device is in, as the site's console lists them: one text, with commas between. The site itself
 * has it anew once a day. Beside it stands whether its client is blocked.
 */
const BOUNDARY_GROUPS: SiteTable = {
  ...wmiTable("SMS_CombinedDeviceResources"),
  reading: "seldom",
  rowsPerKey: 1,
  content: {
    kind: "columns",
    facets: { boundaryGroups: ["BoundaryGroups"], clientBlock: ["IsBlocked"] },
  },
};

const UPDATE_COMPLIANCE: SiteTable = {
  ...wmiTable("SMS_UpdateComplianceStatus", ["MachineID"]),
  reading: "seldom",
  rowsPerKey: 64,
  content: {
    kind: "rows",
    facet: "updateCompliance",
    columns: ["CI_ID", "Status", "LastEnforcementMessageID"],
  },
};

/** States of the applications that are deployed to a device, a row for each deployment type; `StartTime` is that of the deployment. */
const APPLICATION_STATES: SiteTable = {
  ...wmiTable("SMS_AppDeploymentAssetDetails", ["MachineID"]),
  reading: "seldom",
  rowsPerKey: 16,
  content: {
    kind: "rows",
    facet: "applicationStates",
    columns: [
      ...["AppCI", "AppName", "AppStatusType", "AssignmentID", "CollectionID", "DeploymentIntent"],
      ...["DTCI", "DTName", "EnforcementState", "InstalledState", "StartTime", "UserName"],
    ],
  },
};

/** Codes of those that failed: a facet of its own, so that states come where these rows do not. */
const APPLICATION_ERRORS: SiteTable = {
  ...wmiTable("SMS_AppDeploymentErrorAssetDetails", ["MachineID"]),
  reading: "seldom",
  rowsPerKey: 2,
  content: {
    kind: "rows",
    facet: "applicationErrors",
    columns: ["AppCI", "AppName", "AssignmentID", "DTCI", "ErrorCode", "UserName"],
  },
};

/** Tables that the summaries of application deployments tell news of. */
export const APPLICATION_TABLES: readonly string[] = [APPLICATION_STATES.id, APPLICATION_ERRORS.id];

/** What tables of /wmi have in common that a site may lack. */
function wmiTable(
  name: string,
  keyNames: readonly string[] = INVENTORY_KEYS,
): Pick<SiteTable, "id" | "of" | "keyNames" | "isRequired"> {
  return { id: name, of: wmi(name), keyNames, isRequired: false };
}

/** A class of hardware inventory, `SMS_G_System_*`: the facet has its name. */
function inventoryTable(name: string): SiteTable {
  return {
    ...wmiTable(name),
    reading: "seldom",
    rowsPerKey: aboutRowsPerDevice(name),
    content: { kind: "rows", facet: name },
  };
}

export interface DeviceTablesWanted {
  readonly inventoryClasses: readonly string[];
  readonly isUpdateComplianceRead: boolean;
  readonly areApplicationStatesRead: boolean;
  readonly areBoundaryGroupsRead: boolean;
}

export function deviceTables(wanted: DeviceTablesWanted): KindTables {
  const classes = wanted.inventoryClasses.filter((name) => name !== CUSTOM_PROPERTIES.id);
  return {
    kind: "device",
    spine: SYSTEM,
    others: [
      ...[DEVICE, CO_MANAGEMENT, CLIENT_HEALTH, MEMBERSHIP, CUSTOM_PROPERTIES, DEVICE_ACTIVITY],
      ...(wanted.isUpdateComplianceRead ? [UPDATE_COMPLIANCE] : []),
      ...(wanted.areApplicationStatesRead ? [APPLICATION_STATES, APPLICATION_ERRORS] : []),
      ...(wanted.areBoundaryGroupsRead ? [BOUNDARY_GROUPS] : []),
      ...classes.map(inventoryTable),
    ],
    isInRanges: true,
  };
}
