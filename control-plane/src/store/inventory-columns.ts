import type { SqlValue } from "@isthmus/shared/store/transaction";
import { coManagementOf, operatingSystemFamily } from "../core/co-management.ts";

/** What lists filter and sort records by, taken out of the facets that say it. */

type Members = Readonly<Record<string, unknown>>;

/** A column, and the names that sources have for it, in order of preference; the first that says something counts. */
interface Column {
  readonly column: string;
  readonly names: readonly string[];
  readonly read: (value: unknown) => SqlValue | undefined;
}

/** Own limit: what is longer is no name of anything. */
const MAX_CHARACTERS = 512;

const IDENTITY: readonly Column[] = [
  text(
    "name",
    ...["Name", "name", "NetbiosName", "displayName", "LocalizedDisplayName", "cn"],
    ...["ScriptName", "DeploymentName"],
  ),
  text("smsid", "SMSID", "SMSUniqueIdentifier", "smsId", "smsid"),
  text("sid", "SID", "sid", "objectSid"),
  text("entra_device_id", "AADDeviceID", "entraDeviceId", "aadDeviceId", "azureADDeviceId"),
  text("managed_device_id", "managedDeviceId", "IntuneDeviceId"),
  text("serial_number", "SerialNumber", "serialNumber"),
  text("domain", "Domain", "domain", "ResourceDomainORWorkgroup", "FullDomainName"),
];

const STABLE: readonly Column[] = [
  principalName(
    "user_principal_name",
    ...["userPrincipalName", "UserPrincipalName", "AADPrimaryUserID"],
  ),
  text("os_description", "operatingSystem", "DeviceOS", "OperatingSystemNameandVersion", "Caption"),
  text("os_version", "osVersion", "DeviceOSBuild", "BuildExt", "Build", "operatingSystemVersion"),
  text("manufacturer", "manufacturer", "Manufacturer"),
  text("model", "model", "Model"),
  text("client_version", "clientVersion", "ClientVersion"),
];

const VOLATILE: readonly Column[] = [
  flag("is_online", "isOnline", "CNIsOnline", "OnlineStatus"),
  time(
    "last_seen_at",
    "lastSeenAt",
    "LastActiveTime",
    "CNLastOnlineTime",
    "LastOnlineTime",
    "LastDDR",
  ),
];

function text(column: string, ...names: string[]): Column {
  return {
    column,
    names,
    read: (value) =>
      typeof value === "string" && value !== "" && value.length <= MAX_CHARACTERS
        ? value
        : undefined,
  };
}

/** AADPrimaryUserID is a user's name at some sites and a GUID at others. */
function principalName(column: string, ...names: string[]): Column {
  const { read } = text(column);
  const isName = (value: unknown) => typeof value === "string" && value.includes("@");
  return { column, names, read: (value) => (isName(value) ? read(value) : undefined) };
}

function flag(column: string, ...names: string[]): Column {
  return { column, names, read: readFlag };
}

function readFlag(value: unknown): 0 | 1 | undefined {
  if (value === true || value === 1) return 1;
  return value === false || value === 0 ? 0 : undefined;
}

function time(column: string, ...names: string[]): Column {
  return { column, names, read: readTime };
}

/** The last moment that has a date. */
const MAX_TIME = 8_640_000_000_000_000;

/** ms since the epoch, or a date as the AdminService writes it. */
function readTime(value: unknown): number | undefined {
  const ms = typeof value === "string" ? Date.parse(value) : value;
  return Number.isInteger(ms) && (ms as number) >= 0 && (ms as number) <= MAX_TIME
    ? (ms as number)
    : undefined;
}

/** Columns that identity and stable tell, in the order in which `lastingColumns` gives their values. */
export const LASTING_COLUMNS: readonly string[] = [
  ...[...IDENTITY, ...STABLE].map(({ column }) => column),
  "operating_system",
  ...["management_agent", "management_state", "comanagement_status", "co_management_flags"],
  "is_co_managed",
];

/** Columns that volatile tells, in the order of `movingColumns`. */
export const MOVING_COLUMNS: readonly string[] = VOLATILE.map(({ column }) => column);

/** From the parsed values of identity and stable; each may stand in the other. */
export function lastingColumns(identityFacet: unknown, stableFacet: unknown): SqlValue[] {
  const identity = members(identityFacet);
  const stable = members(stableFacet);
  return [
    ...IDENTITY.map((column) => readColumn(column, identity) ?? readColumn(column, stable) ?? null),
    ...STABLE.map((column) => readColumn(column, stable) ?? readColumn(column, identity) ?? null),
    ...managedColumns(identityFacet, stableFacet),
    coManaged(stable),
  ];
}

/** The family of the operating system, and how Configuration Manager manages the device. */
function managedColumns(identity: unknown, stable: unknown): SqlValue[] {
  const description = STABLE.find(({ column }) => column === "os_description");
  const told = description && readColumn(description, members(stable));
  const managed = coManagementOf(identity, stable);
  return [
    operatingSystemFamily(typeof told === "string" ? told : null),
    managed?.managementAgent ?? null,
    managed?.managementState ?? null,
    managed?.status ?? null,
    managed?.flags ?? null,
  ];
}

/** From the parsed value of volatile. */
export function movingColumns(volatileFacet: unknown): SqlValue[] {
  const facet = members(volatileFacet);
  return VOLATILE.map((column) => readColumn(column, facet) ?? null);
}

function readColumn({ names, read }: Column, facet: Members): SqlValue | undefined {
  for (const name of names) {
    const value = read(facet[name]);
    if (value !== undefined) return value;
  }
  return undefined;
}

/** Co-managed is who is enrolled and has the policy (SMS_Client_ComanagementState). */
function coManaged(stable: Members): SqlValue {
  const own = readFlag(stable["isCoManaged"] ?? stable["CoManaged"]);
  if (own !== undefined) return own;
  const state = isMembers(stable["coManagement"]) ? stable["coManagement"] : stable;
  const enrolled = readFlag(state["MDMEnrolled"] ?? state["mdmEnrolled"]);
  const policy = readFlag(state["ComgmtPolicyPresent"] ?? state["policyPresent"]);
  if (enrolled === undefined || policy === undefined) return null;
  return enrolled === 1 && policy === 1 ? 1 : 0;
}

const NONE: Members = {};

function members(value: unknown): Members {
  return isMembers(value) ? value : NONE;
}

function isMembers(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
