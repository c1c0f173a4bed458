import { ProtocolError } from "@isthmus/shared/errors";
import { z } from "zod";
import type { Row } from "./answer.ts";
import type { ClassName } from "./path.ts";

/**
 * The classes the bridge knows by name, with the properties it decides by. Sites of different releases have more properties and
 * lack some: what is not known is kept aside, and only the key has to be there.
 */

const text = z.string().nullish();
/** Int32 and flags that some releases answer as a number and others as true or false. */
const whole = z.int().nullish();
const flag = z
  .union([z.boolean(), z.literal(0), z.literal(1)])
  .nullish()
  .transform((value) => (value === null || value === undefined ? value : Boolean(value)));
const texts = z.array(z.string()).nullish();
const key = z.int().positive();
/** A time as it came, e.g. `2026-01-15T08:00:00Z`: client-side ones are local clock stamped as UTC, so none is converted here. */
const time = z.string().max(40).nullish();

/** A class with the fields that are known of it. `keyName` is what the bridge calls its key. */
interface RowClass<Shape extends z.ZodRawShape> extends ClassName {
  readonly keyName: string;
  readonly fields: z.ZodObject<Shape>;
}

function rowClass<Shape extends z.ZodRawShape>(
  route: ClassName["route"],
  name: string,
  keyName: string,
  shape: Shape,
): RowClass<Shape> {
  return { route, name, keyName, fields: z.object(shape) };
}

export const DEVICE = rowClass("v1.0", "Device", "MachineId", {
  MachineId: key,
  Name: text,
  SMSID: text,
  SiteCode: text,
  Domain: text,
  ClientVersion: text,
  IsClient: flag,
  CNIsOnline: flag,
  CoManaged: flag,
  AADDeviceID: text,
  AADTenantID: text,
  AADPrimaryUserID: text,
  PrimaryUser: text,
  DeviceOS: text,
  DeviceOSBuild: text,
  Manufacturer: text,
  Model: text,
  SerialNumber: text,
});

export const SYSTEM = rowClass("wmi", "SMS_R_System", "ResourceID", {
  ResourceID: key,
  Name: text,
  SMSUniqueIdentifier: text,
  AADDeviceID: text,
  AADTenantID: text,
  DistinguishedName: text,
  ResourceDomainORWorkgroup: text,
  Client: flag,
  Obsolete: flag,
  Decommissioned: flag,
  SMSAssignedSites: texts,
  SMSUUIDChangeDate: time,
  PreviousSMSUUID: text,
});

export const USER = rowClass("wmi", "SMS_R_User", "ResourceID", {
  ResourceID: key,
  Name: text,
  UniqueUserName: text,
  UserPrincipalName: text,
  AADUserID: text,
  Mail: text,
  SID: text,
  WindowsNTDomain: text,
});

export const COLLECTION = rowClass("wmi", "SMS_Collection", "CollectionID", {
  CollectionID: z.string().min(1).max(32),
  Name: text,
  CollectionType: whole,
  LimitToCollectionID: text,
  MemberCount: whole,
  LastMemberChangeTime: time,
  LastChangeTime: time,
});

export const MEMBERSHIP = rowClass("wmi", "SMS_FullCollectionMembership", "ResourceID", {
  ResourceID: key,
  CollectionID: z.string().min(1).max(32),
  Name: text,
  SMSID: text,
  ResourceType: whole,
});

export const WORKSTATION_STATUS = rowClass("wmi", "SMS_G_System_WORKSTATION_STATUS", "ResourceID", {
  ResourceID: key,
  LastHardwareScan: time,
  RevisionID: whole,
  TimeStamp: time,
});

export const CLIENT_STATUS = rowClass("wmi", "SMS_CN_ClientStatus", "ResourceID", {
  ResourceID: key,
  SMSID: text,
  OnlineStatus: flag,
  LastOnlineTime: time,
  LastOfflineTime: time,
});

export const CO_MANAGEMENT_STATE = rowClass("wmi", "SMS_Client_ComanagementState", "ResourceID", {
  ResourceID: key,
  MachineId: whole,
  MDMEnrolled: flag,
  Authority: text,
  ComgmtPolicyPresent: flag,
  CoManagementFlags: whole,
});

/** Any class of hardware inventory, `SMS_G_System_*`: one row or several for a device. */
export function inventoryClass(name: string) {
  return rowClass("wmi", name, "ResourceID", {
    ResourceID: key,
    GroupID: whole,
    RevisionID: whole,
    TimeStamp: time,
  });
}

export interface TypedRow<Fields> {
  readonly known: Fields;
  /** Every other property as it came. */
  readonly others: Row;
}

/**
 * The key may be spelt ResourceId (SMS_R_*) or ResourceID (SMS_G_System_*), and releases differ; it is read as ResourceID.
 * Throws ProtocolError `admin-service-row` that names class, property and what came instead. */
export function readRow<Shape extends z.ZodRawShape>(
  of: RowClass<Shape>,
  row: Row,
): TypedRow<z.output<z.ZodObject<Shape>>> {
  const known: Record<string, unknown> = {};
  const others: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(row)) {
    const fieldName = name === "ResourceId" ? "ResourceID" : name;
    const isKnown = Object.hasOwn(of.fields.shape, fieldName);
    const target = isKnown && !Object.hasOwn(known, fieldName) ? known : others;
    target[target === known ? fieldName : name] = value;
  }
  const read = of.fields.safeParse(known);
  if (read.success) return { known: read.data, others };
  const [issue] = read.error.issues;
  throw new ProtocolError(
    "admin-service-row",
    `a row of ${of.name} has no usable ${issue?.path.join(".") ?? of.keyName}: ${issue?.message ?? "unreadable"}`,
  );
}
