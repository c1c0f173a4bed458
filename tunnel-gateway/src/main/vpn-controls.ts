import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError } from "@isthmus/shared/errors";
import type { ControlHandlers } from "@isthmus/shared/kernel/control-socket";
import { z } from "zod";
import type { AccessControl } from "../core/access.ts";
import type { Refusal } from "../core/refusal.ts";
import { formatNetwork, type NamedPool } from "../core/vpn/address-pools.ts";
import { type Ban, scoredAddress } from "../core/vpn/scores.ts";
import { gatewayAddress, type TunnelSlice } from "../core/vpn/tunnel-slices.ts";
import { groupNamed, type VpnGroup } from "../core/vpn/vpn-rules.ts";
import type { VpnParts } from "../core/vpn/vpn-service.ts";
import type { VpnSession } from "../core/vpn/vpn-session.ts";
import type { VpnEngine } from "../core/vpn-engine.ts";
import { addressesByTunnel, sessionsByTransport } from "./vpn-figures.ts";
import { VpnListing } from "./vpn-listing.ts";

/** Own limit on what one answer lists. */
const MAX_LISTED = 5_000;
/** Own limit: of those on the way to a ban. */
const MAX_NEAR = 100;

const text = z.string().min(1).max(256);
const sessionsArgument = z.strictObject({
  userName: text.optional(),
  deviceId: text.optional(),
});
const sessionArgument = z.strictObject({ sessionId: text });
const kickArgument = z.union([
  z.strictObject({ sessionId: text }),
  z.strictObject({ userName: text }),
  z.strictObject({ deviceId: text }),
  /** Whichever of the three it is. */
  z.strictObject({ who: text }),
]);
const clearArgument = z.strictObject({ key: text.optional() });
const routesArgument = z.strictObject({ group: text.optional() });

/** Where the VPN listens, and whether its packets are carried. */
export interface VpnListeners {
  readonly address: string;
  readonly port: number;
  readonly udp: boolean;
  /** Why the data path stopped. */
  readonly fault: string | undefined;
}

export interface VpnControlsOptions {
  readonly parts: VpnParts;
  readonly access: AccessControl;
  readonly engine: VpnEngine;
  readonly slices: readonly TunnelSlice[];
  readonly pools: readonly NamedPool[];
  readonly clock: Clock;
  readonly listeners: () => VpnListeners;
}

/** What the command line asks of a running VPN. */
export function vpnControls(options: VpnControlsOptions): ControlHandlers {
  const { parts, access, engine, slices, clock } = options;
  const { table } = parts.sessions;
  const listing = () => new VpnListing({ slices, addresses: parts.pool }, engine.sessions());
  return {
    async "vpn-sessions"(argument) {
      const { userName, deviceId } = sessionsArgument.parse(argument ?? {});
      const sessions = (userName === undefined ? table.all() : table.ofUser(userName)).filter(
        (session) => deviceId === undefined || session.deviceId === deviceId,
      );
      const all = listing();
      const listed = sessions.slice(0, MAX_LISTED).map((session) => all.session(session));
      return { total: sessions.length, sessions: listed };
    },
    async "vpn-session"(argument) {
      const { sessionId } = sessionArgument.parse(argument);
      const session = table.all().find(({ id }) => id === sessionId);
      if (!session) {
        const message = `there is no session ${sessionId}: see vpn sessions`;
        throw new ConnectorError("session-unknown", message);
      }
      return listing().detailed(session);
    },
    async "vpn-users"() {
      const users = listing().users(table.all(), (name) => table.names.keyOf(name));
      return { total: users.length, users: users.slice(0, MAX_LISTED) };
    },
    async "vpn-kick"(argument) {
      const sessions = named(parts, kickArgument.parse(argument));
      await Promise.all(sessions.map((session) => parts.sessions.end(session, "cut", KICKED)));
      return { ended: sessions.length };
    },
    async "vpn-bans"() {
      const now = clock.now();
      const bans = parts.scores.bans();
      const listed = bans.slice(0, MAX_LISTED).map((ban) => ({
        ...left(ban, now),
        points: Math.round(parts.scores.points(ban.kind, ban.key)),
      }));
      const near = parts.scores.nearBans();
      const { banAtPoints } = access.rules.vpn.bans;
      const nearest = near
        .slice(0, MAX_NEAR)
        .map(({ points, ...who }) => ({ ...who, points: Math.round(points), banAtPoints }));
      return { total: bans.length, bans: listed, nearTotal: near.length, near: nearest };
    },
    async "vpn-bans-clear"(argument) {
      const { key } = clearArgument.parse(argument ?? {});
      const { scores, memory } = parts;
      const keys = key && [table.names.keyOf(scoredAddress(key)), table.names.scoredName(key)];
      const cleared = scores.clear(keys || undefined);
      // A gateway that is killed right after this has forgiven, too.
      await memory.save();
      return { cleared };
    },
    async "vpn-groups"() {
      const { groups } = access.rules.vpn;
      return { groups: groups.map((group) => groupSummary(group, table.all())) };
    },
    async "vpn-routes"(argument) {
      const { group } = routesArgument.parse(argument ?? {});
      return toldToClients(groupCalled(access, group));
    },
    async "vpn-status"() {
      const { tls, dtls } = sessionsByTransport(table);
      const { pool, pending, leases, scores } = parts;
      const addresses = { used: pool.used, capacity: pool.capacity };
      const counts = { pendingLogins: pending.size, policies: leases.size };
      const bans = scores.bans().length;
      return {
        ...options.listeners(),
        sessions: table.size,
        connected: tls + dtls,
        dtls,
        addresses,
        tunnels: tunnels(options),
        pools: pools(options),
        bans,
        ...counts,
        counters: engine.counters(),
      };
    },
  };
}

