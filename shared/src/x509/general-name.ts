import { ProtocolError } from "../errors.ts";
import { DerReader } from "./der-reader.ts";
import { decodeAscii, decodeString } from "./der-string.ts";
import { TAG } from "./der-tag.ts";
import { explicit, ia5Bytes, implicit, objectIdentifier, utf8String } from "./der-writer.ts";
import { formatIpAddress, parseIpAddress } from "./ip-octets.ts";
import { type DistinguishedName, parseName } from "./name.ts";
import { OID } from "./object-identifiers.ts";

/**
 * A GeneralName (RFC 5280 section 4.2.1.6). `upn` is the otherName of Microsoft's user principal name; `other` holds the
 * whole DER of a form that is not read further.
 */
export type GeneralName =
  | { readonly type: "email" | "dns" | "uri" | "ip" | "upn"; readonly value: string }
  | { readonly type: "directory"; readonly value: DistinguishedName }
  | { readonly type: "other"; readonly value: Buffer };

/** Context tags of the forms: the number, and A0 for those that hold elements. */
const FORM = {
  otherName: 0xa0,
  rfc822Name: 0x81,
  dnsName: 0x82,
  directoryName: 0xa4,
  uniformResourceIdentifier: 0x86,
  ipAddress: 0x87,
} as const;

/** Reads the GeneralName that comes next. Throws `der-*` or `x509-general-name`. */
export function readGeneralName(reader: DerReader): GeneralName {
  const tag = reader.peekTag();
  switch (tag) {
    case FORM.rfc822Name:
      return { type: "email", value: readText(reader, tag) };
    case FORM.dnsName:
      return { type: "dns", value: readText(reader, tag) };
    case FORM.uniformResourceIdentifier:
      return { type: "uri", value: readText(reader, tag) };
    case FORM.ipAddress:
      return { type: "ip", value: readIpAddress(reader.read(tag)) };
    case FORM.directoryName:
      return { type: "directory", value: parseName(reader.read(tag)) };
    case FORM.otherName:
      return readOtherName(reader.readRaw(tag));
    default:
      return { type: "other", value: reader.readRaw() };
  }
}

/** Text without control characters: a NUL once made `good.example\0.evil.example` pass for the first part. */
function readText(reader: DerReader, tag: number): string {
  const text = decodeAscii(reader.read(tag));
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
  if (/[\x00-\x1f\x7f]/.test(text)) throw fault("a control character in a name");
  return text;
}

function readIpAddress(octets: Buffer): string {
  const text = formatIpAddress(octets);
  if (text === undefined) throw fault(`an IP address of ${octets.length} octets`);
  return text;
}

/** OtherName ::= SEQUENCE { type-id OBJECT IDENTIFIER, value [0] EXPLICIT ANY }, under an implicit [0]. */
function readOtherName(raw: Buffer): GeneralName {
  const body = new DerReader(raw).enter(FORM.otherName);
  const type = body.readObjectIdentifier();
  const value = body.enter(0xa0);
  body.end();
  const tag = value.peekTag();
  const inner = value.readRaw();
  value.end();
  const text = type === OID.userPrincipalName ? decodeString(tag, inner) : undefined;
  return text === undefined ? { type: "other", value: raw } : { type: "upn", value: text };
}

/** Writes a GeneralName. Throws `der-string` or `x509-general-name` for a value that its form cannot hold. */
export function encodeGeneralName(name: GeneralName): Buffer {
  switch (name.type) {
    case "email":
      return implicit(1, ia5Bytes(name.value));
    case "dns":
      return implicit(2, ia5Bytes(name.value));
    case "uri":
      return implicit(6, ia5Bytes(name.value));
    case "ip":
      return implicit(7, ipOctets(name.value));
    case "directory":
      return explicit(4, name.value.der);
    case "upn":
      return encodeUserPrincipalName(name.value);
    case "other":
      return name.value;
  }
}

function ipOctets(text: string): Buffer {
  const octets = parseIpAddress(text);
  if (octets === undefined) throw fault(`"${text}" is not an IP address`);
  return octets;
}

function encodeUserPrincipalName(text: string): Buffer {
  const type = objectIdentifier(OID.userPrincipalName);
  return implicit(0, Buffer.concat([type, explicit(0, utf8String(text))]), true);
}

/** Reads SEQUENCE OF GeneralName, or one under the implicit `tag`. */
export function readGeneralNames(reader: DerReader, tag: number = TAG.sequence): GeneralName[] {
  const sequenceOf = reader.enter(tag);
  const names: GeneralName[] = [];
  while (!sequenceOf.isAtEnd) names.push(readGeneralName(sequenceOf));
  return names;
}

function fault(message: string): ProtocolError {
  return new ProtocolError("x509-general-name", `general name: ${message}`);
}
