import { ProtocolError } from "../errors.ts";
import { encodeSerialNumber, readSerialNumber, readSigned } from "./certificate.ts";
import { DerReader } from "./der-reader.ts";
import { TAG } from "./der-tag.ts";
import { explicit, integer, sequence, time } from "./der-writer.ts";
import {
  authorityKeyIdentifierExtension,
  crlNumberExtension,
  type Extension,
  encodeExtensions,
  findExtension,
  parseAuthorityKeyIdentifier,
  parseCrlNumber,
  parseReasonCode,
  parseWhole,
  type RevocationReason,
  readExtensions,
  reasonCodeExtension,
} from "./extensions.ts";
import { type DistinguishedName, readName } from "./name.ts";
import { OID } from "./object-identifiers.ts";

/**
 * A certificate revocation list (RFC 5280 section 5), read whole; its signature is not verified here.
 *
 *     SEQUENCE {
 *       tbsCertList SEQUENCE {
 *         version 1, signature, issuer, thisUpdate, nextUpdate?,
 *         revokedCertificates? SEQUENCE OF SEQUENCE { userCertificate, revocationDate, crlEntryExtensions? }
 *         crlExtensions [0]? }
 *       signatureAlgorithm, signatureValue BIT STRING }
 */
export interface CertificateList {
  readonly der: Buffer;
  readonly tbs: Buffer;
  readonly issuer: DistinguishedName;
  /** ms since the epoch. */
  readonly thisUpdate: number;
  readonly nextUpdate: number | undefined;
  readonly crlNumber: bigint | undefined;
  readonly authorityKeyIdentifier: Buffer | undefined;
  /** By serial number, lower-case hex as in `Certificate`. */
  readonly revoked: ReadonlyMap<string, Revocation>;
  readonly extensions: readonly Extension[];
  /** AlgorithmIdentifier, DER. */
  readonly signatureAlgorithm: Buffer;
  readonly signature: Buffer;
}

export interface Revocation {
  /** ms since the epoch. */
  readonly revokedAt: number;
  readonly reason: RevocationReason;
}

/** Our own limits: about 1,000,000 entries of 35 bytes and 6 elements. */
const MAX_LIST_BYTES = 67_108_864;
const MAX_ELEMENTS = 8_000_000;

/**
 * Critical extensions that we apply. An issuing distribution point or a delta indicator narrows what a list speaks of;
 * a list that says so is refused, because taking it for a complete one would hide revocations.
 */
const UNDERSTOOD: readonly string[] = [OID.crlNumber, OID.authorityKeyIdentifier];

/** Reads a list. Throws `der-*`, or `x509-certificate-list` for size and for critical extensions we do not know. */
export function parseCertificateList(der: Uint8Array): CertificateList {
  if (der.length > MAX_LIST_BYTES) throw fault(`${der.length} bytes exceed ${MAX_LIST_BYTES}`);
  const outer = new DerReader(der);
  const whole = outer.readRaw(TAG.sequence);
  outer.end();
  const signed = readSigned(whole);
  const tbs = new DerReader(signed.tbs, { maxElements: MAX_ELEMENTS }).enter();
  if (tbs.peekTag() === TAG.integer) tbs.readSmallInteger(1);
  if (!tbs.readRaw(TAG.sequence).equals(signed.signatureAlgorithm)) {
    throw fault("the two signature algorithms differ");
  }
  const issuer = readName(tbs);
  const thisUpdate = tbs.readTime();
  const nextUpdate = isTime(tbs.peekTag()) ? tbs.readTime() : undefined;
  const revoked = readRevoked(tbs.enterOptional(TAG.sequence));
  const extensions = readListExtensions(tbs.enterOptional(0xa0));
  tbs.end();
  const dates = { issuer, thisUpdate, nextUpdate };
  return { der: whole, ...signed, ...dates, revoked, extensions, ...describe(extensions) };
}

function isTime(tag: number): boolean {
  return tag === TAG.utcTime || tag === TAG.generalizedTime;
}

function readRevoked(list: DerReader | undefined): Map<string, Revocation> {
  const revoked = new Map<string, Revocation>();
  const reasons = new EntryReasons();
  while (list !== undefined && !list.isAtEnd) {
    const entry = list.enter();
    const serialNumber = readSerialNumber(entry);
    const revokedAt = entry.readTime();
    const reason = entry.isAtEnd ? "unspecified" : reasons.of(entry.readRaw(TAG.sequence));
    entry.end();
    revoked.set(serialNumber, { revokedAt, reason });
  }
  return revoked;
}

