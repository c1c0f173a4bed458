import { ProtocolError } from "../errors.ts";
import { DerReader } from "./der-reader.ts";
import { decodeAscii } from "./der-string.ts";
import { explicit, ia5Bytes, implicit, sequence } from "./der-writer.ts";
import type { Extension } from "./extensions.ts";
import type { GeneralName } from "./general-name.ts";
import { parseIpAddress } from "./ip-octets.ts";
import { type DistinguishedName, parseName } from "./name.ts";
import { OID } from "./object-identifiers.ts";

/**
 * The base of a GeneralSubtree (RFC 5280 section 4.2.1.10). `ip` is address and mask: 8 or 32 octets. `other` is a form
 * that is not read, by its context tag: names of that form are refused under it.
 */
export type Subtree =
  | { readonly type: "dns" | "email" | "uri"; readonly value: string }
  | { readonly type: "ip"; readonly value: Buffer }
  | { readonly type: "directory"; readonly value: DistinguishedName }
  | { readonly type: "other"; readonly value: Buffer };

/** What the names in every certificate below a CA must and must not be. */
export interface NameConstraints {
  readonly permitted: readonly Subtree[];
  readonly excluded: readonly Subtree[];
}

export function nameConstraintsExtension({ permitted, excluded }: NameConstraints): Extension {
  const parts = [
    ...(permitted.length === 0 ? [] : [encodeSubtrees(0, permitted)]),
    ...(excluded.length === 0 ? [] : [encodeSubtrees(1, excluded)]),
  ];
  return { oid: OID.nameConstraints, critical: true, value: sequence(...parts) };
}

function encodeSubtrees(number: number, subtrees: readonly Subtree[]): Buffer {
  const parts = subtrees.map((subtree) => sequence(encodeBase(subtree)));
  return implicit(number, Buffer.concat(parts), true);
}

function encodeBase(subtree: Subtree): Buffer {
  switch (subtree.type) {
    case "email":
      return implicit(1, ia5Bytes(subtree.value));
    case "dns":
      return implicit(2, ia5Bytes(subtree.value));
    case "uri":
      return implicit(6, ia5Bytes(subtree.value));
    case "ip":
      return implicit(7, subtree.value);
    case "directory":
      return explicit(4, subtree.value.der);
    case "other":
      return subtree.value;
  }
}

export function parseNameConstraints(value: Buffer): NameConstraints {
  const outer = new DerReader(value);
  const body = outer.enter();
  outer.end();
  const permitted = readSubtrees(body.enterOptional(0xa0));
  const excluded = readSubtrees(body.enterOptional(0xa1));
  body.end();
  return { permitted, excluded };
}

function readSubtrees(list: DerReader | undefined): Subtree[] {
  const subtrees: Subtree[] = [];
  while (list !== undefined && !list.isAtEnd) {
    const subtree = list.enter();
    subtrees.push(readBase(subtree));
    // minimum 0 and no maximum is all that RFC 5280 allows, and DER leaves the default out.
    subtree.end();
  }
  return subtrees;
}

function readBase(reader: DerReader): Subtree {
  const tag = reader.peekTag();
  switch (tag) {
    case 0x81:
      return { type: "email", value: decodeAscii(reader.read(tag)) };
    case 0x82:
      return { type: "dns", value: decodeAscii(reader.read(tag)) };
    case 0x86:
      return { type: "uri", value: decodeAscii(reader.read(tag)) };
    case 0x87:
      return { type: "ip", value: ipRange(reader.read(tag)) };
    case 0xa4:
      return { type: "directory", value: parseName(reader.read(tag)) };
    default:
      return { type: "other", value: reader.readRaw() };
  }
}

function ipRange(octets: Buffer): Buffer {
  if (octets.length === 8 || octets.length === 32) return octets;
  throw new ProtocolError("x509-extension", `an IP range of ${octets.length} octets`);
}

