import { createHash } from "node:crypto";
import { formatGuid, formatSecurityIdentifier } from "@isthmus/shared/directory/binary-identifiers";
import { ConnectorError } from "@isthmus/shared/errors";
import type { Entry } from "ldapts";
import type { ReadRecord } from "../core/inventory-state.ts";

/**
 * What is read of a domain's objects, and what becomes of it. Attributes keep their names; times become ISO 8601, numbers numbers,
 * names of other objects their GUIDs. Nothing that holds a secret is among them.
 */
export type DomainKind = "device" | "user" | "group";

type Form = "text" | "texts" | "number" | "time" | "fileTime" | "object";
type Attributes = Readonly<Record<string, Form>>;

interface KindOfDomain {
  readonly filter: string;
  readonly identity: Attributes;
  readonly stable: Attributes;
  readonly volatile: Attributes;
}

const NAMES: Attributes = { cn: "text", sAMAccountName: "text" };
const ACCOUNT: Attributes = {
  userAccountControl: "number",
  primaryGroupID: "number",
  servicePrincipalName: "texts",
  "msDS-SupportedEncryptionTypes": "number",
  description: "text",
  whenCreated: "time",
};
/** Replicated, but for lastLogonTimestamp only every week or two. */
const LOGONS: Attributes = { lastLogonTimestamp: "fileTime", pwdLastSet: "fileTime" };

export const KINDS: Readonly<Record<DomainKind, KindOfDomain>> = {
  device: {
    filter: "(objectCategory=computer)",
    identity: { ...NAMES, dNSHostName: "text", userPrincipalName: "text" },
    stable: {
      ...ACCOUNT,
      operatingSystem: "text",
      operatingSystemVersion: "text",
      operatingSystemServicePack: "text",
      location: "text",
      managedBy: "object",
    },
    volatile: LOGONS,
  },
  user: {
    filter: "(&(objectCategory=person)(objectClass=user))",
    identity: { ...NAMES, userPrincipalName: "text", mail: "text" },
    stable: {
      ...ACCOUNT,
      displayName: "text",
      givenName: "text",
      sn: "text",
      title: "text",
      department: "text",
      company: "text",
      physicalDeliveryOfficeName: "text",
      employeeID: "text",
      manager: "object",
      proxyAddresses: "texts",
      accountExpires: "fileTime",
    },
    volatile: { ...LOGONS, lockoutTime: "fileTime" },
  },
  group: {
    filter: "(objectCategory=group)",
    identity: { ...NAMES, mail: "text" },
    stable: {
      groupType: "number",
      displayName: "text",
      description: "text",
      info: "text",
      managedBy: "object",
      whenCreated: "time",
    },
    volatile: {},
  },
};

export const BINARY_ATTRIBUTES = ["objectGUID", "objectSid"];

/** userAccountControl, [MS-ADTS] section 2.2.16. */
const ACCOUNTDISABLE = 0x2;
/** 1601 to 1970 in ms, and the tick of a FILETIME; "never" and "not set" are no times. */
const FILETIME_EPOCH_MS = 11_644_473_600_000n;
const TICKS_IN_MS = 10_000n;
const NEVER = 9_223_372_036_854_775_807n;
const GENERALIZED_TIME = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.\d+)?Z$/;
const EXTENDED_DN = /^<GUID=([0-9A-Fa-f-]{36})>;(?:<SID=[^>]*>;)?(.*)$/s;

/** Attributes that are asked for, without members. */
export function attributesOf(kind: DomainKind): string[] {
  const { identity, stable, volatile } = KINDS[kind];
  return [
    ...BINARY_ATTRIBUTES,
    ...[identity, stable, volatile].flatMap((each) => Object.keys(each)),
  ];
}

/** Facets that each record of a kind is read with. */
export function facetsOf(kind: DomainKind): string[] {
  const volatile = Object.keys(KINDS[kind].volatile).length > 0 ? ["volatile"] : [];
  return ["identity", "stable", ...volatile, ...(kind === "group" ? ["members"] : [])];
}

