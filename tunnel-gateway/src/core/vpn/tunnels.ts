import type { Clock } from "@isthmus/shared/clock";
import type { Random } from "@isthmus/shared/random";
import type { AccessControl } from "../access.ts";
import { formatAddress, parseAddress } from "../ip-address.ts";
import type { RevocationAsker } from "../ports.ts";
import type { Refusal } from "../refusal.ts";
import type { DtlsOffer } from "../vpn-engine.ts";
import type { AddressPool } from "./address-pool.ts";
import { tokenHashOf } from "./cookie.ts";
import type { SessionPath } from "./session-engine.ts";
import type { Sessions } from "./sessions.ts";
import { addressOfSlot, type TunnelSlice } from "./tunnel-slices.ts";
import type { SessionStore, VpnObserver } from "./vpn-ports.ts";
import type { VpnGroup } from "./vpn-rules.ts";
import type { TunnelAnswer, TunnelRequest, TunnelSettings } from "./vpn-service-port.ts";
import { habitOf, isEnded, type VpnSession } from "./vpn-session.ts";

export interface TunnelsOptions {
  readonly sessions: Sessions;
  readonly slices: readonly TunnelSlice[];
  readonly pool: AddressPool;
  readonly store: SessionStore;
  readonly access: AccessControl;
  readonly revocation: RevocationAsker;
  readonly clock: Clock;
  readonly random: Random;
  readonly observer: VpnObserver;
  /** Of the TUN devices. */
  readonly tunnelMtu: number;
  /** Whether the UDP port is open. */
  readonly udp: boolean;
}

// RFC 8200 section 5.
const IPV6_LEAST_MTU = 1_280;
/** Of the id by which a client's DTLS handshake is known (openconnect/protocol, X-DTLS-App-ID and X-DTLS-Session-ID). */
const DTLS_ID_BYTES = 32;

/** Gives the holders of cookies their tunnels: judged again, at the same address as before, told to the engine. */
export class Tunnels {
  readonly #options: TunnelsOptions;

  constructor(options: TunnelsOptions) {
    this.#options = options;
  }

  async connect(request: TunnelRequest, signal: AbortSignal): Promise<TunnelAnswer> {
    const { sessions, access, revocation, observer } = this.#options;
    const { remoteAddress } = request.connection;
    const session = sessions.table.ofToken(tokenHashOf(request.cookie));
    const refuse = (status: 401 | 403 | 503, refusal: Refusal): TunnelAnswer => {
      observer.connectRefused(refusal, session, remoteAddress);
      return { kind: "refused", status, refusal };
    };
    if (!session) return refuse(401, UNKNOWN);
    const { certificate } = session;
    if (certificate && access.needsAnswer(certificate)) await revocation.ask(certificate);
    const verdict = access.admitSession(session);
    if (verdict.refusal) {
      // A refusal that would end a session that stands ends this one too.
      const ending = access.rejudge(session);
      if (ending) session.cut(ending);
      return refuse(403, verdict.refusal);
    }
    const isPlaced = await this.#place(session, verdict.group);
    if (!isPlaced) return refuse(503, exhausted(verdict.group.pool));
    signal.throwIfAborted();
    // The time that the store took may have ended it, or changed what holds.
    const latest = access.admitSession(session);
    if (latest.refusal) return refuse(403, latest.refusal);
    if (isEnded(session)) return refuse(401, UNKNOWN);
    const { group, policyGroups } = latest;
    const path = this.#pathOf(session, group, request);
    if (!path.hasIpv4 && !path.hasIpv6) return refuse(403, NO_FAMILY);
    const isReturn = session.engineId !== undefined;
    sessions.open(session, group, policyGroups, path);
    sessions.saw(session, remoteAddress);
    const { tlsVersion, cipher } = request.connection;
    session.tls = `${tlsVersion} ${cipher}`;
    session.wasOfferedDtls = this.#offersDtls(group, request);
    observer.connected(session, isReturn);
    return { kind: "connected", tunnel: this.#settings(session, group, path, request) };
  }

  /** An address, the one that the session had where it had one; kept before the client hears of it. */
  async #place(session: VpnSession, group: VpnGroup): Promise<boolean> {
    const { sessions, pool, store, clock } = this.#options;
    // Of another pool: the group's was changed. What is just being written stays for this time.
    const isElsewhere = session.place && pool.poolOf(session.place) !== group.pool;
    if (isElsewhere && !session.placing) sessions.vacate(session);
    if (!session.place) {
      const habit = habitOf(session.record, group.pool);
      const place = pool.take(habit, group.pool);
      if (!place) return false;
      session.place = place;
      session.placing = store.place({ id: session.id, place, habit, at: clock.now() });
    }
    try {
      await session.placing;
    } catch (error) {
      if (session.place && !isEnded(session)) pool.release(session.place);
      session.place = undefined;
      throw error;
    } finally {
      session.placing = undefined;
    }
    return true;
  }

