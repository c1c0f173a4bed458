/**
 * What a Configuration Manager device is in Graph's words: who manages it, which workloads have moved, whether it may be co-managed. From
 * SMS_R_System, SMS_CN_ClientStatus and SMS_Client_ComanagementState as the facets `identity` and `stable` have them.
 */

type Members = Readonly<Record<string, unknown>>;

/** Bits of CoManagementFlags (Configuration Manager documentation, "Co-management: capabilities"). */
export const CO_MANAGEMENT_BITS = {
  configured: 1,
  compliancePolicy: 2,
  resourceAccess: 4,
  deviceConfiguration: 8,
  windowsUpdateForBusiness: 16,
  endpointProtection: 32,
  modernApps: 64,
  officeApps: 128,
} as const;

const KNOWN_BITS = Object.values(CO_MANAGEMENT_BITS).reduce((all, bit) => all | bit, 0);

/** Graph's configurationManagerClientEnabledFeatures: true where Intune has the workload. */
export interface EnabledFeatures {
  /** No bit says it: Configuration Manager goes on taking inventory. */
  readonly inventory: false;
  readonly modernApps: boolean;
  readonly resourceAccess: boolean;
  readonly deviceConfiguration: boolean;
  readonly compliancePolicy: boolean;
  readonly windowsUpdateForBusiness: boolean;
  readonly endpointProtection: boolean;
  readonly officeApps: boolean;
}

export function enabledFeatures(flags: number): EnabledFeatures {
  const has = (bit: number) => (flags & bit) === bit;
  return {
    inventory: false,
    modernApps: has(CO_MANAGEMENT_BITS.modernApps),
    resourceAccess: has(CO_MANAGEMENT_BITS.resourceAccess),
    deviceConfiguration: has(CO_MANAGEMENT_BITS.deviceConfiguration),
    compliancePolicy: has(CO_MANAGEMENT_BITS.compliancePolicy),
    windowsUpdateForBusiness: has(CO_MANAGEMENT_BITS.windowsUpdateForBusiness),
    endpointProtection: has(CO_MANAGEMENT_BITS.endpointProtection),
    officeApps: has(CO_MANAGEMENT_BITS.officeApps),
  };
}

/** Bits that nobody has documented, kept as they are: 8192 is set on devices without a moved workload. */
export function unknownFlags(flags: number): number {
  return (flags & ~KNOWN_BITS) >>> 0;
}

/** Of Graph's managementAgentType. */
export type ManagementAgent =
  | "configurationManagerClient"
  | "configurationManagerClientMdm"
  | "unknown";

/** Of Graph's managementState: `discovered` has no client, `unhealthy` is obsolete or decommissioned. */
export type ManagementState = "managed" | "discovered" | "unhealthy";

/** Graph's comanagementEligibleType, in the order in which the first that holds is told. */
export type EligibilityStatus =
  | "comanaged"
  | "ineligible"
  | "needsOsUpdate"
  | "scheduledForEnrollment"
  | "eligibleButNotAzureAdJoined"
  | "eligible";

/** What is listed of a device. */
export interface CoManagement {
  readonly managementAgent: ManagementAgent;
  readonly managementState: ManagementState;
  /** CoManagementFlags; null where nobody read them. */
  readonly flags: number | null;
  readonly status: EligibilityStatus;
}

/** Windows 10 1709, the first that can be co-managed. */
const FIRST_BUILD = 16_299;
const NO_DEVICE = "00000000-0000-0000-0000-000000000000";

/** What only Configuration Manager says of a device; one of these is enough. */
const MARKS = [
  ...["SMSID", "SMSUniqueIdentifier", "Client", "IsClient", "ClientVersion"],
  ...["MachineId", "MDMEnrolled", "CoManagementFlags", "coManagement"],
];

/** From the parsed facets `identity` and `stable` of a device; undefined where they are not of Configuration Manager. */
export function coManagementOf(identity: unknown, stable: unknown): CoManagement | undefined {
  const facets = [members(stable), members(identity)];
  if (!MARKS.some((name) => facets.some((facet) => Object.hasOwn(facet, name)))) return undefined;
  const nested = members(facets[0]?.["coManagement"]);
  const read = (...names: readonly string[]) => firstOf([nested, ...facets], names);
  const device: DeviceFacts = {
    hasClient: isTrue(read("Client", "IsClient")) ?? hasText(read("ClientVersion")),
    isObsolete: isTrue(read("Obsolete")) ?? false,
    isDecommissioned: isTrue(read("Decommissioned")) ?? false,
    isEnrolled: isTrue(read("MDMEnrolled")) ?? false,
    hasPolicy: isTrue(read("ComgmtPolicyPresent")) ?? false,
    system: text(read("OperatingSystemNameandVersion", "DeviceOS")).toLowerCase(),
    version: text(read("BuildExt", "DeviceOSBuild", "Build")),
    entraDeviceId: text(read("AADDeviceID")),
  };
  const isCoManaged = device.isEnrolled && device.hasPolicy;
  return {
    managementAgent: agentOf(device, isCoManaged),
    managementState: stateOf(device),
    flags: integer(read("CoManagementFlags")),
    status: eligibilityOf(device),
  };
}

