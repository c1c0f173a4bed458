import {
  bitsAt,
  type Cidr,
  contains,
  formatAddress,
  type IpAddress,
  parseAddress,
  parseCidr,
} from "./ip-address.ts";
import { isInRanges, type PortRange } from "./port-range.ts";
import type { Refusal } from "./refusal.ts";

/**
 * Where the relay never connects to whatever the policy says, unless the local configuration makes an exception: the
 * addresses that reach the gateway's own host, its cloud's metadata service, or many hosts at once.
 */
export interface EgressGuard {
  /** What it was made of, for deciding about packets. */
  readonly surroundings: EgressSurroundings;
  /** Why a connection to `address` is forbidden; undefined when it is not. */
  judge(address: IpAddress, port: number): Refusal | undefined;
}

export interface Exception {
  readonly network: Cidr;
  readonly ports: readonly PortRange[];
}

export interface OwnListener {
  /** Undefined when the listener accepts on every address of the host. */
  readonly address: IpAddress | undefined;
  readonly port: number;
}

export interface EgressSurroundings {
  /** Exceptions of the local configuration; the cloud has no way to add one. */
  readonly allowedInternal: readonly Exception[];
  /** Networks that administer the gateway (management, storage, orchestration). */
  readonly controlNetwork: readonly Cidr[];
  /** Addresses of this host's interfaces, and the broadcast addresses of their networks. */
  readonly ownAddresses: readonly IpAddress[];
  readonly broadcastAddresses: readonly IpAddress[];
  /** Sockets this process listens on: forbidden even where `allowedInternal` opens their address. */
  readonly ownListeners: readonly OwnListener[];
}

// IANA special-purpose address registries (RFC 6890), and the metadata services of the large clouds.
const FORBIDDEN: readonly (readonly [rule: string, networks: readonly string[]])[] = [
  ["unspecified", ["0.0.0.0/8", "::/128"]],
  ["loopback", ["127.0.0.0/8", "::1/128"]],
  ["metadata", ["169.254.169.254/32", "fd00:ec2::254/128", "fd20:ce::254/128"]],
  ["metadata", ["168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32"]],
  ["link-local", ["169.254.0.0/16", "fe80::/10", "fec0::/10"]],
  ["multicast", ["224.0.0.0/4", "ff00::/8"]],
  ["broadcast", ["255.255.255.255/32"]],
  ["reserved", ["240.0.0.0/4", "192.0.0.0/24", "100::/64"]],
  // Relays of others: nobody can say where 6to4 and Teredo end, and both are retired (RFC 7526, RFC 8190).
  ["transition", ["2002::/16", "2001::/32", "::/96", "::ffff:0:0:0/96", "192.88.99.0/24"]],
];
export const FORBIDDEN_NETWORKS = FORBIDDEN.flatMap(([rule, networks]) =>
  networks.map((text) => ({ rule: `egress/${rule}`, network: required(text) })),
);

/** Compiles the default-deny list and the local exceptions into one judge. */
export function compileEgress(surroundings: EgressSurroundings): EgressGuard {
  const own = new Set(surroundings.ownAddresses.map(formatAddress));
  const broadcasts = new Set(surroundings.broadcastAddresses.map(formatAddress));

  function judgeOne(address: IpAddress, port: number): string | undefined {
    if (surroundings.ownListeners.some((listener) => reaches(listener, address, port, own))) {
      return "egress/own-listener";
    }
    if (surroundings.allowedInternal.some((exception) => covers(exception, address, port))) {
      return undefined;
    }
    const listed = FORBIDDEN_NETWORKS.find(({ network }) => contains(network, address));
    if (listed) return listed.rule;
    if (own.has(formatAddress(address))) return "egress/own-address";
    if (broadcasts.has(formatAddress(address))) return "egress/broadcast";
    if (surroundings.controlNetwork.some((network) => contains(network, address))) {
      return "egress/control-network";
    }
    return undefined;
  }

  return {
    surroundings,
    judge(address, port) {
      for (const candidate of [address, ...embeddedAddresses(address)]) {
        const rule = judgeOne(candidate, port);
        if (rule) return refusal(rule, address, port);
      }
      return undefined;
    },
  };
}