  #pathOf(session: VpnSession, group: VpnGroup, request: TunnelRequest): SessionPath {
    const { tunnelMtu } = this.#options;
    const fitting = this.#offersDtls(group, request) ? request.mtu.dtls : request.mtu.tls;
    const mtu = Math.min(group.mtu ?? tunnelMtu, fitting, tunnelMtu);
    const hasIpv6 = request.wantsIpv6 && this.#sliceOf(session)?.ipv6 !== undefined;
    return { hasIpv4: request.wantsIpv4, hasIpv6: hasIpv6 && mtu >= IPV6_LEAST_MTU, mtu };
  }

  #offersDtls(group: VpnGroup, { dtls }: TunnelRequest): boolean {
    return dtls !== undefined && group.udp && this.#options.udp;
  }

  #sliceOf({ place }: VpnSession): TunnelSlice | undefined {
    return place && this.#options.slices[place.tunnel];
  }

  #settings(
    session: VpnSession,
    group: VpnGroup,
    path: SessionPath,
    request: TunnelRequest,
  ): TunnelSettings {
    const { timeouts } = group;
    const { expiresAt } = session.record;
    const left = expiresAt === undefined ? 0 : expiresAt - this.#options.clock.now();
    const { isMobile } = session.record.client;
    return {
      sessionId: session.engineId ?? 0,
      ...this.#addresses(session, path),
      mtu: path.mtu,
      ...namesOf(group, path),
      routesInclude: group.routesInclude,
      routesExclude: group.routesExclude,
      bypassesMissingFamily: group.routesInclude.length > 0,
      banner: group.banner,
      dpdSeconds: isMobile ? timeouts.mobileDpdSeconds : timeouts.dpdSeconds,
      keepaliveSeconds: timeouts.keepaliveSeconds,
      idleSeconds: timeouts.idleSeconds,
      sessionSeconds: timeouts.sessionSeconds,
      sessionSecondsLeft: Math.max(0, Math.ceil(left / 1_000)),
      disconnectedSeconds: timeouts.disconnectedSeconds,
      rekeySeconds: timeouts.rekeySeconds,
      dtls: this.#offersDtls(group, request) ? this.#offer(request) : undefined,
    };
  }

  #addresses(session: VpnSession, { hasIpv4, hasIpv6 }: SessionPath) {
    const slice = this.#sliceOf(session);
    const slot = session.place?.slot ?? 0;
    const { ipv4: network4, ipv6: network6 } = slice ?? {};
    const ipv4 = hasIpv4 &&
      network4 && {
        address: formatAddress(addressOfSlot(network4, slot)),
        netmask: netmaskOf(network4.prefix),
      };
    const ipv6 = hasIpv6 &&
      network6 && {
        address: formatAddress(addressOfSlot(network6, slot)),
        prefixLength: network6.prefix,
      };
    return { ipv4: ipv4 || undefined, ipv6: ipv6 || undefined };
  }

  #offer({ dtls }: TunnelRequest): DtlsOffer | undefined {
    if (!dtls) return undefined;
    const id = this.#options.random.bytes(DTLS_ID_BYTES);
    if (dtls.kind === "psk") return { kind: "psk", appId: id };
    return { ...dtls, sessionId: id };
  }
}

function namesOf({ dnsServers, defaultDomain, splitDns }: VpnGroup, { hasIpv6 }: SessionPath) {
  const servers = dnsServers.filter((text) => hasIpv6 || parseAddress(text)?.family === 4);
  const tunnelAllDns = servers.length > 0 && splitDns.length === 0;
  return { dnsServers: servers, defaultDomain, splitDns, tunnelAllDns };
}

function netmaskOf(prefix: number): string {
  return formatAddress({ family: 4, value: (0xffff_ffffn << BigInt(32 - prefix)) & 0xffff_ffffn });
}

const UNKNOWN: Refusal = {
  code: "session-unknown",
  rule: "vpn/session",
  message: "the session is over; log in again",
};
function exhausted(pool: string | undefined): Refusal {
  const whose = pool === undefined ? "of the gateway" : `of the group's pool ${pool}`;
  return {
    code: "address-exhausted",
    rule: pool === undefined ? "vpn/network" : `vpn/pools/${pool}`,
    message: `all addresses ${whose} are in use; try again in a while`,
    retryAfterSeconds: 60,
  };
}
const NO_FAMILY: Refusal = {
  code: "address-family",
  rule: "vpn/network",
  message: "the gateway has no address of a family that the client wants",
};
