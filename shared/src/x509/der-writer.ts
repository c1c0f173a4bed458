import { ProtocolError } from "../errors.ts";
import { TAG } from "./der-tag.ts";

/**
 * Writes ASN.1 values as DER (X.690). Each function returns one complete element (identifier, length, content); values
 * that cannot be written throw `ProtocolError` with a `der-*` code.
 */

/** The years that UTCTime covers (RFC 5280 section 4.1.2.5). */
const UTC_TIME_FROM = Date.UTC(1950, 0, 1);
const UTC_TIME_UNTIL = Date.UTC(2050, 0, 1);
const GENERALIZED_TIME_UNTIL = Date.UTC(10_000, 0, 1);

const OBJECT_IDENTIFIER_CACHE = new Map<string, Buffer>();
/** Ours is a closed set of identifiers; the bound only guards against a caller that writes what it is sent. */
const MAX_CACHED_OBJECT_IDENTIFIERS = 512;

/** One element with the given identifier octet around the concatenated parts. */
export function element(identifier: number, ...parts: readonly Uint8Array[]): Buffer {
  let length = 0;
  for (const part of parts) length += part.length;
  const headerLength = length < 0x80 ? 2 : 2 + octetsIn(length);
  const out = Buffer.allocUnsafe(headerLength + length);
  out[0] = identifier;
  writeLength(out, length, headerLength);
  let offset = headerLength;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}

export function sequence(...parts: readonly Uint8Array[]): Buffer {
  return element(TAG.sequence, ...parts);
}

/** SET OF: sorts its parts as DER demands (X.690 section 11.6). */
export function setOf(...parts: readonly Uint8Array[]): Buffer {
  return element(TAG.set, ...sorted(parts));
}

/** The parts of a SET OF in DER order, for a set under an implicit tag. */
export function sorted(parts: readonly Uint8Array[]): readonly Uint8Array[] {
  return parts.length < 2 ? parts : [...parts].sort(Buffer.compare);
}

/** An INTEGER; bytes are taken as an unsigned big-endian magnitude. */
export function integer(value: bigint | number | Uint8Array): Buffer {
  if (value instanceof Uint8Array) return unsignedInteger(value);
  if (typeof value === "number") {
    if (value >= 0 && value < 0x80) return Buffer.from([TAG.integer, 1, value]);
    if (!Number.isSafeInteger(value)) throw unwritable("integer", `${value} is not an integer`);
  }
  return signedInteger(BigInt(value));
}

function unsignedInteger(magnitude: Uint8Array): Buffer {
  let start = 0;
  while (start < magnitude.length - 1 && magnitude[start] === 0) start += 1;
  const digits = magnitude.subarray(start);
  if (digits.length === 0) return Buffer.from([TAG.integer, 1, 0]);
  const isSignSet = ((digits[0] ?? 0) & 0x80) !== 0;
  return isSignSet ? element(TAG.integer, Uint8Array.of(0), digits) : element(TAG.integer, digits);
}

function signedInteger(value: bigint): Buffer {
  let octets = 1;
  while (BigInt.asIntN(octets * 8, value) !== value) octets += 1;
  const hex = BigInt.asUintN(octets * 8, value)
    .toString(16)
    .padStart(octets * 2, "0");
  return element(TAG.integer, Buffer.from(hex, "hex"));
}

/** ENUMERATED, small and not negative as everywhere in X.509. */
export function enumerated(value: number): Buffer {
  if (!(value >= 0 && value < 0x80)) throw unwritable("enumerated", `${value} is out of range`);
  return Buffer.from([TAG.enumerated, 1, value]);
}

export function octetString(bytes: Uint8Array): Buffer {
  return element(TAG.octetString, bytes);
}

export function bitString(bytes: Uint8Array, unusedBits = 0): Buffer {
  return element(TAG.bitString, Uint8Array.of(unusedBits), bytes);
}

/** A BIT STRING of named flags, bit 0 first, without trailing zero bits (X.690 section 11.2.2). */
export function namedBits(bits: readonly number[]): Buffer {
  if (bits.length === 0) return bitString(Buffer.alloc(0));
  const last = Math.max(...bits);
  const bytes = Buffer.alloc((last >> 3) + 1);
  for (const bit of bits) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  return bitString(bytes, 7 - (last & 7));
}

/** An OBJECT IDENTIFIER from its dotted text. The result is shared: never write into it. */
export function objectIdentifier(dotted: string): Buffer {
  const cached = OBJECT_IDENTIFIER_CACHE.get(dotted);
  if (cached !== undefined) return cached;
  const encoded = element(TAG.objectIdentifier, encodeArcs(dotted));
  if (OBJECT_IDENTIFIER_CACHE.size < MAX_CACHED_OBJECT_IDENTIFIERS) {
    OBJECT_IDENTIFIER_CACHE.set(dotted, encoded);
  }
  return encoded;
}

