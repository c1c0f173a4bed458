import { ConfigurationError } from "@isthmus/shared/errors";
import { bitsOf, type Cidr, formatAddress, type IpAddress, parseCidr } from "../ip-address.ts";

/** A packet thread's part of the address pool: one TUN device, one subnet of each family. */
export interface TunnelSlice {
  readonly index: number;
  readonly device: string;
  /** The subnet; slot n of it has the address plus n. */
  readonly ipv4: Cidr;
  readonly ipv6: Cidr | undefined;
  /** Slots, the two that are never given out (`FIRST_SLOT`) included; the last one is IPv4's broadcast address. */
  readonly slots: number;
}

/** Slot 0 is the subnet's own address, slot 1 the gateway's on the device. */
export const GATEWAY_SLOT = 1;
export const FIRST_SLOT = 2;

/** Own limits: a slice has to hold somebody, and a packet thread has a table entry for each slot. */
const LEAST_SLOTS = 8;
const MOST_SLOTS = 65_536;
// RFC 3927; Microsoft Tunnel suggests a pool in it, where clouds have their metadata service.
const LINK_LOCAL = /^169\.254\./;

/** Cuts the address pool into one slice per tunnel. @throws ConfigurationError naming every fault */
export function tunnelSlices(options: {
  readonly network: string;
  readonly ipv6Network?: string | undefined;
  readonly tunnels: { readonly name: string; readonly count: number };
}): readonly TunnelSlice[] {
  const faults: string[] = [];
  const ipv4 = readNetwork(options.network, 4, "vpn.network", faults);
  const ipv6 =
    options.ipv6Network === undefined
      ? undefined
      : readNetwork(options.ipv6Network, 6, "vpn.ipv6Network", faults);
  const { name, count } = options.tunnels;
  const bits = Math.log2(count);
  const slots = ipv4 ? 2 ** (32 - ipv4.prefix - bits) : LEAST_SLOTS;
  if (slots < LEAST_SLOTS) {
    faults.push(`vpn.network: ${options.network} is too small for ${count} tunnels`);
  }
  if (slots > MOST_SLOTS) {
    faults.push(`vpn.network: ${options.network} gives a tunnel more than ${MOST_SLOTS} addresses`);
  }
  if (ipv6 && 2 ** (128 - ipv6.prefix - bits) < slots) {
    faults.push("vpn.ipv6Network: it has fewer addresses than vpn.network");
  }
  if (LINK_LOCAL.test(options.network)) {
    faults.push("vpn.network: 169.254.0.0/16 is link-local and collides with cloud metadata");
  }
  if (faults.length > 0 || !ipv4) throw new ConfigurationError("the local configuration", faults);
  return Array.from({ length: count }, (_, index) => ({
    index,
    device: `${name}${index}`,
    ipv4: subnet(ipv4, bits, index),
    ipv6: ipv6 && subnet(ipv6, bits, index),
    slots,
  }));
}

/** The address of a slot. */
export function addressOfSlot(network: Cidr, slot: number): IpAddress {
  return { family: network.family, value: network.value + BigInt(slot) };
}

/** The gateway's own address on a slice's device, with the subnet's prefix: `10.98.0.1/17`. */
export function gatewayAddress(network: Cidr): string {
  return `${formatAddress(addressOfSlot(network, GATEWAY_SLOT))}/${network.prefix}`;
}

function subnet(network: Cidr, bits: number, index: number): Cidr {
  const prefix = network.prefix + bits;
  const step = 1n << BigInt(bitsOf(network.family) - prefix);
  return { family: network.family, value: network.value + BigInt(index) * step, prefix };
}

function readNetwork(text: string, family: 4 | 6, key: string, faults: string[]): Cidr | undefined {
  const network = parseCidr(text);
  if (network?.family === family) return network;
  const wanted = family === 4 ? "10.98.0.0/16" : "fd12:3456:789a::/96";
  faults.push(`${key}: ${text} is no network such as ${wanted}`);
  return undefined;
}
