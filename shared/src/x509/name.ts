import { ProtocolError } from "../errors.ts";
import { DerReader } from "./der-reader.ts";
import { decodeString } from "./der-string.ts";
import { TAG } from "./der-tag.ts";
import {
  ia5String,
  objectIdentifier,
  printableString,
  sequence,
  setOf,
  utf8String,
} from "./der-writer.ts";
import { OID } from "./object-identifiers.ts";

/** One `type=value` of a name. `raw` is the value's DER where it is no string; `value` is then `#` and its hex. */
export interface NameAttribute {
  /** Dotted object identifier. */
  readonly type: string;
  readonly value: string;
  readonly raw?: Buffer;
}

/**
 * A distinguished name (RFC 5280 section 4.1.2.4): relative names from the root down, each of one or more attributes.
 *
 *     RDNSequence ::= SEQUENCE OF SET OF SEQUENCE { type OBJECT IDENTIFIER, value ANY }
 */
export interface DistinguishedName {
  readonly der: Buffer;
  readonly attributes: readonly (readonly NameAttribute[])[];
}

/** Our own limits. */
const MAX_RELATIVE_NAMES = 64;
const MAX_VALUE_CHARACTERS = 4_096;

/** Reads a name from its DER. Throws `der-*` or `x509-name`. */
export function parseName(der: Uint8Array): DistinguishedName {
  const reader = new DerReader(der);
  const name = readName(reader);
  reader.end();
  return name;
}

/** Reads the name that comes next in `reader`. */
export function readName(reader: DerReader): DistinguishedName {
  const der = reader.readRaw(TAG.sequence);
  const attributes: NameAttribute[][] = [];
  const sequenceOf = new DerReader(der).enter();
  while (!sequenceOf.isAtEnd) {
    if (attributes.length === MAX_RELATIVE_NAMES) {
      throw fault(`more than ${MAX_RELATIVE_NAMES} relative names`);
    }
    attributes.push(readRelativeName(sequenceOf.enter(TAG.set)));
  }
  return { der, attributes };
}

function readRelativeName(set: DerReader): NameAttribute[] {
  const relativeName: NameAttribute[] = [];
  do {
    const attribute = set.enter();
    const type = attribute.readObjectIdentifier();
    relativeName.push({ type, ...readValue(attribute) });
    attribute.end();
  } while (!set.isAtEnd);
  return relativeName;
}

function readValue(attribute: DerReader): Omit<NameAttribute, "type"> {
  const tag = attribute.peekTag();
  const raw = attribute.readRaw();
  const value = decodeString(tag, raw);
  if (value === undefined) return { value: `#${raw.toString("hex")}`, raw };
  if (value.length > MAX_VALUE_CHARACTERS) {
    throw fault(`a value of ${value.length} characters exceeds ${MAX_VALUE_CHARACTERS}`);
  }
  return { value };
}

/**
 * Writes a name from its relative names, root first; attributes of one relative name come out in the order of their DER.
 * Throws `der-*` for a value that its type cannot hold.
 */
export function encodeName(
  relativeNames: readonly (readonly NameAttribute[])[],
): DistinguishedName {
  const sets = relativeNames.map((attributes) =>
    attributes
      .map((attribute) => ({ attribute, der: encodeAttribute(attribute) }))
      .sort((left, right) => Buffer.compare(left.der, right.der)),
  );
  return {
    der: sequence(...sets.map((set) => setOf(...set.map(({ der }) => der)))),
    attributes: sets.map((set) => set.map(({ attribute }) => attribute)),
  };
}

/** Types whose syntax is PrintableString or IA5String (RFC 5280 appendix A.1); all others are written as UTF8String. */
const PRINTABLE_TYPES: readonly string[] = [OID.countryName, OID.serialNumber, OID.dnQualifier];
const IA5_TYPES: readonly string[] = [OID.domainComponent, OID.emailAddress];

function encodeAttribute({ type, value, raw }: NameAttribute): Buffer {
  return sequence(objectIdentifier(type), raw ?? encodeValue(type, value));
}

function encodeValue(type: string, value: string): Buffer {
  if (PRINTABLE_TYPES.includes(type)) return printableString(value);
  return IA5_TYPES.includes(type) ? ia5String(value) : utf8String(value);
}

/**
 * Whether two names are the same: equal bytes, or equal attributes when string types, case and runs of spaces are
 * disregarded (RFC 5280 section 7.1).
 */
export function isSameName(left: DistinguishedName, right: DistinguishedName): boolean {
  return left.der.equals(right.der) || comparable(left) === comparable(right);
}

function comparable(name: DistinguishedName): string {
  const relativeNames = name.attributes.map((attributes) =>
    attributes.map(({ type, value, raw }) => [type, raw ? value : folded(value)]).sort(),
  );
  return JSON.stringify(relativeNames);
}

function folded(value: string): string {
  return value.normalize("NFKC").trim().replace(/\s+/g, " ").toLowerCase();
}

/** The first value of this type, from the most specific relative name up; undefined if there is none. */
export function firstValue(name: DistinguishedName, type: string): string | undefined {
  return name.attributes
    .toReversed()
    .flat()
    .find((attribute) => attribute.type === type)?.value;
}

function fault(message: string): ProtocolError {
  return new ProtocolError("x509-name", `distinguished name: ${message}`);
}
