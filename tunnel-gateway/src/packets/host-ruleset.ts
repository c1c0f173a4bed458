import type { Cidr } from "../core/ip-address.ts";
import { formatNetwork, type NamedPool, type SourceAddress } from "../core/vpn/address-pools.ts";
import type { TunnelSlice } from "../core/vpn/tunnel-slices.ts";

/** Our table in nftables; the rules replace it whole and touch no other. */
export const TABLE = "isthmus";

export interface RulesetOptions {
  readonly slices: readonly TunnelSlice[];
  readonly pools: readonly NamedPool[];
  readonly masquerade: boolean;
  readonly interfaces: readonly string[] | undefined;
  readonly otherTraffic: "drop" | "leave";
}

/** One family in nftables' words. */
interface Family {
  readonly key: "ipv4" | "ipv6";
  readonly source: "ipv4Source" | "ipv6Source";
  readonly word: "ip" | "ip6";
  readonly type: "ipv4_addr" | "ipv6_addr";
}

const FAMILIES: readonly Family[] = [
  { key: "ipv4", source: "ipv4Source", word: "ip", type: "ipv4_addr" },
  { key: "ipv6", source: "ipv6Source", word: "ip6", type: "ipv6_addr" },
];

/**
 * Own limit on connections that the kernel tracks for one client address: twice what the packet threads keep of a session
 * (FLOWS_PER_SESSION_AT_MOST of native/src/flow-table.h), for the kernel remembers for minutes what has ended there.
 */
const TRACKED_PER_CLIENT = 8_192;
/** What NAT may not go below (RFC 5382 section 5: two hours and four minutes); Linux would keep an idle connection for five days. */
const TCP_ESTABLISHED_SECONDS = 7_440;
/** Of a packet that the kernel takes for none of a connection: translation would let it go by as it is. */
const NO_CONNECTION = "ct state invalid,untracked";
/** Of the packet that opens a connection. By state alone, each packet of one that nobody answers would be counted again. */
const OPENING = "ct status & confirmed == 0";

/** nftables' own language; what stands in it comes from checked configuration. */
export function ruleset(options: RulesetOptions): string {
  const translated = translation(options);
  // Without translation the table tracks nothing, and is not to begin with it.
  const { objects, rules } = translated.length === 0 ? NOTHING_TRACKED : tracking(options);
  return [
    `table inet ${TABLE}`,
    `delete table inet ${TABLE}`,
    `table inet ${TABLE} {`,
    ...objects,
    ...origin(options),
    ...passage(options, rules),
    ...translated,
    "}",
    "",
  ].join("\n");
}

interface Tracking {
  readonly objects: readonly string[];
  readonly rules: readonly string[];
}

const NOTHING_TRACKED: Tracking = { objects: [], rules: [] };

/** Else one client could fill the table of connections, which is the whole host's, and nobody else could open any. */
function tracking({ slices }: RulesetOptions): Tracking {
  const families = FAMILIES.filter(({ key }) => slices.some((slice) => slice[key]));
  const tunnels = names(slices.map(({ device }) => device));
  // Whoever has an IPv6 address has an IPv4 address too. A full set would let pass what it cannot count.
  const clients = slices.reduce((sum, { slots }) => sum + slots, 0);
  const objects = families.flatMap(({ word, type }) => [
    `  set ${word}Clients { type ${type}; size ${clients}; flags dynamic; }`,
    `  ct timeout ${word}Tcp { protocol tcp; l3proto ${word}; policy = { established : ${TCP_ESTABLISHED_SECONDS} }; }`,
  ]);
  const rules = families.flatMap(({ word }) => {
    const opening = `iifname ${tunnels} ${OPENING}`;
    return [
      `${opening} add @${word}Clients { ${word} saddr ct count over ${TRACKED_PER_CLIENT} } counter name connectionsRefused drop`,
      `${opening} meta protocol ${word} meta l4proto tcp ct timeout set "${word}Tcp"`,
    ];
  });
  return { objects: ["  counter connectionsRefused { }", ...objects], rules };
}

