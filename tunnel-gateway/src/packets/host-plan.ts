import { ConnectorError } from "@isthmus/shared/errors";
import type { NamedPool } from "../core/vpn/address-pools.ts";
import { gatewayAddress, type TunnelSlice } from "../core/vpn/tunnel-slices.ts";
import { ruleset, TABLE } from "./host-ruleset.ts";

/** One thing that the host needs; `isDone` is asked first, so that the plan may be run again at any time. */
export interface HostStep {
  /** For a person: what it is for. */
  readonly why: string;
  /** The program and its words. */
  readonly command: readonly string[];
  /** Given to the program's standard input. */
  readonly input?: string;
  /** A TUN device that makes the step superfluous when it is already there for its user. */
  readonly unlessDevice?: { readonly name: string; readonly user: string };
  /** A device without which there is nothing to do. */
  readonly ifDevice?: string;
  /** Kernel settings that make it superfluous when all of them are 1: in a container they are read-only, and set by its engine. */
  readonly unlessSet?: readonly string[];
}

export interface HostPlanOptions {
  readonly slices: readonly TunnelSlice[];
  readonly pools: readonly NamedPool[];
  /** Who will run the gateway: name or number. */
  readonly user: string;
  readonly mtu: number;
  readonly masquerade: boolean;
  /** Interfaces to the internal network; all but the tunnels where undefined. */
  readonly interfaces: readonly string[] | undefined;
  /** Packets that are neither from a client nor to one. */
  readonly otherTraffic: "drop" | "leave";
}

/** useradd(8), and numbers. It stands in commands that root runs, and in the script that is printed. */
const USER = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}\$?$/;
/** Packets that wait for a packet thread; more only adds delay. */
const QUEUE_PACKETS = 1_000;

/**
 * What has to be done once as root, so that the gateway itself needs no capability: devices that belong to its user,
 * addresses, forwarding, and address translation on the way out. @throws ConnectorError `user-malformed`
 */
export function hostPlan(options: HostPlanOptions): readonly HostStep[] {
  const { slices, user, interfaces } = options;
  if (!USER.test(user)) {
    const message = `${JSON.stringify(user)} is no name of a user, nor a number`;
    throw new ConnectorError("user-malformed", message);
  }
  return [
    ...slices.flatMap((slice) => deviceSteps(slice, options)),
    // The rules stand before anything is let through.
    {
      why: "who passes, and under which address",
      command: ["nft", "-f", "-"],
      input: ruleset(options),
    },
    {
      why: "packets pass between clients and networks",
      command: ["sysctl", "-q", "-w", ...forwarding(slices, interfaces).map((one) => `${one}=1`)],
      unlessSet: forwarding(slices, interfaces),
    },
  ];
}

/** What takes all of it away again but forwarding, of which nobody knows who else needs it. */
export function removalPlan(slices: readonly TunnelSlice[]): readonly HostStep[] {
  return [
    ...slices.map(({ device }) => ({
      why: `${device} goes`,
      command: ["ip", "link", "delete", device],
      ifDevice: device,
    })),
    {
      why: "its rules go",
      command: ["nft", "-f", "-"],
      input: `table inet ${TABLE}\ndelete table inet ${TABLE}\n`,
    },
  ];
}

function deviceSteps(slice: TunnelSlice, { user, mtu }: HostPlanOptions): HostStep[] {
  const { device, ipv4, ipv6 } = slice;
  const on = ["dev", device];
  const words = ["ip", "tuntap", "add", ...on, "mode", "tun", "user", user, "vnet_hdr"];
  const address = (one: string, family: string[]) => ({
    why: `the gateway's own address on ${device}, which brings the route to its clients`,
    command: ["ip", ...family, "address", "replace", one, ...on],
  });
  return [
    {
      why: `${device} belongs to ${user}, with segmentation offload`,
      command: words,
      unlessDevice: { name: device, user },
    },
    {
      why: `${device} is up`,
      command: [
        "ip",
        "link",
        "set",
        ...on,
        "mtu",
        `${mtu}`,
        "txqueuelen",
        `${QUEUE_PACKETS}`,
        "up",
      ],
    },
    address(gatewayAddress(ipv4), []),
    ...(ipv6 ? [{ ...address(gatewayAddress(ipv6), ["-6"]) }] : []),
  ];
}

/**
 * The settings that let packets pass, as paths below /proc/sys: the name of an interface may have dots. IPv4 asks the interface
 * that a packet comes in by, so where the internal ones are known no other becomes a way through. For IPv6 the kernel asks the
 * host as a whole (`force_forwarding` of an interface came with Linux 6.17); there the rules alone hold others back.
 */
export function forwarding(
  slices: readonly TunnelSlice[],
  interfaces: readonly string[] | undefined,
): string[] {
  const devices = interfaces && [...slices.map(({ device }) => device), ...interfaces];
  const ipv4 = devices?.map((device) => `net/ipv4/conf/${device}/forwarding`);
  const ipv6 = slices.some((slice) => slice.ipv6) ? ["net/ipv6/conf/all/forwarding"] : [];
  return [...(ipv4 ?? ["net/ipv4/ip_forward"]), ...ipv6];
}