/** Throws ConnectorError `directory-entry` for an entry without a key. */
export function keyOf(entry: Entry): string {
  const bytes = bytesOf(entry["objectGUID"]);
  if (bytes !== undefined) return formatGuid(bytes);
  throw new ConnectorError("directory-entry", `an entry without objectGUID: ${entry.dn}`);
}

/** `members` are GUIDs, for groups alone. */
export function recordOf(
  kind: DomainKind,
  entry: Entry,
  domain: string,
  members?: MembersFacet,
): ReadRecord {
  const of = KINDS[kind];
  const sid = bytesOf(entry["objectSid"]);
  const distinguishedName = nameIn(entry.dn);
  const control = formed(entry["userAccountControl"], "number");
  const facets: Record<string, unknown> = {
    identity: {
      objectGUID: keyOf(entry),
      objectSid: sid && formatSecurityIdentifier(sid),
      distinguishedName,
      domain,
      ...read(entry, of.identity),
    },
    stable: {
      parent: parentOf(distinguishedName),
      ...(typeof control === "number" && { isEnabled: (control & ACCOUNTDISABLE) === 0 }),
      ...read(entry, of.stable),
    },
    ...(Object.keys(of.volatile).length > 0 && { volatile: read(entry, of.volatile) }),
    ...(members && { members }),
  };
  return {
    key: keyOf(entry),
    facets: Object.fromEntries(
      Object.entries(facets).map(([name, value]) => [name, JSON.stringify(value)]),
    ),
  };
}

export interface MembersFacet {
  readonly count: number;
  /** GUIDs in order; of a group with more than may be told there is a digest in their place. */
  readonly members?: readonly string[];
  /** SHA-256 over the GUIDs in order, hex. */
  readonly digest?: string;
}

export function membersFacet(guids: readonly string[], maxMembers: number): MembersFacet {
  const members = [...new Set(guids)].sort();
  if (members.length <= maxMembers) return { count: members.length, members };
  return {
    count: members.length,
    digest: createHash("sha256").update(members.join("\n")).digest("hex"),
  };
}

/** The GUID of an object that is named in an attribute. */
export function guidIn(extendedName: string): string | undefined {
  return EXTENDED_DN.exec(extendedName)?.[1]?.toLowerCase();
}

/** The distinguished name alone. */
function nameIn(name: string): string {
  return EXTENDED_DN.exec(name)?.[2] ?? name;
}

/** Behind the first comma that no backslash escapes. */
function parentOf(distinguishedName: string): string | undefined {
  return /^(?:[^\\,]|\\.)*,(.*)$/s.exec(distinguishedName)?.[1];
}

function read(entry: Entry, attributes: Attributes): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, form]) => [name, formed(entry[name], form)]),
  );
}

function formed(value: Entry[string] | undefined, form: Form): unknown {
  const texts = textsOf(value);
  const [first] = texts;
  if (first === undefined) return undefined;
  switch (form) {
    case "text":
      return first;
    case "texts":
      return texts.sort();
    case "number":
      return /^-?\d{1,15}$/.test(first) ? Number(first) : undefined;
    case "time":
      return timeOf(first);
    case "fileTime":
      return fileTimeOf(first);
    case "object":
      return guidIn(first);
  }
}

function timeOf(text: string): string | undefined {
  const [, year, month, day, hour, minute, second] = GENERALIZED_TIME.exec(text) ?? [];
  return year && `${year}-${month}-${day}T${hour}:${minute}:${second}Z`;
}

function fileTimeOf(text: string): string | undefined {
  if (!/^\d{1,19}$/.test(text)) return undefined;
  const ticks = BigInt(text);
  if (ticks === 0n || ticks >= NEVER) return undefined;
  const ms = Number(ticks / TICKS_IN_MS - FILETIME_EPOCH_MS);
  return Math.abs(ms) <= 8_640_000_000_000_000 ? new Date(ms).toISOString() : undefined;
}

function textsOf(value: Entry[string] | undefined): string[] {
  const all = Array.isArray(value) ? value : value === undefined ? [] : [value];
  return all.map((each) => (typeof each === "string" ? each : each.toString("utf8")));
}

function bytesOf(value: Entry[string] | undefined): Buffer | undefined {
  const [first] = Array.isArray(value) ? value : [value];
  return Buffer.isBuffer(first) ? first : undefined;
}