function encodeArcs(dotted: string): Buffer {
  if (!/^[0-2](\.(0|[1-9]\d{0,38}))+$/.test(dotted)) {
    throw unwritable("oid", `"${dotted}" is not an object identifier`);
  }
  const [first = 0n, second = 0n, ...rest] = dotted.split(".").map(BigInt);
  if (first < 2n && second > 39n) throw unwritable("oid", `"${dotted}" has a second arc over 39`);
  return Buffer.from([first * 40n + second, ...rest].flatMap(base128));
}

function base128(arc: bigint): number[] {
  const octets = [Number(arc & 0x7fn)];
  for (let rest = arc >> 7n; rest > 0n; rest >>= 7n) octets.unshift(Number(rest & 0x7fn) | 0x80);
  return octets;
}

export function utf8String(text: string): Buffer {
  return element(TAG.utf8String, Buffer.from(text, "utf8"));
}

/** Throws `der-string` for a character outside the PrintableString set. */
export function printableString(text: string): Buffer {
  if (!/^[A-Za-z0-9 '()+,\-./:=?]*$/.test(text)) {
    throw unwritable("string", "PrintableString cannot hold every character of the text");
  }
  return element(TAG.printableString, Buffer.from(text, "latin1"));
}

/** Throws `der-string` for anything that is not ASCII. */
export function ia5String(text: string): Buffer {
  return element(TAG.ia5String, ia5Bytes(text));
}

/** The content of an IA5String, for one under an implicit tag. */
export function ia5Bytes(text: string): Buffer {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: IA5String is the whole of ASCII
  if (!/^[\x00-\x7f]*$/.test(text)) {
    throw unwritable("string", "IA5String cannot hold every character of the text");
  }
  return Buffer.from(text, "latin1");
}

export function boolean(value: boolean): Buffer {
  return Buffer.from([TAG.boolean, 1, value ? 0xff : 0]);
}

const NULL_VALUE = Buffer.from([TAG.null, 0]);

/** NULL. The result is shared: never write into it. */
export function nullValue(): Buffer {
  return NULL_VALUE;
}

/** UTCTime until 2049, GeneralizedTime from 2050 (RFC 5280 section 4.1.2.5), in whole seconds. */
export function time(ms: number): Buffer {
  if (!(ms >= UTC_TIME_FROM && ms < UTC_TIME_UNTIL)) return generalizedTime(ms);
  return element(TAG.utcTime, digitsOf(ms).subarray(2));
}

/** GeneralizedTime in whole seconds, as OCSP wants it for every date. */
export function generalizedTime(ms: number): Buffer {
  if (!(ms >= 0 && ms < GENERALIZED_TIME_UNTIL)) throw unwritable("time", `${ms} is out of range`);
  return element(TAG.generalizedTime, digitsOf(ms));
}

/** `20260131235959Z`. Long lists are full of times, so no text is made. */
function digitsOf(ms: number): Buffer {
  const date = new Date(ms);
  const out = Buffer.allocUnsafe(15);
  const year = date.getUTCFullYear();
  putTwoDigits(out, 0, Math.floor(year / 100));
  putTwoDigits(out, 2, year % 100);
  putTwoDigits(out, 4, date.getUTCMonth() + 1);
  putTwoDigits(out, 6, date.getUTCDate());
  putTwoDigits(out, 8, date.getUTCHours());
  putTwoDigits(out, 10, date.getUTCMinutes());
  putTwoDigits(out, 12, date.getUTCSeconds());
  out[14] = 0x5a;
  return out;
}

function putTwoDigits(out: Buffer, at: number, number: number): void {
  out[at] = 0x30 + Math.floor(number / 10);
  out[at + 1] = 0x30 + (number % 10);
}

/** `[number] EXPLICIT` around a whole element. */
export function explicit(number: number, part: Uint8Array): Buffer {
  return element(0xa0 | number, part);
}

/** `[number] IMPLICIT` over content that is already encoded. */
export function implicit(number: number, content: Uint8Array, isConstructed = false): Buffer {
  return element((isConstructed ? 0xa0 : 0x80) | number, content);
}

function octetsIn(length: number): number {
  if (length < 0x100) return 1;
  if (length < 0x1_0000) return 2;
  return length < 0x100_0000 ? 3 : 4;
}

function writeLength(out: Buffer, length: number, headerLength: number): void {
  if (headerLength === 2) {
    out[1] = length;
    return;
  }
  out[1] = 0x80 | (headerLength - 2);
  let rest = length;
  for (let at = headerLength - 1; at > 1; at -= 1) {
    out[at] = rest & 0xff;
    rest = Math.floor(rest / 0x100);
  }
}

function unwritable(what: string, message: string): ProtocolError {
  return new ProtocolError(`der-${what}`, `cannot write DER: ${message}`);
}
