import { ConnectorError } from "@isthmus/shared/errors";
import { formatAddress } from "../core/ip-address.ts";
import { gatewayAddress, type TunnelSlice } from "../core/vpn/tunnel-slices.ts";

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
  /** Kernel settings that make it superfluous when all of them are 1: in a container they are read-only, and set by its engine. */
  readonly unlessSet?: readonly string[];
}

export interface HostPlanOptions {
  readonly slices: readonly TunnelSlice[];
  /** Who will run the gateway: name or number. */
  readonly user: string;
  readonly mtu: number;
  readonly masquerade: boolean;
  /** Interfaces to the internal network; all but the tunnels where undefined. */
  readonly interfaces: readonly string[] | undefined;
}

/** Our table in nftables; the plan replaces it whole and touches no other. */
export const TABLE = "isthmus";
/** useradd(8), and numbers. It stands in commands that root runs, and in the script that is printed. */
const USER = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}\$?$/;
/** Packets that wait for a packet thread; more only adds delay. */
const QUEUE_PACKETS = 1_000;

/**
 * What has to be done once as root, so that the gateway itself needs no capability: devices that belong to its user,
 * addresses, forwarding, and address translation on the way out. @throws ConnectorError `user-malformed`
 */
export function hostPlan(options: HostPlanOptions): readonly HostStep[] {
  const { slices, user } = options;
  if (!USER.test(user)) {
    const message = `${JSON.stringify(user)} is no name of a user, nor a number`;
    throw new ConnectorError("user-malformed", message);
  }
  return [
    ...slices.flatMap((slice) => deviceSteps(slice, options)),
    {
      why: "packets pass between clients and networks",
      command: ["sysctl", "-q", "-w", ...forwarding(slices).map((setting) => `${setting}=1`)],
      unlessSet: forwarding(slices),
    },
    {
      why: options.masquerade
        ? "clients appear under the gateway's own addresses"
        : "clients keep their addresses; networks need a route back to them",
      command: ["nft", "-f", "-"],
      input: ruleset(options),
    },
  ];
}

/** What takes all of it away again. */
export function removalPlan(slices: readonly TunnelSlice[]): readonly HostStep[] {
  return [
    ...slices.map(({ device }) => ({
      why: `${device} goes`,
      command: ["ip", "link", "delete", device],
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

/** The settings that let packets pass. */
export function forwarding(slices: readonly TunnelSlice[]): string[] {
  const ipv6 = slices.some((slice) => slice.ipv6) ? ["net.ipv6.conf.all.forwarding"] : [];
  return ["net.ipv4.ip_forward", ...ipv6];
}

/** nftables' own language; what stands in it comes from checked configuration. */
function ruleset({ slices, masquerade, interfaces }: HostPlanOptions): string {
  const devices = slices.map(({ device }) => `"${device}"`).join(", ");
  const out = interfaces
    ? `oifname { ${interfaces.map((name) => `"${name}"`).join(", ")} }`
    : `oifname != { ${devices} }`;
  const sources = (family: "ipv4" | "ipv6") =>
    slices
      .flatMap((slice) => slice[family] ?? [])
      .map((network) => `${formatAddress(network)}/${network.prefix}`)
      .join(", ");
  const ipv6 = sources("ipv6");
  const spoofed = (field: string, networks: string) =>
    `    iifname != { "lo", ${devices} } ${field} { ${networks} } drop`;
  /** Else a neighbour of the gateway could write a client's address on its packets, and have them carried inside unjudged. */
  const origin = [
    "  chain origin {",
    "    type filter hook prerouting priority raw; policy accept;",
    spoofed("ip saddr", sources("ipv4")),
    ...(ipv6 === "" ? [] : [spoofed("ip6 saddr", ipv6)]),
    "  }",
  ];
  const translation = [
    "  chain translation {",
    "    type nat hook postrouting priority srcnat; policy accept;",
    `    ip saddr { ${sources("ipv4")} } ${out} masquerade`,
    ...(ipv6 === "" ? [] : [`    ip6 saddr { ${ipv6} } ${out} masquerade`]),
    "  }",
  ];
  return [
    `table inet ${TABLE}`,
    `delete table inet ${TABLE}`,
    `table inet ${TABLE} {`,
    ...origin,
    ...(masquerade ? translation : []),
    "}",
    "",
  ].join("\n");
}
