import { ProtocolError } from "../errors.ts";
import { type DistinguishedName, encodeName, type NameAttribute } from "./name.ts";
import { OID } from "./object-identifiers.ts";

/**
 * Names as text (RFC 4514): the most specific relative name first, `CN=a,O=b`, several attributes of one joined by `+`.
 * `\` escapes a character or, with two hex digits, an octet of UTF-8; `#` and hex stand for the DER of a value.
 */

/** Short names for writing: those of RFC 4514 section 3 and what certificate tools commonly print. */
const SHORT_NAMES: Readonly<Record<string, string>> = {
  [OID.commonName]: "CN",
  [OID.localityName]: "L",
  [OID.stateOrProvinceName]: "ST",
  [OID.organizationName]: "O",
  [OID.organizationalUnitName]: "OU",
  [OID.countryName]: "C",
  [OID.streetAddress]: "STREET",
  [OID.domainComponent]: "DC",
  [OID.userId]: "UID",
  [OID.surname]: "SN",
  [OID.givenName]: "GN",
  [OID.initials]: "initials",
  [OID.generationQualifier]: "generationQualifier",
  [OID.title]: "title",
  [OID.serialNumber]: "serialNumber",
  [OID.dnQualifier]: "dnQualifier",
  [OID.pseudonym]: "pseudonym",
  [OID.emailAddress]: "emailAddress",
};

/** Further names that are read but not written, in lower case. */
const ALIASES: Readonly<Record<string, string>> = {
  e: OID.emailAddress,
  s: OID.stateOrProvinceName,
  g: OID.givenName,
  t: OID.title,
};

const TYPES_BY_NAME: ReadonlyMap<string, string> = new Map([
  ...Object.entries(SHORT_NAMES).map(([type, name]) => [name.toLowerCase(), type] as const),
  ...Object.entries(ALIASES),
]);

/** Our own limit. */
const MAX_TEXT_CHARACTERS = 8_192;

/** The name as RFC 4514 text; `parseNameText` reads it back. */
export function formatName(name: DistinguishedName): string {
  return name.attributes
    .toReversed()
    .map((attributes) => attributes.map(formatAttribute).join("+"))
    .join(",");
}

function formatAttribute({ type, value, raw }: NameAttribute): string {
  return `${SHORT_NAMES[type] ?? type}=${raw === undefined ? escaped(value) : value}`;
}

function escaped(value: string): string {
  return value
    .replace(/[\\"+,;<>=]/g, "\\$&")
    .replace(/^[# ]/, "\\$&")
    .replace(/(?<=.) $/, (space) => (value === " " ? space : "\\ "))
    .replace(controlCharacters, (character) => escapedOctets(character));
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not reach a log or a terminal
const controlCharacters = /[\x00-\x1f\x7f]/g;

function escapedOctets(character: string): string {
  return `\\${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
}

/** Reads RFC 4514 text. Throws `x509-name-text`, or `der-*` for a value that its type cannot hold. */
export function parseNameText(text: string): DistinguishedName {
  return encodeName(parseRelativeNames(text));
}

/**
 * Reads RFC 4514 text as far as its attributes, root first, without looking at what their types can hold: for templates,
 * whose variables are not values yet. Throws `x509-name-text`.
 */
export function parseRelativeNames(text: string): NameAttribute[][] {
  if (text.length > MAX_TEXT_CHARACTERS) {
    throw fault(`${text.length} characters exceed ${MAX_TEXT_CHARACTERS}`);
  }
  if (/^ *$/.test(text)) return [];
  const relativeNames = splitUnescaped(text, ",").map((part) =>
    splitUnescaped(part, "+").map(parseAttribute),
  );
  return relativeNames.reverse();
}

/** Splits at `separator` where no `\` stands before it. */
function splitUnescaped(text: string, separator: string): string[] {
  const parts: string[] = [];
  let start = 0;
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === "\\") at += 1;
    else if (text[at] === separator) {
      parts.push(text.slice(start, at));
      start = at + 1;
    }
  }
  return [...parts, text.slice(start)];
}

function parseAttribute(text: string): NameAttribute {
  const equals = text.indexOf("=");
  if (equals < 1) throw fault("expected type=value");
  const typeName = text.slice(0, equals).trim();
  const type = TYPES_BY_NAME.get(typeName.toLowerCase()) ?? dottedType(typeName);
  const value = trimmed(text.slice(equals + 1));
  if (value.startsWith("#")) return hexValue(type, value);
  return { type, value: unescaped(value) };
}

function dottedType(name: string): string {
  const type = name.replace(/^oid\./i, "");
  if (!/^[0-2](\.\d{1,38})+$/.test(type)) throw fault(`"${name}" is not an attribute type we know`);
  return type;
}

/** Without spaces around it, but with an escaped one at its end. */
function trimmed(value: string): string {
  let [start, end] = [0, value.length];
  while (value[start] === " ") start += 1;
  while (end > start && value[end - 1] === " ") end -= 1;
  let escapes = 0;
  while (value[end - 1 - escapes] === "\\") escapes += 1;
  const isSpaceEscaped = escapes % 2 === 1 && end < value.length;
  return value.slice(start, isSpaceEscaped ? end + 1 : end);
}

function hexValue(type: string, value: string): NameAttribute {
  if (!/^#([0-9a-f]{2})+$/i.test(value)) throw fault("expected pairs of hex digits after #");
  return { type, value: value.toLowerCase(), raw: Buffer.from(value.slice(1), "hex") };
}

function unescaped(value: string): string {
  if (/["<>;]/.test(value.replace(/\\./gs, ""))) throw fault("a special character is not escaped");
  const octets: Buffer[] = [];
  for (const [whole] of value.matchAll(/\\[0-9a-f]{2}|\\.|\\$|[^\\]+/gis)) {
    octets.push(piece(whole));
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(octets));
  } catch (cause) {
    throw new ProtocolError("x509-name-text", "name: escaped octets are not UTF-8", cause);
  }
}

function piece(text: string): Buffer {
  if (!text.startsWith("\\")) return Buffer.from(text, "utf8");
  if (text.length === 3) return Buffer.from(text.slice(1), "hex");
  const character = text.slice(1);
  if (!/^[\\"+,;<>=# ]$/.test(character)) throw fault("a \\ stands before an ordinary character");
  return Buffer.from(character, "latin1");
}

function fault(message: string): ProtocolError {
  return new ProtocolError("x509-name-text", `name: ${message}`);
}