function tunnels({ slices, parts }: VpnControlsOptions) {
  return addressesByTunnel(parts, slices).map(({ slice: { device, ipv4, ipv6 }, ...fill }) => ({
    device,
    address: gatewayAddress(ipv4),
    ipv6Address: ipv6 && gatewayAddress(ipv6),
    ...fill,
  }));
}

function pools({ pools: plans, parts }: VpnControlsOptions) {
  const fills = parts.pool.ofPools();
  return plans.map((plan) => {
    const { name, ipv4, ipv6, sourceAddress, ipv6SourceAddress } = plan;
    const { used, capacity } = fills.find(({ pool }) => pool === name) ?? NO_FILL;
    const networks = [...ipv4, ...ipv6].map(formatNetwork);
    return { name, networks, sourceAddress, ipv6SourceAddress, used, capacity };
  });
}

function named({ sessions }: VpnParts, who: z.infer<typeof kickArgument>): VpnSession[] {
  const { table } = sessions;
  if ("userName" in who) return table.ofUser(who.userName);
  if ("deviceId" in who) return table.ofDevice(who.deviceId);
  const id = "who" in who ? who.who : who.sessionId;
  const one = table.all().filter((session) => session.id === id);
  if (!("who" in who)) return one;
  return [...new Set([...one, ...table.ofUser(id), ...table.ofDevice(id)])];
}

function left(ban: Ban, now: number) {
  return { ...ban, secondsLeft: Math.max(0, Math.ceil((ban.until - now) / 1_000)) };
}

function groupSummary(group: VpnGroup, sessions: readonly VpnSession[]) {
  const { name, label, authentication, requireDevice, members, policyGroups, pool } = group;
  return {
    name,
    label,
    authentication,
    requireDevice,
    members,
    policyGroups,
    pool,
    routesInclude: group.routesInclude.length,
    routesExclude: group.routesExclude.length,
    sessions: sessions.filter((session) => session.group === name).length,
  };
}

function groupCalled(access: AccessControl, name: string | undefined): VpnGroup {
  const { vpn } = access.rules;
  const group = name === undefined ? vpn.groups[0] : groupNamed(vpn, name);
  if (group) return group;
  const message =
    name === undefined ? "there are no groups" : `there is no group ${name}: see vpn groups`;
  throw new ConnectorError("group-unknown", message);
}

/** What a client of the group gets to know when it connects. */
function toldToClients(group: VpnGroup) {
  const { name, routesInclude, routesExclude, dnsServers, defaultDomain, splitDns } = group;
  const { mtu, udp, banner, timeouts } = group;
  const routes = { routesInclude, routesExclude };
  const names = { dnsServers, defaultDomain, splitDns };
  return { group: name, ...routes, ...names, mtu, udp, banner, timeouts };
}

const NO_FILL = { used: 0, capacity: 0 };

const KICKED: Refusal = {
  code: "cut-by-operator",
  rule: "control/vpn-kick",
  message: "ended on the gateway's host",
};
