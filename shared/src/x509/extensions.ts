import { ProtocolError } from "../errors.ts";
import { DerReader } from "./der-reader.ts";
import { decodeAscii } from "./der-string.ts";
import { TAG } from "./der-tag.ts";
import {
  boolean,
  enumerated,
  explicit,
  implicit,
  integer,
  namedBits,
  objectIdentifier,
  octetString,
  sequence,
} from "./der-writer.ts";
import { encodeGeneralName, type GeneralName, readGeneralNames } from "./general-name.ts";
import { OID } from "./object-identifiers.ts";

/**
 * One extension of a certificate, CRL, OCSP message or request; `value` is the content of its OCTET STRING.
 *
 *     Extension ::= SEQUENCE { extnID OBJECT IDENTIFIER, critical BOOLEAN DEFAULT FALSE, extnValue OCTET STRING }
 *
 * For each extension there is a pair here: `xExtension(...)` writes it with the criticality that RFC 5280 gives it, and
 * `parseX(value)` reads its value.
 */
export interface Extension {
  readonly oid: string;
  readonly critical: boolean;
  readonly value: Buffer;
}

/** Our own limit. */
const MAX_EXTENSIONS = 64;

/** Reads SEQUENCE OF Extension. Throws `der-*`, `x509-extension` for too many and for one that comes twice. */
export function readExtensions(reader: DerReader): Extension[] {
  const sequenceOf = reader.enter();
  const extensions: Extension[] = [];
  while (!sequenceOf.isAtEnd) {
    const extension = readExtension(sequenceOf.enter());
    if (extensions.some(({ oid }) => oid === extension.oid)) {
      throw fault(`extension ${extension.oid} comes twice`);
    }
    if (extensions.length === MAX_EXTENSIONS) throw fault(`more than ${MAX_EXTENSIONS} extensions`);
    extensions.push(extension);
  }
  return extensions;
}

function readExtension(body: DerReader): Extension {
  const oid = body.readObjectIdentifier();
  const critical = body.peekTag() === TAG.boolean && body.readBoolean();
  const value = body.readOctetString();
  body.end();
  return { oid, critical, value };
}

/** SEQUENCE OF Extension. */
export function encodeExtensions(extensions: readonly Extension[]): Buffer {
  return sequence(
    ...extensions.map(({ oid, critical, value }) =>
      critical
        ? sequence(objectIdentifier(oid), boolean(true), octetString(value))
        : sequence(objectIdentifier(oid), octetString(value)),
    ),
  );
}

/** The value of the extension with this identifier. */
export function findExtension(
  extensions: readonly Extension[],
  oid: string,
): Extension | undefined {
  return extensions.find((extension) => extension.oid === oid);
}

// --- Basic constraints (section 4.2.1.9) --------------------------------------------------------------------------

export interface BasicConstraints {
  readonly isCa: boolean;
  /** How many CAs may stand below this one. */
  readonly pathLength?: number;
}

const MAX_PATH_LENGTH = 255;

export function basicConstraintsExtension({ isCa, pathLength }: BasicConstraints): Extension {
  const parts = isCa ? [boolean(true)] : [];
  if (isCa && pathLength !== undefined) parts.push(integer(pathLength));
  return { oid: OID.basicConstraints, critical: true, value: sequence(...parts) };
}

export function parseBasicConstraints(value: Buffer): BasicConstraints {
  return parseWhole(value, (outer) => {
    const body = outer.enter();
    const isCa = body.peekTag() === TAG.boolean && body.readBoolean();
    const pathLength = body.isAtEnd ? undefined : body.readSmallInteger(MAX_PATH_LENGTH);
    body.end();
    return pathLength === undefined ? { isCa } : { isCa, pathLength };
  });
}

// --- Key usage (section 4.2.1.3) ----------------------------------------------------------------------------------

/** In the order of their bits. */
export const KEY_USAGES = [
  "digitalSignature",
  "nonRepudiation",
  "keyEncipherment",
  "dataEncipherment",
  "keyAgreement",
  "keyCertSign",
  "cRLSign",
  "encipherOnly",
  "decipherOnly",
] as const;
export type KeyUsage = (typeof KEY_USAGES)[number];

