import type { DestinationBound } from "../destination.ts";
import { type EgressSurroundings, FORBIDDEN_NETWORKS, LOOPBACKS } from "../egress.ts";
import { bitsOf, type Cidr, type IpAddress } from "../ip-address.ts";
import type { Policy, Rule } from "../policy.ts";
import { ALL_PORTS, coverPorts, type PortRange } from "../port-range.ts";
import { formsWithin, inForm } from "./embedded-forms.ts";

/** What becomes of a packet: `pass` is that the next stage decides. */
export type PacketAction = "allow" | "deny" | "pass";

/** Which address of the packet a rule is about; the numbers of `enum rule_reading` in native/src/policy.h. */
export const READINGS = {
  destination: 0,
  isatap: 1,
  "nat64-local-96": 2,
  "nat64-local-48": 3,
  "teredo-client": 4,
} as const;
export type Reading = keyof typeof READINGS;

/** One rule about packets. Within a stage the first that matches decides; without one the next stage does; then it is denied. */
export interface PacketRule {
  readonly stage: number;
  readonly action: PacketAction;
  /** IANA number; 0 for all. */
  readonly protocol: number;
  /** The packet's family; with another reading than `destination` it is 6 and `network` of family 4. */
  readonly reading: Reading;
  readonly network: Cidr;
  readonly ports: PortRange;
  /** `policy/rule`, `egress/...`, `guardrails/destinations`, `group/<name>/dns`. */
  readonly name: string;
}

/** What decides about the packets of sessions with the same groups. */
export interface PacketPolicy {
  readonly groups: readonly string[];
  /** Of the VPN's group: asked on port 53 whatever the policies say. */
  readonly dns: { readonly name: string; readonly servers: readonly IpAddress[] } | undefined;
}

/** What holds for all sessions. */
export interface PacketSurroundings {
  readonly policies: readonly Policy[];
  readonly bound: DestinationBound;
  readonly egress: EgressSurroundings;
}

// IANA protocol numbers.
const TCP = 6;
const UDP = 17;
const ICMP = { 4: 1, 6: 58 } as const;
const ANY = 0;

/** Protocols without ports are compared as port 0. */
const WITH_PORTLESS: PortRange = { from: 0, to: 65_535 };
const DNS_PORT: PortRange = { from: 53, to: 53 };
const EVERYTHING: readonly Cidr[] = [
  { family: 4, value: 0n, prefix: 0 },
  { family: 6, value: 0n, prefix: 0 },
];
/** On the wire it is nobody's address (RFC 6890), while the rules hold it for the IPv4 address in it. */
const MAPPED: Cidr = { family: 6, value: 0xffffn << 32n, prefix: 96 };

/**
 * Compiles what packets may do, so that TCP is judged as on the relay: the default-deny list with its exceptions, for the
 * destination and for every IPv4 address inside it; the denials of policies for those; the guardrails' bound; the group's DNS
 * servers and the policies. Names say nothing here.
 */
export function compilePacketRules(
  of: PacketPolicy,
  surroundings: PacketSurroundings,
): PacketRule[] {
  const rules = applicable(surroundings.policies, of.groups);
  const policyRules = [...dnsRules(of), ...rules.flatMap(rulesOfPolicy)];
  const opened = policyRules.flatMap((rule) => (rule.action === "allow" ? [rule.network] : []));
  const egress = egressRules(surroundings.egress);
  const embedded = formsWithin(opened, surroundings.egress.allowedInternal).flatMap((form) => [
    inForm(form, egress),
    inForm(form, denials(rules.flatMap(rulesOfPolicy))),
  ]);
  const stages = [egress, ...embedded, boundRules(surroundings.bound), policyRules];
  const ofFamilies = new Set(opened.map(({ family }) => family));
  return stages
    .map((stage) =>
      stage.filter(({ reading, network }) => ofFamilies.has(familyOf(reading, network))),
    )
    .filter((stage) => stage.length > 0)
    .flatMap((stage, index) => stage.map((rule) => ({ ...rule, stage: index })));
}

/** The family of the packets that a rule is about. */
export function familyOf(reading: Reading, network: Cidr): 4 | 6 {
  return reading === "destination" ? network.family : 6;
}

/** Of the policies of a document, the destinations that say nothing on the VPN. */
export function namesWithin(policies: readonly Policy[]): string[] {
  return policies.flatMap((policy) =>
    policy.rules
      .filter((rule) => rule.destinations.some(({ kind }) => kind === "name"))
      .map((rule) => `${policy.name}/${rule.name}`),
  );
}

export type StagelessRule = Omit<PacketRule, "stage">;

