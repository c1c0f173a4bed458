import ipaddr from "ipaddr.js";

/** An IP address as a number; an IPv4-mapped IPv6 address is held as the IPv4 address that it reaches. */
export interface IpAddress {
  readonly family: 4 | 6;
  readonly value: bigint;
}

/** A network: `value` has no bit set beyond `prefix`. */
export interface Cidr extends IpAddress {
  readonly prefix: number;
}

const STRICT_IPV4 =
  /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)$/;
const MAPPED_PREFIX = 0xffffn;

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
  const bytes = bytesOf(address);
  return ipaddr.fromByteArray(bytes).toString();
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

/** The bits of an address from `start` (0 = most significant) on. */
export function bitsAt(address: IpAddress, start: number, count: number): bigint {
  const shift = BigInt(bitsOf(address.family) - start - count);
  return (address.value >> shift) & ((1n << BigInt(count)) - 1n);
}

function parseRaw(text: string): IpAddress | undefined {
  if (STRICT_IPV4.test(text)) return fromBytes(ipaddr.IPv4.parse(text).toByteArray());
  const dotted = text.includes(".") ? text.slice(text.lastIndexOf(":") + 1) : undefined;
  const isStrict = text.includes(":") && (dotted === undefined || STRICT_IPV4.test(dotted));
  if (!isStrict || text.includes("%") || !ipaddr.IPv6.isValid(text)) return undefined;
  return fromBytes(ipaddr.IPv6.parse(text).toByteArray());
}

function parsePrefix(text: string, bits: number): number | undefined {
  const prefix = /^(?:0|[1-9]\d{0,2})$/.test(text) ? Number(text) : Number.NaN;
  return prefix <= bits ? prefix : undefined;
}

function fromBytes(bytes: readonly number[]): IpAddress {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return { family: bytes.length === 4 ? 4 : 6, value };
}

function bytesOf(address: IpAddress): number[] {
  const count = bitsOf(address.family) / 8;
  return Array.from({ length: count }, (_, index) => Number(bitsAt(address, index * 8, 8)));
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