export function keyUsageExtension(usages: readonly KeyUsage[]): Extension {
  const bits = usages.map((usage) => KEY_USAGES.indexOf(usage));
  return { oid: OID.keyUsage, critical: true, value: namedBits(bits) };
}

export function parseKeyUsage(value: Buffer): readonly KeyUsage[] {
  const { bytes } = parseWhole(value, (reader) => reader.readBitString());
  return KEY_USAGES.filter((_, bit) => ((bytes[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0);
}

// --- Extended key usage (section 4.2.1.12) ------------------------------------------------------------------------

/** Purposes are dotted object identifiers. Not critical, as most clients expect; RFC 5280 leaves it open. */
export function extendedKeyUsageExtension(
  purposes: readonly string[],
  critical = false,
): Extension {
  const value = sequence(...purposes.map(objectIdentifier));
  return { oid: OID.extendedKeyUsage, critical, value };
}

export function parseExtendedKeyUsage(value: Buffer): readonly string[] {
  return parseWhole(value, (outer) => {
    const body = outer.enter();
    const purposes: string[] = [];
    while (!body.isAtEnd) purposes.push(body.readObjectIdentifier());
    return purposes;
  });
}

// --- Subject alternative name (section 4.2.1.6) -------------------------------------------------------------------

/** `critical` is for a certificate whose subject is empty. */
export function subjectAltNameExtension(
  names: readonly GeneralName[],
  critical = false,
): Extension {
  const value = sequence(...names.map(encodeGeneralName));
  return { oid: OID.subjectAltName, critical, value };
}

export function parseSubjectAltName(value: Buffer): readonly GeneralName[] {
  return parseWhole(value, (reader) => readGeneralNames(reader));
}

// --- Key identifiers (sections 4.2.1.1 and 4.2.1.2) ---------------------------------------------------------------

export function subjectKeyIdentifierExtension(keyIdentifier: Uint8Array): Extension {
  return { oid: OID.subjectKeyIdentifier, critical: false, value: octetString(keyIdentifier) };
}

export function parseSubjectKeyIdentifier(value: Buffer): Buffer {
  return parseWhole(value, (reader) => reader.readOctetString());
}

export function authorityKeyIdentifierExtension(keyIdentifier: Uint8Array): Extension {
  const value = sequence(implicit(0, keyIdentifier));
  return { oid: OID.authorityKeyIdentifier, critical: false, value };
}

/** The key identifier alone; undefined where the issuer is named by name and serial number only. */
export function parseAuthorityKeyIdentifier(value: Buffer): Buffer | undefined {
  return parseWhole(value, (outer) => outer.enter().readOptional(0x80));
}

// --- Where to look for revocation and issuer (sections 4.2.1.13 and 4.2.2.1) --------------------------------------

export function crlDistributionPointsExtension(urls: readonly string[]): Extension {
  const points = urls.map((value) => {
    const fullName = implicit(0, encodeGeneralName({ type: "uri", value }), true);
    return sequence(explicit(0, fullName));
  });
  return { oid: OID.crlDistributionPoints, critical: false, value: sequence(...points) };
}

/** The URLs of all points that have a full name. */
export function parseCrlDistributionPoints(value: Buffer): readonly string[] {
  return parseWhole(value, (outer) => {
    const points = outer.enter();
    const urls: string[] = [];
    while (!points.isAtEnd) urls.push(...readDistributionPoint(points.enter()));
    return urls;
  });
}

function readDistributionPoint(point: DerReader): string[] {
  const name = point.enterOptional(0xa0);
  if (name === undefined || name.peekTag() !== 0xa0) return [];
  return urisOf(readGeneralNames(name, 0xa0));
}

function urisOf(names: readonly GeneralName[]): string[] {
  return names.flatMap((name) => (name.type === "uri" ? [name.value] : []));
}

export interface AuthorityInfoAccess {
  readonly ocsp: readonly string[];
  readonly caIssuers: readonly string[];
}

export function authorityInfoAccessExtension(access: AuthorityInfoAccess): Extension {
  const describe = (method: string) => (value: string) =>
    sequence(objectIdentifier(method), encodeGeneralName({ type: "uri", value }));
  const parts = [
    ...access.ocsp.map(describe(OID.ocsp)),
    ...access.caIssuers.map(describe(OID.caIssuers)),
  ];
  return { oid: OID.authorityInfoAccess, critical: false, value: sequence(...parts) };
}

export function parseAuthorityInfoAccess(value: Buffer): AuthorityInfoAccess {
  return parseWhole(value, (outer) => {
    const descriptions = outer.enter();
    const urls: Record<string, string[]> = { [OID.ocsp]: [], [OID.caIssuers]: [] };
    while (!descriptions.isAtEnd) {
      const description = descriptions.enter();
      const method = description.readObjectIdentifier();
      const isUrl = description.peekTag() === 0x86;
      const location = description.readRaw();
      if (isUrl) urls[method]?.push(new DerReader(location).read(0x86).toString("latin1"));
    }
    return { ocsp: urls[OID.ocsp] ?? [], caIssuers: urls[OID.caIssuers] ?? [] };
  });
}

// --- CRL extensions (sections 5.2.3 and 5.3.1) --------------------------------------------------------------------

export function crlNumberExtension(number: bigint | number): Extension {
  return { oid: OID.crlNumber, critical: false, value: integer(number) };
}

export function parseCrlNumber(value: Buffer): bigint {
  const content = parseWhole(value, (reader) => reader.readInteger());
  if (content.length > 20) throw fault("a CRL number of more than 20 octets");
  return BigInt.asIntN(content.length * 8, BigInt(`0x${content.toString("hex")}`));
}

/** By code; 7 is not used. */
export const REVOCATION_REASONS = {
  unspecified: 0,
  keyCompromise: 1,
  cACompromise: 2,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  certificateHold: 6,
  removeFromCRL: 8,
  privilegeWithdrawn: 9,
  aACompromise: 10,
} as const;
export type RevocationReason = keyof typeof REVOCATION_REASONS;

export function reasonCodeExtension(reason: RevocationReason): Extension {
  return { oid: OID.reasonCode, critical: false, value: enumerated(REVOCATION_REASONS[reason]) };
}

export function parseReasonCode(value: Buffer): RevocationReason {
  return revocationReasonOf(parseWhole(value, (reader) => reader.readEnumerated()));
}

/** The name of a reason code. Throws `x509-extension` for one that does not exist. */
export function revocationReasonOf(code: number): RevocationReason {
  const [reason] = Object.entries(REVOCATION_REASONS).find(([, known]) => known === code) ?? [];
  if (reason === undefined) throw fault(`revocation reason ${code} does not exist`);
  return reason as RevocationReason;
}

// --- Security identifier of an account (Microsoft, [MS-WCCE] section 2.2.2.7.7.4) ---------------------------------

export function sidExtension(sid: string): Extension {
  const value = explicit(0, octetString(Buffer.from(sid, "latin1")));
  const body = Buffer.concat([objectIdentifier(OID.ntdsObjectSid), value]);
  return { oid: OID.ntdsCaSecurity, critical: false, value: sequence(implicit(0, body, true)) };
}

/** The SID as text; undefined where the extension holds other names only. */
export function parseSid(value: Buffer): string | undefined {
  return parseWhole(value, (outer) => {
    const names = outer.enter();
    while (!names.isAtEnd) {
      const name = names.enter(0xa0);
      const isSid = name.readObjectIdentifier() === OID.ntdsObjectSid;
      const text = name.enter(0xa0).readOctetString();
      if (isSid) return decodeAscii(text);
    }
    return undefined;
  });
}

/** Reads one value to its end. */
export function parseWhole<T>(value: Buffer, read: (reader: DerReader) => T): T {
  const reader = new DerReader(value);
  const result = read(reader);
  reader.end();
  return result;
}

function fault(message: string): ProtocolError {
  return new ProtocolError("x509-extension", message);
}
