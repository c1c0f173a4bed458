import type { CheckResult, HealthCheck } from "@isthmus/shared/kernel/service-definition";
import type { AccessControl, AccessRules } from "../core/access.ts";
import type { AddressPool } from "../core/vpn/address-pool.ts";
import type { LatencyWindow } from "../core/vpn/packet-latency.ts";
import { namesWithin } from "../core/vpn/packet-rules.ts";
import type { TunnelSlice } from "../core/vpn/tunnel-slices.ts";
import type { VpnParts } from "../core/vpn/vpn-service.ts";
import type { VpnEngine } from "../core/vpn-engine.ts";
import { deviceFlags, IFF_UP } from "../packets/network-device.ts";

/** Own choice: share of the addresses in use from which on a person is told. */
const ADDRESSES_WARNING = 0.9;
/** Own limit: rules or groups that a reason names. */
const NAMED_AT_MOST = 5;
/** Own choices: so many clients that could use DTLS, for so long, and none does: that is no chance any more. */
const CLIENTS_WITHOUT_DTLS = 3;
const TIME_FOR_DTLS_MS = 60_000;
/** Microsoft Tunnel's limit for a warning; `unhealthy` would take a busy gateway out of service. */
const LATENCY_WARNING_MICROSECONDS = 10_000;

export interface VpnHealthOptions {
  readonly parts: VpnParts;
  readonly access: AccessControl;
  readonly engine: Pick<VpnEngine, "counters">;
  readonly latency: Pick<LatencyWindow, "worst">;
  readonly slices: readonly TunnelSlice[];
  readonly now: () => number;
  /** Why the data path stopped, where it did. */
  readonly fault: () => string | undefined;
  /** The flags of a network device, or undefined where there is none; the host's unless given. */
  readonly deviceFlags?: (device: string) => number | undefined;
}

/** The VPN's health checks. */
export function vpnChecks(options: VpnHealthOptions): HealthCheck[] {
  const { parts, access, fault } = options;
  return [
    { name: "vpn-data-path", run: () => dataPathHealth(fault()) },
    { name: "vpn-tunnels", run: () => tunnelHealth(options) },
    { name: "vpn-addresses", run: () => addressHealth(parts) },
    { name: "vpn-udp", run: () => udpHealth(options) },
    { name: "latency-microseconds", run: () => latencyHealth(options) },
    { name: "vpn-groups", run: () => groupHealth(access.rules) },
  ];
}

/** Of a gateway whose local configuration has a VPN that it cannot serve. */
export function missingEngineCheck(reason: string): HealthCheck {
  const remedy = "apt-get install gcc libc6-dev, npm rebuild @isthmus/tunnel-gateway, and restart";
  const told = `the VPN is not served, the relay is: ${reason}`;
  return { name: "vpn-data-path", run: () => ({ status: "warning", reason: told, remedy }) };
}

function dataPathHealth(fault: string | undefined): CheckResult {
  if (fault === undefined) return { status: "healthy", reason: "packets are carried" };
  const remedy = "restart the gateway; clients come back to their sessions";
  return { status: "unhealthy", reason: `the data path stopped: ${fault}`, remedy };
}

/** Devices that somebody has deleted or taken down carry nothing, and the packet threads are not told. */
function tunnelHealth({ slices, deviceFlags: flagsOf = deviceFlags }: VpnHealthOptions) {
  const found = slices.map(({ device }) => ({ device, flags: flagsOf(device) }));
  const faults = found.flatMap(({ device, flags }) => {
    if (flags === undefined) return [`${device} is gone`];
    return (flags & IFF_UP) === 0 ? [`${device} is down`] : [];
  });
  const names = found.map(({ device }) => device).join(", ");
  if (faults.length === 0) return { status: "healthy", reason: `${names} are up` } as const;
  const remedy = "stop the gateway, run tunnel-gateway host-setup as root, and start it again";
  return { status: "unhealthy", reason: faults.join("; "), remedy } as const;
}

/** Nobody new gets in where all is in use; where only pools are, other groups go on. */
function addressHealth({ pool: addresses }: VpnParts): CheckResult {
  const { used, capacity } = addresses;
  const reason = `${used} of ${capacity} addresses are in use`;
  const remedy = "give vpn.network a larger network and run host-setup again";
  if (used >= capacity) return { status: "unhealthy", reason, remedy };
  const full = fullPools(addresses);
  if (full.length > 0) {
    const named = `${reason}; ${shortened(full)}`;
    return { status: "warning", reason: named, remedy: "give that pool more of vpn.network" };
  }
  if (used >= capacity * ADDRESSES_WARNING) return { status: "warning", reason, remedy };
  return { status: "healthy", reason };
}