/** As `compileEgress` judges one address. */
function egressRules(surroundings: EgressSurroundings): StagelessRule[] {
  const { ownListeners, ownAddresses, allowedInternal, broadcastAddresses, controlNetwork } =
    surroundings;
  const listeners = ownListeners.flatMap(({ address, port }) => {
    const networks = address
      ? [hostNetwork(address)]
      : [...ownAddresses.map(hostNetwork), ...LOOPBACKS];
    const ports = { from: port, to: port };
    return networks.map((network) => rule("deny", network, ports, "egress/own-listener"));
  });
  const exceptions = allowedInternal.flatMap(({ network, ports }) =>
    portsOf(ports).map((range) => rule("pass", network, range, "egress/exception")),
  );
  const deny = (network: Cidr, name: string) => rule("deny", network, WITH_PORTLESS, name);
  return [
    deny(MAPPED, "egress/mapped"),
    ...listeners,
    ...exceptions,
    ...FORBIDDEN_NETWORKS.map(({ rule: name, network }) => deny(network, name)),
    ...ownAddresses.map((address) => deny(hostNetwork(address), "egress/own-address")),
    ...broadcastAddresses.map((address) => deny(hostNetwork(address), "egress/broadcast")),
    ...controlNetwork.map((network) => deny(network, "egress/control-network")),
  ];
}

/** What lies in one of the bound's networks passes; nothing else. */
function boundRules(bound: DestinationBound): StagelessRule[] {
  if (bound === undefined) return [];
  const name = "guardrails/destinations";
  const within = bound.flatMap((set) =>
    set.kind === "network"
      ? portsOf(set.ports).map((range) => rule("pass", set.network, range, name))
      : [],
  );
  return [...within, ...EVERYTHING.map((all) => rule("deny", all, WITH_PORTLESS, name))];
}

function dnsRules({ dns }: PacketPolicy): StagelessRule[] {
  if (!dns) return [];
  return dns.servers.flatMap((server) =>
    [UDP, TCP].map((protocol) => ({
      ...rule("allow", hostNetwork(server), DNS_PORT, `group/${dns.name}/dns`),
      protocol,
    })),
  );
}

function applicable(policies: readonly Policy[], groups: readonly string[]) {
  return policies
    .filter((policy) => policy.groups.some((group) => group === "*" || groups.includes(group)))
    .flatMap((policy) =>
      policy.rules.map((one) => ({ ...one, name: `${policy.name}/${one.name}` })),
    );
}

function rulesOfPolicy({ action, protocol, destinations, name }: Rule): StagelessRule[] {
  return destinations.flatMap((set) =>
    set.kind === "network"
      ? matches(action, protocol, set.network.family, set.ports).map((match) => ({
          ...rule(action, set.network, match.ports, name),
          protocol: match.protocol,
        }))
      : [],
  );
}

/** The meaning of `Rule.protocol`. */
function matches(
  action: "allow" | "deny",
  protocol: Rule["protocol"],
  family: 4 | 6,
  ports: readonly PortRange[],
): { readonly protocol: number; readonly ports: PortRange }[] {
  const on = (number: number) => ports.map((range) => ({ protocol: number, ports: range }));
  switch (protocol) {
    case "tcp":
      return on(TCP);
    case "udp":
      return on(UDP);
    case "icmp":
      return [{ protocol: ICMP[family], ports: WITH_PORTLESS }];
    case "any":
      return anyOn(ports);
    case undefined:
      return action === "deny" ? anyOn(ports) : [...on(TCP), ...on(UDP)];
  }
}

/** All protocols; those without ports where all ports are named. */
function anyOn(ports: readonly PortRange[]) {
  return portsOf(ports).map((range) => ({ protocol: ANY, ports: range }));
}

function portsOf(ports: readonly PortRange[]): readonly PortRange[] {
  return coverPorts(ports, ALL_PORTS) ? [WITH_PORTLESS] : ports;
}

/** What a list denies by itself: what it allows goes on, and what comes behind the last denial has no say. */
function denials(rules: readonly StagelessRule[]): StagelessRule[] {
  const last = rules.findLastIndex(({ action }) => action === "deny");
  return rules
    .slice(0, last + 1)
    .map((one) => (one.action === "allow" ? { ...one, action: "pass" } : one));
}

function rule(action: PacketAction, network: Cidr, ports: PortRange, name: string): StagelessRule {
  return { action, protocol: ANY, reading: "destination", network, ports, name };
}

function hostNetwork(address: IpAddress): Cidr {
  return { ...address, prefix: bitsOf(address.family) };
}
