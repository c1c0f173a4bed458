import { isIPv4, isIPv6 } from "node:net";

/** An IP address as a number; an IPv4-mapped IPv6 address is held as the IPv4 address that it reaches. */
export interface IpAddress {
  readonly family: 4 | 6;
  readonly value: bigint;
}

/** A network: `value` has no bit set beyond `prefix`. */
export interface Cidr extends IpAddress {
  readonly prefix: number;
}

const MAPPED_PREFIX = 0xffffn;
const GROUP_STARTS = [0, 16, 32, 48, 64, 80, 96, 112];

/** Width of an address in bits. */
export function bitsOf(family: 4 | 6): number {
  return family === 4 ? 32 : 128;
}

/** Reads an address in its usual text form (no zone, no octal, no short forms of IPv4); undefined when it is none. */
export function parseAddress(text: string): IpAddress | undefined {
  const raw = parseRaw(text);
  return raw && unmapped(raw);
}

/** Reads `address/prefix`, or an address alone as a network of one; undefined when it is none or has host bits. */
export function parseCidr(text: string): Cidr | undefined {
  const [addressText = "", prefixText, ...rest] = text.split("/");
  const address = parseRaw(addressText);
  if (!address || rest.length > 0) return undefined;
  const bits = bitsOf(address.family);
  const prefix = prefixText === undefined ? bits : parsePrefix(prefixText, bits);
  if (prefix === undefined || hostBits(address, prefix) !== 0n) return undefined;
  return unmappedNetwork({ ...address, prefix });
}

/** The usual text of an address (RFC 5952). */
export function formatAddress(address: IpAddress): string {
  if (address.family === 4) {
    return [0, 8, 16, 24].map((start) => bitsAt(address, start, 8)).join(".");
  }
  const groups = GROUP_STARTS.map((start) => bitsAt(address, start, 16).toString(16));
  // A URL's host is written as RFC 5952 wants it.
  return new URL(`http://[${groups.join(":")}]/`).hostname.slice(1, -1);
}

/** Whether `address` lies in `network`; never across families. */
export function contains(network: Cidr, address: IpAddress): boolean {
  if (network.family !== address.family) return false;
  const shift = BigInt(bitsOf(network.family) - network.prefix);
  return address.value >> shift === network.value >> shift;
}

/** Whether every address of `inner` lies in `outer`. */
export function containsNetwork(outer: Cidr, inner: Cidr): boolean {
  return inner.prefix >= outer.prefix && contains(outer, inner);
}

/** Whether two networks have an address in common; of two that have, one lies in the other. */
export function overlap(one: Cidr, other: Cidr): boolean {
  return one.prefix <= other.prefix ? contains(one, other) : contains(other, one);
}

/** The bits of an address from `start` (0 = most significant) on. */
export function bitsAt(address: IpAddress, start: number, count: number): bigint {
  const shift = BigInt(bitsOf(address.family) - start - count);
  return (address.value >> shift) & ((1n << BigInt(count)) - 1n);
}

/** inet_pton's forms alone: no octal, no short form, no zone. */
function parseRaw(text: string): IpAddress | undefined {
  if (isIPv4(text)) return { family: 4, value: joined(text.split(".").map(Number), 8) };
  if (!isIPv6(text) || text.includes("%")) return undefined;
  return { family: 6, value: joined(expanded(text), 16) };
}

/** The eight groups of an IPv6 address that is known to be well-formed. */
function expanded(text: string): number[] {
  const [head = "", tail] = withoutDots(text).split("::");
  const groupsOf = (part: string) => (part === "" ? [] : part.split(":"));
  const before = groupsOf(head);
  const after = groupsOf(tail ?? "");
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => "0");
  return [...before, ...zeros, ...after].map((group) => Number.parseInt(group, 16));
}

/** `::ffff:10.1.2.3` as `::ffff:a01:203`. */
function withoutDots(text: string): string {
  return text.replace(/[^:]+\.[^:]+$/, (dotted) => {
    const value = joined(dotted.split(".").map(Number), 8);
    return `${(value >> 16n).toString(16)}:${(value & 0xffffn).toString(16)}`;
  });
}

function parsePrefix(text: string, bits: number): number | undefined {
  const prefix = /^(?:0|[1-9]\d{0,2})$/.test(text) ? Number(text) : Number.NaN;
  return prefix <= bits ? prefix : undefined;
}

function joined(parts: readonly number[], bits: number): bigint {
  return parts.reduce((value, part) => (value << BigInt(bits)) | BigInt(part), 0n);
}

/** The kernel connects ::ffff:a.b.c.d as a.b.c.d, so a rule on the one has to hold for the other. */
function unmapped(address: IpAddress): IpAddress {
  if (address.family === 4 || address.value >> 32n !== MAPPED_PREFIX) return address;
  return { family: 4, value: address.value & 0xffff_ffffn };
}

function unmappedNetwork(network: Cidr): Cidr {
  if (network.prefix < 96) return network;
  const address = unmapped(network);
  return address.family === 4 ? { ...address, prefix: networkPrefix(network) } : network;
}

function networkPrefix(network: Cidr): number {
  return network.family === 4 ? network.prefix : network.prefix - 96;
}

function hostBits(address: IpAddress, prefix: number): bigint {
  return bitsAt(address, prefix, bitsOf(address.family) - prefix);
}