/** Else a neighbour of the gateway could write a client's address on its packets, and have them carried inside unjudged. */
function origin({ slices }: RulesetOptions): string[] {
  const devices = ["lo", ...slices.map(({ device }) => device)];
  const rules = FAMILIES.flatMap(({ key, word }) => {
    const networks = slices.flatMap((slice) => slice[key] ?? []);
    if (networks.length === 0) return [];
    return `iifname != ${names(devices)} ${word} saddr ${set(networks)} drop`;
  });
  return chain("origin", "filter hook prerouting priority raw", rules);
}

/** Forwarding would let through whatever the host is sent for others; what clients need is all that it is switched on for. */
function passage(
  { slices, interfaces, otherTraffic }: RulesetOptions,
  first: readonly string[],
): string[] {
  const tunnels = names(slices.map(({ device }) => device));
  const inside = interfaces && names([...slices.map(({ device }) => device), ...interfaces]);
  const rules = [
    inside ? `iifname ${tunnels} oifname ${inside} accept` : `iifname ${tunnels} accept`,
    inside ? `oifname ${tunnels} iifname ${inside} accept` : `oifname ${tunnels} accept`,
  ];
  const others =
    otherTraffic === "drop" ? ["drop"] : [`iifname ${tunnels} drop`, `oifname ${tunnels} drop`];
  return chain("passage", "filter hook forward priority filter", [...first, ...rules, ...others]);
}

/** Pools first: a packet goes by the first rule that speaks of its address. */
function translation({ slices, pools, masquerade, interfaces }: RulesetOptions): string[] {
  const out = interfaces
    ? `oifname ${names(interfaces)}`
    : `oifname != ${names(slices.map(({ device }) => device))}`;
  const otherwise = masquerade ? "masquerade" : "none";
  const parts = [
    ...pools.map(({ ipv4, ipv6, sourceAddress, ipv6SourceAddress }) => ({
      ipv4,
      ipv6,
      ipv4Source: sourceAddress ?? otherwise,
      ipv6Source: ipv6SourceAddress ?? otherwise,
    })),
    {
      ipv4: slices.map((slice) => slice.ipv4),
      ipv6: slices.flatMap((slice) => slice.ipv6 ?? []),
      ipv4Source: otherwise,
      ipv6Source: otherwise,
    },
  ];
  if (parts.every((part) => part.ipv4Source === "none" && part.ipv6Source === "none")) return [];
  const rules = FAMILIES.flatMap(({ key, source, word }) =>
    parts.flatMap((part) => {
      if (part[key].length === 0) return [];
      const which = `${word} saddr ${set(part[key])} ${out}`;
      const isKept = part[source] === "none";
      return {
        translation: `${which} ${verdict(part[source], word)}`,
        untranslated: `${NO_CONNECTION} ${which} ${isKept ? "accept" : "drop"}`,
      };
    }),
  );
  return [
    ...chain(
      "untranslated",
      "filter hook forward priority filter",
      rules.map(({ untranslated }) => untranslated),
    ),
    ...chain(
      "translation",
      "nat hook postrouting priority srcnat",
      rules.map(({ translation: one }) => one),
    ),
  ];
}

function verdict(source: SourceAddress, word: string): string {
  if (source === "none") return "accept";
  return source === "masquerade" ? "masquerade" : `snat ${word} to ${source}`;
}

function chain(name: string, type: string, rules: readonly string[]): string[] {
  const lines = [`type ${type}; policy accept;`, ...rules].map((line) => `    ${line}`);
  return [`  chain ${name} {`, ...lines, "  }"];
}

function names(devices: readonly string[]): string {
  return `{ ${devices.map((device) => `"${device}"`).join(", ")} }`;
}

function set(networks: readonly Cidr[]): string {
  return `{ ${networks.map(formatNetwork).join(", ")} }`;
}