/** Whether a name obeys the constraints: in no excluded subtree of its form and, where there are any, in a permitted one. */
export function isNamePermitted(name: GeneralName, constraints: NameConstraints): boolean {
  const ofForm = (subtree: Subtree) => formOf(subtree) === formOf(name);
  const permitted = constraints.permitted.filter(ofForm);
  const excluded = constraints.excluded.filter(ofForm);
  if (excluded.some((subtree) => isWithin(name, subtree, true))) return false;
  return permitted.length === 0 || permitted.some((subtree) => isWithin(name, subtree, false));
}

/** UPN is an otherName, as is much of what is not read: both have its tag. */
function formOf(name: GeneralName | Subtree): string {
  if (name.type === "upn") return "other-a0";
  return name.type === "other" ? `other-${name.value.toString("hex", 0, 1)}` : name.type;
}

/** `whenUnknown` answers for forms that cannot be compared, so that the answer is always the refusing one. */
function isWithin(name: GeneralName, subtree: Subtree, whenUnknown: boolean): boolean {
  if (name.type === "dns" && subtree.type === "dns") return isDnsWithin(name.value, subtree.value);
  if (name.type === "email" && subtree.type === "email") {
    return isEmailWithin(name.value, subtree.value);
  }
  if (name.type === "uri" && subtree.type === "uri") {
    return isUriWithin(name.value, subtree.value, whenUnknown);
  }
  if (name.type === "ip" && subtree.type === "ip") return isIpWithin(name.value, subtree.value);
  if (name.type === "directory" && subtree.type === "directory") {
    return isDirectoryWithin(name.value, subtree.value);
  }
  return whenUnknown;
}

/** `example.com` covers itself and every name below it; a leading dot, as some write it, is read the same way. */
function isDnsWithin(host: string, base: string): boolean {
  const [name, suffix] = [host.toLowerCase(), base.toLowerCase().replace(/^\./, "")];
  return suffix === "" || name === suffix || name.endsWith(`.${suffix}`);
}

/** A mailbox `a@b`, a host `b` (mail at that very host), or a domain `.b` (mail at any host below). */
function isEmailWithin(mailbox: string, base: string): boolean {
  if (base.includes("@")) return mailbox.toLowerCase() === base.toLowerCase();
  return isHostWithin(mailbox.slice(mailbox.lastIndexOf("@") + 1), base);
}

function isHostWithin(host: string, base: string): boolean {
  const [name, wanted] = [host.toLowerCase(), base.toLowerCase()];
  return wanted.startsWith(".") ? name.endsWith(wanted) : name === wanted;
}

/** Constraints on URIs speak of the host; one without a host (`urn:...`) is under no such constraint's control. */
function isUriWithin(uri: string, base: string, whenUnknown: boolean): boolean {
  const host = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#:@]+)/i.exec(uri)?.[1];
  return host === undefined ? whenUnknown : isHostWithin(host, base);
}

function isIpWithin(address: string, range: Buffer): boolean {
  const octets = parseIpAddress(address);
  if (octets === undefined || octets.length * 2 !== range.length) return false;
  const half = octets.length;
  return octets.every((octet, at) => {
    const mask = range[half + at] ?? 0;
    return (octet & mask) === ((range[at] ?? 0) & mask);
  });
}

/** Whether the base's relative names are the first of the name's. */
function isDirectoryWithin(name: DistinguishedName, base: DistinguishedName): boolean {
  return base.attributes.every((attributes, depth) => {
    const own = name.attributes[depth];
    return own !== undefined && comparable(own) === comparable(attributes);
  });
}

function comparable(attributes: DistinguishedName["attributes"][number]): string {
  const pairs = attributes.map(({ type, value }) => [
    type,
    value.normalize("NFKC").trim().replace(/\s+/g, " ").toLowerCase(),
  ]);
  return JSON.stringify(pairs.sort());
}