function fullPools(addresses: AddressPool): string[] {
  const fills = addresses.ofPools().filter(({ capacity }) => capacity > 0);
  if (fills.length < 2) return [];
  return fills.flatMap(({ pool, used, capacity }) => {
    if (used < capacity * ADDRESSES_WARNING) return [];
    return `${pool === undefined ? "of no pool" : `of pool ${pool}`} ${used} of ${capacity}`;
  });
}

/** Whether UDP reaches the gateway, as far as its clients show. */
function udpHealth({ parts, engine, now }: VpnHealthOptions): CheckResult {
  const connected = parts.sessions.table.all().flatMap(({ state, dtls, wasOfferedDtls }) => {
    if (state.kind !== "connected" || !wasOfferedDtls) return [];
    return { hasDtls: dtls !== undefined, isOld: now() - state.since > TIME_FOR_DTLS_MS };
  });
  const withDtls = connected.filter(({ hasDtls }) => hasDtls).length;
  const without = connected.filter(({ hasDtls, isOld }) => !hasDtls && isOld).length;
  if (withDtls > 0 || without < CLIENTS_WITHOUT_DTLS) {
    return { status: "healthy", reason: `${withDtls} of ${connected.length} clients use DTLS` };
  }
  const { dtlsDatagrams = 0, dtlsFailed = 0 } = engine.counters();
  const seen =
    dtlsDatagrams === 0
      ? "no datagram has ever come"
      : `${dtlsDatagrams} datagrams have come, ${dtlsFailed} handshakes failed`;
  const reason = `none of ${connected.length} clients that could use DTLS does: ${seen}`;
  const remedy = "let UDP through to the gateway's port, or set udp to false for its groups";
  return { status: "warning", reason, remedy };
}

/** The average over five minutes, in whole microseconds, of the packet thread that is slowest; NaN while there is next to no traffic. */
export function latencyFigure({ worst }: Pick<LatencyWindow, "worst">): number {
  return worst ? Math.round(worst.meanMicroseconds) : Number.NaN;
}

function latencyHealth({ latency, slices }: VpnHealthOptions): CheckResult {
  const { worst } = latency;
  if (!worst) return { status: "healthy", reason: "too few packets in five minutes to judge" };
  const { tunnel, mostMicroseconds } = worst;
  const most =
    mostMicroseconds === undefined
      ? "some for longer than 65 ms"
      : `99 % under ${mostMicroseconds} µs`;
  const figure = latencyFigure(latency);
  const where = slices[tunnel]?.device ?? `tunnel ${tunnel}`;
  const reason = `packets of ${where} are inside for ${figure} µs on average over five minutes, ${most}`;
  if (figure < LATENCY_WARNING_MICROSECONDS) return { status: "healthy", reason };
  const remedy =
    "see cpu-percent: give the gateway more processors and vpn.tunnels.count as many, or add a gateway";
  return { status: "warning", reason, remedy };
}

/** Whether somebody can log in, and whether the policies say less on the VPN than on the relay. */
export function groupHealth(rules: AccessRules): CheckResult {
  if (rules.vpn.groups.length === 0) {
    const remedy = "add a group to vpn.groups of the desired configuration";
    return { status: "warning", reason: "nobody can log in: there is no group", remedy };
  }
  const missing = groupsWithoutPolicy(rules);
  if (missing.length > 0) {
    const reason = `no policy is for ${shortened(missing)}, which policyGroups of vpn.groups name`;
    const remedy = "name those groups in a policy, or correct policyGroups";
    return { status: "warning", reason, remedy };
  }
  const names = namesWithin(rules.policies);
  const groups = `${rules.vpn.groups.length} groups`;
  if (names.length === 0) return { status: "healthy", reason: groups };
  const reason = `${groups}; destinations by name hold for the relay alone: ${shortened(names)}`;
  return { status: "warning", reason, remedy: "name networks for the VPN in those rules as well" };
}

/** Mistyped most of the time: what no policy names decides nothing. */
function groupsWithoutPolicy({ policies, vpn }: AccessRules): string[] {
  const named = new Set(policies.flatMap(({ groups }) => groups));
  const wanted = new Set(vpn.groups.flatMap(({ policyGroups }) => policyGroups));
  return [...wanted].filter((group) => !named.has(group));
}

function shortened(names: readonly string[]): string {
  const more = names.length > NAMED_AT_MOST ? ` and ${names.length - NAMED_AT_MOST} more` : "";
  return `${names.slice(0, NAMED_AT_MOST).join(", ")}${more}`;
}
