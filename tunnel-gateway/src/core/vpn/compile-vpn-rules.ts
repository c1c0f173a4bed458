import { parseAddress, parseCidr } from "../ip-address.ts";
import { type BanRules, CERTIFICATE, type VpnGroup, type VpnRules } from "./vpn-rules.ts";

/** The VPN's part of a desired configuration, as it is written. */
export interface VpnDocument {
  readonly groups: readonly (Omit<VpnGroup, Optional | "poolMembers"> & {
    readonly [key in Optional]?: VpnGroup[key] | undefined;
  })[];
  readonly bans: BanRules;
}
type Optional = "label" | "members" | "defaultDomain" | "mtu" | "banner" | "pool";

/** What the local configuration has for groups to use. */
export interface VpnFacilities {
  /** Names of authenticators; those that need a user whom an earlier one of their list has named are `second`. */
  readonly authenticators: ReadonlyMap<string, "first" | "second">;
  /** Whether clients get IPv6 addresses. */
  readonly hasIpv6: boolean;
  /** Pools that have addresses to give out, with `VpnGroup.poolMembers`; undefined stands for what no pool has. */
  readonly pools: ReadonlyMap<string | undefined, readonly string[] | undefined>;
}

/** Compiles groups; what is wrong with them is added to `faults` with its key. */
export function compileVpnRules(
  document: VpnDocument,
  facilities: VpnFacilities,
  faults: string[],
): VpnRules {
  const taken = new Set<string>();
  const groups = document.groups.map((group, index): VpnGroup => {
    const key = `vpn.groups.${index}`;
    const label = group.label ?? group.name;
    for (const name of new Set([group.name.toLowerCase(), label.toLowerCase()])) {
      if (taken.has(name)) faults.push(`${key}: two groups are called ${name}`);
      taken.add(name);
    }
    faults.push(...authenticationFaults(group, key, facilities), ...networkFaults(group, key));
    faults.push(...poolFaults(group, key, facilities));
    const { members, defaultDomain, mtu, banner, pool } = group;
    const dnsServers = group.dnsServers.filter((server) => isServed(server, facilities));
    if (dnsServers.length < group.dnsServers.length) {
      faults.push(`${key}.dnsServers: an IPv6 server needs vpn.ipv6Network in the local file`);
    }
    const poolMembers = facilities.pools.get(pool);
    return { ...group, label, members, defaultDomain, mtu, banner, pool, poolMembers };
  });
  return { groups, bans: document.bans };
}

function authenticationFaults(
  { authentication, requireDevice }: VpnDocument["groups"][number],
  key: string,
  { authenticators }: VpnFacilities,
): string[] {
  return authentication.flatMap((list, index) => {
    const at = `${key}.authentication.${index}`;
    const unknown = list.filter((name) => name !== CERTIFICATE && !authenticators.has(name));
    const faults = unknown.map((name) => `${at}: no authenticator is called ${name}`);
    if (new Set(list).size < list.length) faults.push(`${at}: it names one authenticator twice`);
    const [first = ""] = list;
    if (authenticators.get(first) === "second") {
      faults.push(`${at}: ${first} needs another before it, which names the user`);
    }
    if (requireDevice && !list.includes(CERTIFICATE)) {
      faults.push(`${at}: requireDevice needs ${CERTIFICATE}, by which the device is known`);
    }
    return faults;
  });
}

function poolFaults(
  { pool }: VpnDocument["groups"][number],
  key: string,
  { pools }: VpnFacilities,
): string[] {
  if (pools.has(pool)) return [];
  const there = [...pools.keys()].filter((name) => name !== undefined).join(", ") || "none";
  return pool === undefined
    ? [`${key}.pool: vpn.pools of the local file have every address, name one: ${there}`]
    : [`${key}.pool: the local file has no pool ${pool} with addresses; it has ${there}`];
}

function networkFaults(group: VpnDocument["groups"][number], key: string): string[] {
  return (["routesInclude", "routesExclude"] as const).flatMap((routes) =>
    group[routes].flatMap((text, index) =>
      parseCidr(text)
        ? []
        : [`${key}.${routes}.${index}: ${JSON.stringify(text)} is no network, e.g. 10.1.0.0/16`],
    ),
  );
}

function isServed(server: string, { hasIpv6 }: VpnFacilities): boolean {
  return parseAddress(server)?.family === 4 || hasIpv6;
}