/** Our own limit: there are ten reasons, so more kinds of extensions than this are worth no memory. */
const MAX_KNOWN_EXTENSIONS = 32;

/** The reasons of entries. Those of a list are of few kinds: each is read once and then known by its bytes. */
class EntryReasons {
  readonly #known = new Map<string, RevocationReason>();

  of(extensions: Buffer): RevocationReason {
    const bytes = extensions.toString("latin1");
    const known = this.#known.get(bytes);
    if (known !== undefined) return known;
    const reason = readReason(parseWhole(extensions, readExtensions));
    if (this.#known.size < MAX_KNOWN_EXTENSIONS) this.#known.set(bytes, reason);
    return reason;
  }
}

function readReason(extensions: readonly Extension[]): RevocationReason {
  refuseUnknownCritical(extensions, [OID.reasonCode]);
  const reason = findExtension(extensions, OID.reasonCode);
  return reason === undefined ? "unspecified" : parseReasonCode(reason.value);
}

function readListExtensions(within: DerReader | undefined): Extension[] {
  if (within === undefined) return [];
  const extensions = readExtensions(within);
  within.end();
  refuseUnknownCritical(extensions, UNDERSTOOD);
  return extensions;
}

function refuseUnknownCritical(extensions: readonly Extension[], known: readonly string[]): void {
  const unknown = extensions.find(({ oid, critical }) => critical && !known.includes(oid));
  if (unknown) throw fault(`critical extension ${unknown.oid} is not known`);
}

function describe(extensions: readonly Extension[]) {
  const crlNumber = findExtension(extensions, OID.crlNumber);
  const keyIdentifier = findExtension(extensions, OID.authorityKeyIdentifier);
  return {
    crlNumber: crlNumber && parseCrlNumber(crlNumber.value),
    authorityKeyIdentifier: keyIdentifier && parseAuthorityKeyIdentifier(keyIdentifier.value),
  };
}

/** What goes into a list of version 2. */
export interface TbsCertificateList {
  readonly issuer: DistinguishedName;
  /** Key identifier of the issuer's key. */
  readonly authorityKeyIdentifier: Uint8Array;
  /** ms since the epoch. */
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  /** Never goes back. */
  readonly crlNumber: bigint | number;
  readonly revoked: Iterable<Revocation & { readonly serialNumber: string }>;
  readonly signatureAlgorithm: { readonly der: Buffer };
}

/** The bytes to sign; `assembleSigned` makes the list of them. */
export function encodeTbsCertificateList(of: TbsCertificateList): Buffer {
  const entries = Array.from(of.revoked, encodeEntry);
  const extensions = [
    authorityKeyIdentifierExtension(of.authorityKeyIdentifier),
    crlNumberExtension(of.crlNumber),
  ];
  return sequence(
    integer(1),
    of.signatureAlgorithm.der,
    of.issuer.der,
    time(of.thisUpdate),
    time(of.nextUpdate),
    // An empty list must be absent (RFC 5280 section 5.1.2.6).
    ...(entries.length === 0 ? [] : [sequence(Buffer.concat(entries))]),
    explicit(0, encodeExtensions(extensions)),
  );
}

function encodeEntry(entry: Revocation & { readonly serialNumber: string }): Buffer {
  const head = [encodeSerialNumber(entry.serialNumber), time(entry.revokedAt)];
  // `unspecified` should be said by leaving the reason out (section 5.3.1).
  if (entry.reason === "unspecified") return sequence(...head);
  return sequence(...head, reasonExtensions(entry.reason));
}

/** There are ten reasons, and a list may have a million entries. */
const REASON_EXTENSIONS = new Map<RevocationReason, Buffer>();

function reasonExtensions(reason: RevocationReason): Buffer {
  const known = REASON_EXTENSIONS.get(reason);
  if (known !== undefined) return known;
  const encoded = encodeExtensions([reasonCodeExtension(reason)]);
  REASON_EXTENSIONS.set(reason, encoded);
  return encoded;
}

function fault(message: string): ProtocolError {
  return new ProtocolError("x509-certificate-list", `certificate list: ${message}`);
}