/**
 * The IPv4 addresses that an IPv6 address carries inside, one for each translation it may be part of: NAT64 (RFC 6052
 * section 2.2 with prefix length 96, and 48 for RFC 8215), 6to4, Teredo (server and client), ISATAP, IPv4-compatible
 * and IPv4-translated.
 */
export function embeddedAddresses(address: IpAddress): IpAddress[] {
  if (address.family === 4) return [];
  return EMBEDDINGS.filter(({ network }) => contains(network, address))
    .flatMap(({ read }) => read(address))
    .map((value) => ({ family: 4, value }));
}

const EMBEDDINGS: readonly {
  readonly network: Cidr;
  readonly read: (address: IpAddress) => bigint[];
}[] = [
  { network: required("64:ff9b::/96"), read: lastBits },
  { network: required("64:ff9b:1::/48"), read: localTranslation },
  { network: required("2002::/16"), read: (at) => [bitsAt(at, 16, 32)] },
  {
    network: required("2001::/32"),
    read: (at) => [bitsAt(at, 32, 32), bitsAt(at, 96, 32) ^ 0xffff_ffffn],
  },
  { network: required("::/96"), read: lastBits },
  { network: required("::ffff:0:0:0/96"), read: lastBits },
  { network: required("::/0"), read: (at) => (isIsatap(at) ? lastBits(at) : []) },
];

function lastBits(address: IpAddress): bigint[] {
  return [bitsAt(address, 96, 32)];
}

/**
 * RFC 8215 leaves the prefix length to the network: read as 96 and as 48 (RFC 6052 section 2.2: an empty octet between
 * the halves). Zeros are where the other reading has no address.
 */
function localTranslation(address: IpAddress): bigint[] {
  const after48 = (bitsAt(address, 48, 16) << 16n) | bitsAt(address, 72, 16);
  return [...lastBits(address), after48].filter((value) => value !== 0n);
}

/** RFC 5214 section 6.1: interface identifier ::0:5efe:a.b.c.d or ::200:5efe:a.b.c.d. */
export function isIsatap(address: IpAddress): boolean {
  const upper = bitsAt(address, 64, 32);
  return upper === 0x0000_5efen || upper === 0x0200_5efen;
}

function reaches(
  listener: OwnListener,
  address: IpAddress,
  port: number,
  own: ReadonlySet<string>,
): boolean {
  if (listener.port !== port) return false;
  const text = formatAddress(address);
  if (listener.address) return formatAddress(listener.address) === text;
  return own.has(text) || LOOPBACKS.some((network) => contains(network, address));
}

/** What a listener on every address is reached by, besides the host's own. */
export const LOOPBACKS = ["127.0.0.0/8", "::1/128", "0.0.0.0/8", "::/128"].map(required);

function covers(exception: Exception, address: IpAddress, port: number): boolean {
  return contains(exception.network, address) && isInRanges(exception.ports, port);
}

function refusal(rule: string, address: IpAddress, port: number): Refusal {
  const where = `${formatAddress(address)} port ${port}`;
  return { code: "egress-forbidden", rule, message: `the gateway never connects to ${where}` };
}

function required(text: string): Cidr {
  const network = parseCidr(text);
  if (!network) throw new TypeError(`${text} is no network`);
  return network;
}

/** The broadcast address of the network that an interface address lies in. */
export function broadcastOf(interfaceNetwork: string): IpAddress | undefined {
  const [addressText = "", prefixText = ""] = interfaceNetwork.split("/");
  const address = parseAddress(addressText);
  const prefix = Number(prefixText);
  if (address?.family !== 4 || !(prefix < 31)) return undefined;
  return { family: 4, value: address.value | ((1n << BigInt(32 - prefix)) - 1n) };
}