/** What the answers are drawn from. */
export interface DeviceFacts {
  readonly hasClient: boolean;
  readonly isObsolete: boolean;
  readonly isDecommissioned: boolean;
  readonly isEnrolled: boolean;
  readonly hasPolicy: boolean;
  /** In lower case, e.g. `microsoft windows nt workstation 10.0`. */
  readonly system: string;
  /** `10.0.22631.3007`. */
  readonly version: string;
  readonly entraDeviceId: string;
}

function agentOf(device: DeviceFacts, isCoManaged: boolean): ManagementAgent {
  if (!device.hasClient) return "unknown";
  return isCoManaged ? "configurationManagerClientMdm" : "configurationManagerClient";
}

function stateOf(device: DeviceFacts): ManagementState {
  if (device.isObsolete || device.isDecommissioned) return "unhealthy";
  return device.hasClient ? "managed" : "discovered";
}

/** The first that holds, from what is so already to what is still missing. */
export function eligibilityOf(device: DeviceFacts): EligibilityStatus {
  if (!device.hasClient || device.isObsolete || device.isDecommissioned) return "ineligible";
  if (device.isEnrolled && device.hasPolicy) return "comanaged";
  if (!device.system.includes("windows") || device.system.includes("server")) return "ineligible";
  if (!isRecentWindows(device)) return "needsOsUpdate";
  if (device.hasPolicy) return "scheduledForEnrollment";
  const isJoined = device.entraDeviceId !== "" && device.entraDeviceId !== NO_DEVICE;
  return isJoined ? "eligible" : "eligibleButNotAzureAdJoined";
}

/** Where no build is known, the name decides: `Workstation 10.0` is Windows 10 or 11. */
function isRecentWindows({ version, system }: DeviceFacts): boolean {
  const [, major, build] = /^(\d{1,5})\.\d{1,5}(?:\.(\d{1,9}))?/.exec(version) ?? [];
  if (major === undefined) return /\b1[01](\.0)?\b/.test(system);
  if (Number(major) < 10) return false;
  return build === undefined || Number(build) >= FIRST_BUILD;
}

/** Graph's `operatingSystem` is the family: what the site tells stays in `osDescription`. */
export function operatingSystemFamily(description: string | null): string | null {
  if (description === null) return null;
  const told = description.toLowerCase();
  if (told.includes("windows")) return "Windows";
  if (/mac ?os|os x|darwin/.test(told)) return "macOS";
  return /linux|ubuntu|debian|red hat|suse|centos|fedora/.test(told) ? "Linux" : description;
}

/** Own limit: a client that was not heard of for this long has lost touch; the site's own default for an inactive client. */
export const SILENT_CLIENT_MS = 7 * 86_400_000;

/** Of Graph's configurationManagerClientState; failed installations are not told by the tables that are read. */
export type ClientState = "unknown" | "installed" | "healthy" | "communicationError";

/** What is known of a device's client. */
export interface ClientFacts {
  readonly hasClient: boolean;
  /** As the site judges it (ClientActiveStatus of SMS_G_System_CH_ClientSummary); null where that is not read. */
  readonly isActive: boolean | null;
  /** ms. */
  readonly lastSeenAt: number | null;
}

/** The site's own judgement counts; without it the time of the last contact. */
export function clientState(
  { hasClient, isActive, lastSeenAt }: ClientFacts,
  now: number,
): ClientState {
  if (!hasClient) return "unknown";
  if (isActive !== null) return isActive ? "healthy" : "communicationError";
  if (lastSeenAt === null) return "installed";
  return now - lastSeenAt > SILENT_CLIENT_MS ? "communicationError" : "healthy";
}

function members(value: unknown): Members {
  const isMembers = typeof value === "object" && value !== null && !Array.isArray(value);
  return isMembers ? (value as Members) : {};
}

function firstOf(facets: readonly Members[], names: readonly string[]): unknown {
  for (const name of names) {
    for (const facet of facets) {
      const value = Object.hasOwn(facet, name) ? facet[name] : undefined;
      if (value !== undefined && value !== null) return value;
    }
  }
  return undefined;
}

function isTrue(value: unknown): boolean | undefined {
  if (value === true || value === 1) return true;
  return value === false || value === 0 ? false : undefined;
}

function hasText(value: unknown): boolean {
  return text(value) !== "";
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** 32 bits, whichever sign they came with. */
function integer(value: unknown): number | null {
  const isFlags = Number.isSafeInteger(value) && Math.abs(value as number) <= 0xffff_ffff;
  return isFlags ? (value as number) >>> 0 : null;
}
