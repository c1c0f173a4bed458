import type { Clock } from "@isthmus/shared/clock";
import type { ControlHandlers } from "@isthmus/shared/kernel/control-socket";
import { z } from "zod";
import { formatAddress } from "../core/ip-address.ts";
import type { Refusal } from "../core/refusal.ts";
import { addressOfSlot, type TunnelSlice } from "../core/vpn/tunnel-slices.ts";
import type { VpnParts } from "../core/vpn/vpn-service.ts";
import type { VpnSession } from "../core/vpn/vpn-session.ts";
import type { SessionTraffic, VpnEngine } from "../core/vpn-engine.ts";

/** Own limit on what one answer lists. */
const MAX_LISTED = 5_000;

const text = z.string().min(1).max(256);
const kickArgument = z.union([
  z.strictObject({ sessionId: text }),
  z.strictObject({ userName: text }),
  z.strictObject({ deviceId: text }),
]);
const clearArgument = z.strictObject({ key: text.optional() });

/** One session of the VPN, as the command line shows it. */
export interface ListedVpnSession {
  readonly sessionId: string;
  readonly userName: string;
  readonly deviceId: string | undefined;
  readonly group: string;
  readonly state: "waiting" | "connected" | "ended";
  readonly address: string | undefined;
  readonly ipv6Address: string | undefined;
  readonly remoteAddress: string;
  readonly client: string;
  readonly dtls: string | undefined;
  readonly openedAt: number;
  readonly lastSeenAt: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
}

/** What the command line asks of a running VPN. */
export function vpnControls(options: {
  readonly parts: VpnParts;
  readonly engine: VpnEngine;
  readonly slices: readonly TunnelSlice[];
  readonly clock: Clock;
}): ControlHandlers {
  const { parts, engine, slices, clock } = options;
  const { table } = parts.sessions;
  return {
    async "vpn-sessions"() {
      const traffic = new Map(engine.sessions().map((one) => [one.sessionId, one]));
      const sessions = table.all().slice(0, MAX_LISTED);
      const listed = sessions.map((session) => listedSession(session, slices, traffic));
      return { total: table.size, sessions: listed };
    },
    async "vpn-kick"(argument) {
      const sessions = named(parts, kickArgument.parse(argument));
      await Promise.all(sessions.map((session) => parts.sessions.end(session, "cut", KICKED)));
      return { ended: sessions.length };
    },
    async "vpn-bans"() {
      const now = clock.now();
      const bans = parts.scores.bans().slice(0, MAX_LISTED);
      return { bans: bans.map((ban) => ({ ...ban, secondsLeft: secondsUntil(ban.until, now) })) };
    },
    async "vpn-bans-clear"(argument) {
      return { cleared: parts.scores.clear(clearArgument.parse(argument ?? {}).key) };
    },
    async "vpn-status"() {
      const sessions = table.all();
      const connected = sessions.filter(({ state }) => state.kind === "connected").length;
      const { pool, pending, leases, scores } = parts;
      const addresses = { used: pool.used, capacity: pool.capacity };
      const counts = { pendingLogins: pending.size, policies: leases.size };
      const bans = scores.bans().length;
      const counters = engine.counters();
      return { sessions: sessions.length, connected, addresses, bans, ...counts, counters };
    },
  };
}

function named({ sessions }: VpnParts, who: z.infer<typeof kickArgument>): VpnSession[] {
  const { table } = sessions;
  if ("userName" in who) return table.ofUser(who.userName);
  if ("deviceId" in who) return table.ofDevice(who.deviceId);
  return table.all().filter(({ id }) => id === who.sessionId);
}

function listedSession(
  session: VpnSession,
  slices: readonly TunnelSlice[],
  traffic: ReadonlyMap<number, SessionTraffic>,
): ListedVpnSession {
  const { record, place, told, engineId, carried } = session;
  const now = engineId === undefined ? undefined : traffic.get(engineId);
  const slice = place && slices[place.tunnel];
  const ipv6 = told?.hasIpv6 ? slice?.ipv6 : undefined;
  return {
    sessionId: session.id,
    userName: record.userName,
    deviceId: record.deviceId,
    group: record.group,
    state: session.state.kind,
    address: slice && formatAddress(addressOfSlot(slice.ipv4, place.slot)),
    ipv6Address: ipv6 && place && formatAddress(addressOfSlot(ipv6, place.slot)),
    remoteAddress: session.remoteAddress,
    client: record.client.userAgent,
    dtls: session.dtls,
    openedAt: session.openedAt,
    lastSeenAt: session.lastSeenAt,
    bytesUp: carried.bytesUp + (now?.bytesUp ?? 0),
    bytesDown: carried.bytesDown + (now?.bytesDown ?? 0),
  };
}

function secondsUntil(until: number, now: number): number {
  return Math.max(0, Math.ceil((until - now) / 1_000));
}

const KICKED: Refusal = {
  code: "cut-by-operator",
  rule: "control/vpn-kick",
  message: "ended on the gateway's host",
};
