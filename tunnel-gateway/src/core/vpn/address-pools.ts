import { ConfigurationError } from "@isthmus/shared/errors";
import {
  bitsOf,
  type Cidr,
  contains,
  containsNetwork,
  formatAddress,
  overlap,
  parseAddress,
  parseCidr,
} from "../ip-address.ts";
import type { TunnelSlice } from "./tunnel-slices.ts";

/** What becomes of a client's address on its way out: the way's own, none, or one certain address. */
export type SourceAddress = "masquerade" | "none" | string;

/** A part of the clients' addresses, as it is written. */
export interface PoolDocument {
  readonly name: string;
  /** IPv4, within `vpn.network`. */
  readonly networks: readonly string[];
  readonly sourceAddress?: SourceAddress | undefined;
  readonly ipv6SourceAddress?: SourceAddress | undefined;
}

/** Slots of a tunnel's slice, `end` not among them. */
export interface SlotRange {
  readonly tunnel: number;
  readonly first: number;
  readonly end: number;
}

/** A part of the clients' addresses that groups name: slots, and with them addresses of both families. */
export interface NamedPool {
  readonly name: string;
  readonly slots: readonly SlotRange[];
  readonly ipv4: readonly Cidr[];
  /** The addresses that its slots have in `vpn.ipv6Network`. */
  readonly ipv6: readonly Cidr[];
  /** Undefined: as `vpn.nat` says. */
  readonly sourceAddress: SourceAddress | undefined;
  readonly ipv6SourceAddress: SourceAddress | undefined;
}

/** Finds the pools' places in the slices. @throws ConfigurationError naming every fault */
export function addressPools(
  documents: readonly PoolDocument[],
  slices: readonly TunnelSlice[],
): readonly NamedPool[] {
  const faults: string[] = [];
  const taken: { readonly network: Cidr; readonly pool: string }[] = [];
  const names = new Set<string>();
  const pools = documents.map((document, index): NamedPool => {
    const key = `vpn.pools.${index}`;
    const { name, sourceAddress, ipv6SourceAddress } = document;
    if (names.has(name)) faults.push(`${key}.name: two pools are called ${name}`);
    names.add(name);
    faults.push(...sourceFaults(document, key, slices));
    const ipv4 = document.networks.flatMap((text, at) => {
      const network = parseCidr(text);
      const fault = networkFault(text, network, slices);
      const other = network && taken.find((one) => overlap(one.network, network));
      if (other) faults.push(`${key}.networks.${at}: ${text} has addresses of ${other.pool}`);
      if (fault) faults.push(`${key}.networks.${at}: ${fault}`);
      if (!network || fault || other) return [];
      taken.push({ network, pool: name });
      return network;
    });
    const places = ipv4.flatMap((network) => slices.flatMap((slice) => placesIn(slice, network)));
    const slots = places.map(({ slots: range }) => range);
    const ipv6 = places.flatMap((place) => place.ipv6 ?? []);
    return { name, slots, ipv4, ipv6, sourceAddress, ipv6SourceAddress };
  });
  if (faults.length > 0) throw new ConfigurationError("the local configuration", faults);
  return pools;
}

/** What a network has of a slice: nothing, a part of it, or all of it. */
function placesIn(slice: TunnelSlice, network: Cidr) {
  if (!overlap(slice.ipv4, network)) return [];
  const isWhole = network.prefix <= slice.ipv4.prefix;
  const first = isWhole ? 0 : Number(network.value - slice.ipv4.value);
  const bits = bitsOf(4) - Math.max(network.prefix, slice.ipv4.prefix);
  const slots: SlotRange = { tunnel: slice.index, first, end: first + 2 ** bits };
  const ipv6: Cidr | undefined = slice.ipv6 && {
    family: 6,
    value: slice.ipv6.value + BigInt(first),
    prefix: bitsOf(6) - bits,
  };
  return [{ slots, ipv6 }];
}

function networkFault(
  text: string,
  network: Cidr | undefined,
  slices: readonly TunnelSlice[],
): string | undefined {
  if (network?.family !== 4) return `${text} is no network such as 10.98.64.0/20`;
  const isWithin = slices.some(
    ({ ipv4 }) => containsNetwork(ipv4, network) || containsNetwork(network, ipv4),
  );
  const addresses = 2 ** (bitsOf(4) - network.prefix);
  const covered = slices.filter(({ ipv4 }) => containsNetwork(network, ipv4));
  const isCovered = covered.length === 0 || covered.length * (slices[0]?.slots ?? 0) === addresses;
  return isWithin && isCovered ? undefined : `${text} does not lie within vpn.network`;
}

function sourceFaults(
  { sourceAddress, ipv6SourceAddress }: PoolDocument,
  key: string,
  slices: readonly TunnelSlice[],
): string[] {
  const faults: string[] = [];
  if (!isSource(sourceAddress, 4)) {
    faults.push(`${key}.sourceAddress: ${sourceAddress} is no IPv4 address`);
  }
  if (!isSource(ipv6SourceAddress, 6)) {
    faults.push(`${key}.ipv6SourceAddress: ${ipv6SourceAddress} is no IPv6 address`);
  }
  for (const [name, source] of Object.entries({ sourceAddress, ipv6SourceAddress })) {
    const address = source === undefined ? undefined : parseAddress(source);
    const isClients =
      address &&
      slices.some(({ ipv4, ipv6 }) => [ipv4, ipv6].some((one) => one && contains(one, address)));
    if (isClients) faults.push(`${key}.${name}: ${source} is a client's address`);
  }
  if (ipv6SourceAddress !== undefined && slices.every(({ ipv6 }) => ipv6 === undefined)) {
    faults.push(`${key}.ipv6SourceAddress: clients have no IPv6 without vpn.ipv6Network`);
  }
  return faults;
}

function isSource(source: SourceAddress | undefined, family: 4 | 6): boolean {
  if (source === undefined || source === "masquerade" || source === "none") return true;
  return parseAddress(source)?.family === family;
}

/** The certain addresses under which a pool's clients appear, in their usual text. */
export function translatedTo({ sourceAddress, ipv6SourceAddress }: NamedPool): string[] {
  return [sourceAddress, ipv6SourceAddress].flatMap((source) => {
    const address = source === undefined ? undefined : parseAddress(source);
    return address ? [formatAddress(address)] : [];
  });
}

/** `10.98.64.0/20` */
export function formatNetwork(network: Cidr): string {
  return `${formatAddress(network)}/${network.prefix}`;
}
