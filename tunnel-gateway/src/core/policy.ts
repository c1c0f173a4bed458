import type { Destination, DestinationSet } from "./destination.ts";
import { embeddedAddresses } from "./egress.ts";
import { bitsOf, type IpAddress } from "./ip-address.ts";
import { isInRanges, type PortRange } from "./port-range.ts";

/** One policy of the desired configuration: rules for the members of some groups (`*` is everyone). */
export interface Policy {
  readonly name: string;
  readonly groups: readonly string[];
  readonly rules: readonly Rule[];
}

export interface Rule {
  readonly name: string;
  readonly action: "allow" | "deny";
  /** What of the packets it holds for; see `RULE_PROTOCOLS`. The relay is TCP. */
  readonly protocol?: RuleProtocol | undefined;
  readonly destinations: readonly DestinationSet[];
}

/**
 * Of a rule on the VPN. Without one, an allowing rule opens TCP and UDP on its ports, a denying rule closes its ports for every
 * protocol, and for protocols without ports too where it names all. `any` holds for every protocol in the same way. `icmp` is
 * ICMP and ICMPv6 and has no ports.
 */
export const RULE_PROTOCOLS = ["tcp", "udp", "icmp", "any"] as const;
export type RuleProtocol = (typeof RULE_PROTOCOLS)[number];

/** What the policies say of one destination. `rule` is `policy/rule`, or `default-deny` where no rule matches. */
export interface Verdict {
  readonly action: "allow" | "deny";
  readonly rule: string;
}

/** Policies made ready: a verdict costs one look-up per prefix length in use, however many rules there are. */
export interface PolicyMatcher {
  /** The first rule, in the order of the configuration, that matches a member of `groups` and the destination. */
  judge(groups: readonly string[], destination: Destination): Verdict;
  /** The denial that holds for a name whatever it resolves to; undefined where asking the DNS for it is worth it. */
  judgeName(groups: readonly string[], name: string, port: number): Verdict | undefined;
}

const DEFAULT_DENY: Verdict = { action: "deny", rule: "default-deny" };
const EVERYONE = "*";

/** One destination of one rule. `order` is the rule's place in the whole configuration. */
interface Entry {
  readonly order: number;
  readonly verdict: Verdict;
  readonly groups: readonly string[];
  readonly ports: readonly PortRange[];
}

/** The networks of one family and prefix length, by the bits of the prefix. */
interface PrefixTable {
  readonly shift: bigint;
  readonly entries: Map<bigint, Entry[]>;
}

/** Compiles the policies of one configuration. */
export function compilePolicies(policies: readonly Policy[]): PolicyMatcher {
  const names = new Map<string, Entry[]>();
  const networks = { 4: new Map<number, PrefixTable>(), 6: new Map<number, PrefixTable>() };
  const allowingNetworks: Entry[] = [];
  for (const { policy, rule, order } of rulesOfRelay(policies)) {
    const verdict = { action: rule.action, rule: `${policy.name}/${rule.name}` };
    for (const set of rule.destinations) {
      const entry = { order, verdict, groups: policy.groups, ports: set.ports };
      if (set.kind === "name") append(names, set.name, entry);
      else append(tableOf(networks[set.network.family], set.network).entries, keyOf(set), entry);
      if (set.kind === "network" && rule.action === "allow") allowingNetworks.push(entry);
    }
  }

  function firstMatch(member: Membership, at: Destination): Entry | undefined {
    let first: Entry | undefined;
    const consider = (entries: readonly Entry[] | undefined) => {
      // Entries of one key stand in the order of the configuration, so the first that matches is the first of them.
      const match = entries?.find((entry) => applies(entry, member, at.port));
      if (match && (!first || match.order < first.order)) first = match;
    };
    if (at.name !== undefined) consider(names.get(at.name));
    for (const { shift, entries } of networks[at.address.family].values()) {
      consider(entries.get(at.address.value >> shift));
    }
    return first;
  }

  return {
    judge(groups, destination) {
      const member = new Set(groups);
      const match = firstMatch(member, destination);
      if (match?.verdict.action !== "allow") return match?.verdict ?? DEFAULT_DENY;
      return denialOfEmbedded(destination, (at) => firstMatch(member, at)) ?? match.verdict;
    },
    judgeName(groups, name, port) {
      const member = new Set(groups);
      const isApplicable = (entry: Entry) => applies(entry, member, port);
      const named = names.get(name)?.find(isApplicable);
      const network = allowingNetworks.find(isApplicable);
      if (network && network.order < (named?.order ?? Number.POSITIVE_INFINITY)) return undefined;
      return named?.verdict.action === "allow" ? undefined : (named?.verdict ?? DEFAULT_DENY);
    },
  };
}

/** The rules that say something about TCP, each with its place. */
function rulesOfRelay(policies: readonly Policy[]) {
  return policies
    .flatMap((policy) => policy.rules.map((rule) => ({ policy, rule })))
    .map((one, order) => ({ ...one, order }))
    .filter(({ rule: { protocol } }) => protocol !== "udp" && protocol !== "icmp");
}

/** A rule that denies an IPv4 address holds for that address behind a translator too. */
function denialOfEmbedded(
  destination: Destination,
  firstMatch: (at: Destination) => Entry | undefined,
): Verdict | undefined {
  return embeddedAddresses(destination.address)
    .map((address) => firstMatch({ ...destination, address })?.verdict)
    .find((verdict) => verdict?.action === "deny");
}

type Membership = ReadonlySet<string>;

function applies(entry: Entry, member: Membership, port: number): boolean {
  if (!isInRanges(entry.ports, port)) return false;
  return entry.groups.some((group) => group === EVERYONE || member.has(group));
}

function tableOf(tables: Map<number, PrefixTable>, network: NetworkKey): PrefixTable {
  const existing = tables.get(network.prefix);
  if (existing) return existing;
  const shift = BigInt(bitsOf(network.family) - network.prefix);
  const table: PrefixTable = { shift, entries: new Map() };
  tables.set(network.prefix, table);
  return table;
}

type NetworkKey = IpAddress & { readonly prefix: number };

function keyOf(set: { readonly network: NetworkKey }): bigint {
  return set.network.value >> BigInt(bitsOf(set.network.family) - set.network.prefix);
}

function append<Key>(map: Map<Key, Entry[]>, key: Key, entry: Entry): void {
  const entries = map.get(key);
  if (entries) entries.push(entry);
  else map.set(key, [entry]);
}
