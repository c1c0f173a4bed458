import type { DetailedVpnSession, ListedVpnSession } from "./vpn-listing.ts";

/** What `vpn status` answers. */
export interface VpnStatus {
  readonly address: string;
  readonly port: number;
  readonly udp: boolean;
  readonly fault?: string;
  readonly sessions: number;
  readonly connected: number;
  readonly dtls: number;
  readonly addresses: { readonly used: number; readonly capacity: number };
  readonly tunnels: readonly {
    readonly device: string;
    readonly address: string;
    readonly ipv6Address?: string;
    readonly used: number;
    readonly capacity: number;
  }[];
  readonly pools: readonly {
    readonly name: string;
    readonly networks: readonly string[];
    readonly sourceAddress?: string;
    readonly ipv6SourceAddress?: string;
    readonly used: number;
    readonly capacity: number;
  }[];
  readonly bans: number;
  readonly pendingLogins: number;
  readonly policies: number;
  readonly counters: Readonly<Record<string, number>>;
}

/** `vpn status` for a person. */
export function statusText(status: VpnStatus): string {
  const { address, port, udp, fault, addresses, counters } = status;
  const dropped = Object.entries(counters).filter(
    ([name, count]) => name.startsWith("dropped") && count > 0,
  );
  const reasons = dropped.map(
    ([name, count]) => `${wordsOf(name.slice("dropped".length))} ${count}`,
  );
  return [
    `listens: ${address} port ${port}, TCP${udp ? " and UDP" : ""}`,
    `data path: ${fault === undefined ? "carries packets" : `stopped: ${fault}`}`,
    `sessions: ${status.sessions}, ${status.connected} connected, ${status.dtls} of them by DTLS`,
    `addresses: ${addresses.used} of ${addresses.capacity}`,
    ...status.tunnels.map(
      ({ device, address: own, ipv6Address, used, capacity }) =>
        `  ${device}: ${[own, ipv6Address ?? []].flat().join(", ")}; ${used} of ${capacity}`,
    ),
    ...status.pools.map(poolText),
    `logins under way: ${status.pendingLogins}; banned: ${status.bans}`,
    `policies in force: ${status.policies}; flows: ${counters["flows"] ?? 0}`,
    `packets: ${counters["packetsUp"] ?? 0} up, ${counters["packetsDown"] ?? 0} down`,
    `bytes: ${bytesText(counters["bytesUp"] ?? 0)} up, ${bytesText(counters["bytesDown"] ?? 0)} down`,
    `dropped: ${reasons.join(", ") || "none"}`,
  ].join("\n");
}

function poolText(pool: VpnStatus["pools"][number]): string {
  const { name, networks, sourceAddress, ipv6SourceAddress, used, capacity } = pool;
  const sources = [...new Set([sourceAddress, ipv6SourceAddress].flatMap((one) => one ?? []))];
  const how = sources.length === 0 ? "" : ` as ${sources.join(", ")}`;
  return `  pool ${name}: ${networks.join(", ")}${how}; ${used} of ${capacity}`;
}

/** One line of `vpn sessions`. */
export function sessionLine(session: ListedVpnSession, now: number): string {
  const { userName, deviceId, group, address, ipv6Address, remoteAddress } = session;
  const inner = [address ?? [], ipv6Address ?? []].flat().join(",");
  const cipher = session.dtls ?? session.tls;
  const transport =
    session.transport === undefined ? session.state : `${session.transport} ${cipher ?? ""}`.trim();
  return [
    session.sessionId,
    userName,
    deviceId ?? "-",
    group,
    inner || "-",
    remoteAddress,
    durationText(now - session.openedAt),
    transport,
    `${bytesText(session.bytesUp)} up`,
    `${bytesText(session.bytesDown)} down`,
    `idle ${idleText(session, now)}`,
  ].join("\t");
}

/** `vpn session` for a person. */
export function detailText(session: DetailedVpnSession): string {
  const time = (at = 0) => (at === 0 ? undefined : new Date(at).toISOString());
  const lines: readonly (readonly [string, string | number | undefined])[] = [
    ["session", session.sessionId],
    ["user", session.userName],
    ["groups of the user", session.userGroups.join(", ")],
    ["device", session.deviceId],
    ["certificate", session.certificateSerialNumber],
    ["group", session.group],
    ["state", session.state],
    ["kept until", time(session.keptUntil)],
    ["pool", session.pool],
    ["address", session.address],
    ["IPv6 address", session.ipv6Address],
    ["tunnel", session.tunnel],
    ["MTU", session.mtu],
    ["comes from", session.remoteAddress],
    ["client", session.client],
    ["platform", session.platform],
    ["TLS", session.tls],
    ["DTLS", session.dtls ?? (session.wasOfferedDtls ? "offered, not used" : "not offered")],
    ["since", time(session.openedAt)],
    ["until", time(session.expiresAt)],
    ["last packet", time(session.lastActiveAt)],
    ["up", `${session.packetsUp} packets, ${bytesText(session.bytesUp)}`],
    ["down", `${session.packetsDown} packets, ${bytesText(session.bytesDown)}`],
    ["dropped", `${session.packetsDropped} packets`],
  ];
  return lines
    .filter(([, value]) => value !== undefined && value !== "")
    .map(([name, value]) => `${name}: ${value}`)
    .join("\n");
}

/** Of somebody who is not banned yet. */
export interface NearBan {
  readonly kind: string;
  readonly key: string;
  readonly points: number;
  readonly banAtPoints: number;
}

/** One line of `bans list`. */
export function nearText({ kind, key, points, banAtPoints }: NearBan): string {
  return `${kind}\t${key}\t${points} of ${banAtPoints} points\tnot banned`;
}

/** One line of `bans list`. */
export function banText(ban: {
  readonly kind: string;
  readonly key: string;
  readonly points: number;
  readonly until: number;
  readonly secondsLeft: number;
}): string {
  const left = `${durationText(ban.secondsLeft * 1_000)} left`;
  const until = `until ${new Date(ban.until).toISOString()}`;
  return [ban.kind, ban.key, `${ban.points} points`, left, until].join("\t");
}

function idleText({ lastActiveAt, lastSeenAt }: ListedVpnSession, now: number): string {
  return durationText(now - Math.max(lastActiveAt ?? 0, lastSeenAt));
}

const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1_000],
] as const;

function durationText(ms: number): string {
  const [unit, size] = UNITS.find(([, one]) => ms >= one) ?? (["s", 1_000] as const);
  return `${Math.max(0, Math.floor(ms / size))} ${unit}`;
}

const PREFIXES = ["B", "KB", "MB", "GB", "TB"] as const;

function bytesText(bytes: number): string {
  const power = Math.min(PREFIXES.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  const value = bytes / 1_000 ** power;
  return `${power === 0 ? value : value.toFixed(1)} ${PREFIXES[power] ?? "B"}`;
}

/** `FlowLimit` as `flow limit`. */
function wordsOf(name: string): string {
  return name.replaceAll(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter}`).toLowerCase();
}
