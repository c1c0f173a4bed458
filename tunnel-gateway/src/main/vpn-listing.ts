import { formatAddress } from "../core/ip-address.ts";
import type { AddressPool } from "../core/vpn/address-pool.ts";
import { addressOfSlot, type TunnelSlice } from "../core/vpn/tunnel-slices.ts";
import type { VpnSession } from "../core/vpn/vpn-session.ts";
import type { SessionTraffic } from "../core/vpn-engine.ts";

/** Own limit: characters of what a client calls itself. */
const CLIENT_SHOWN = 80;

/** One session of the VPN, as the command line shows it. Times are ms since the epoch. */
export interface ListedVpnSession {
  readonly sessionId: string;
  readonly userName: string;
  readonly deviceId: string | undefined;
  readonly group: string;
  /** Whose address it has; undefined for one of no pool. */
  readonly pool: string | undefined;
  readonly state: "waiting" | "connected" | "ended";
  readonly address: string | undefined;
  readonly ipv6Address: string | undefined;
  readonly remoteAddress: string;
  readonly client: string;
  /** What packets go by now: DTLS where it is up; undefined without a connection. */
  readonly transport: "tls" | "dtls" | undefined;
  /** Version and cipher of the TLS connection. */
  readonly tls: string | undefined;
  /** Cipher of DTLS. */
  readonly dtls: string | undefined;
  readonly openedAt: number;
  readonly lastSeenAt: number;
  /** Of the user's own packets; undefined without a tunnel. */
  readonly lastActiveAt: number | undefined;
  readonly bytesUp: number;
  readonly bytesDown: number;
}

/** The same with all that helps where one user complains. */
export interface DetailedVpnSession extends ListedVpnSession {
  readonly userGroups: readonly string[];
  readonly platform: string | undefined;
  readonly certificateSerialNumber: string | undefined;
  readonly expiresAt: number | undefined;
  /** Until when its client may come back, where it has no connection now. */
  readonly keptUntil: number | undefined;
  readonly wasOfferedDtls: boolean;
  readonly tunnel: string | undefined;
  readonly mtu: number | undefined;
  readonly packetsUp: number;
  readonly packetsDown: number;
  readonly packetsDropped: number;
}

/** One user's sessions, summed. */
export interface ListedUser {
  readonly userName: string;
  readonly sessions: number;
  readonly connected: number;
  readonly devices: readonly string[];
  readonly bytesUp: number;
  readonly bytesDown: number;
}

/** Shows sessions with what the engine counts of them. */
export class VpnListing {
  readonly #slices: readonly TunnelSlice[];
  readonly #addresses: Pick<AddressPool, "poolOf">;
  readonly #traffic: ReadonlyMap<number, SessionTraffic>;

  constructor(
    of: {
      readonly slices: readonly TunnelSlice[];
      readonly addresses: Pick<AddressPool, "poolOf">;
    },
    traffic: readonly SessionTraffic[],
  ) {
    this.#slices = of.slices;
    this.#addresses = of.addresses;
    this.#traffic = new Map(traffic.map((one) => [one.sessionId, one]));
  }

  session(session: VpnSession): ListedVpnSession {
    const { record, place, told, carried, state } = session;
    const now = this.#trafficOf(session);
    const slice = this.#sliceOf(session);
    const ipv6 = told?.hasIpv6 ? slice?.ipv6 : undefined;
    const isConnected = state.kind === "connected";
    return {
      sessionId: session.id,
      userName: record.userName,
      deviceId: record.deviceId,
      group: record.group,
      pool: place && this.#addresses.poolOf(place),
      state: state.kind,
      address: slice && place && formatAddress(addressOfSlot(slice.ipv4, place.slot)),
      ipv6Address: ipv6 && place && formatAddress(addressOfSlot(ipv6, place.slot)),
      remoteAddress: session.remoteAddress,
      client: record.client.userAgent.slice(0, CLIENT_SHOWN),
      transport: isConnected ? (session.dtls === undefined ? "tls" : "dtls") : undefined,
      tls: isConnected ? session.tls : undefined,
      dtls: session.dtls,
      openedAt: session.openedAt,
      lastSeenAt: session.lastSeenAt,
      lastActiveAt: now?.lastActiveAt,
      bytesUp: carried.bytesUp + (now?.bytesUp ?? 0),
      bytesDown: carried.bytesDown + (now?.bytesDown ?? 0),
    };
  }

  detailed(session: VpnSession): DetailedVpnSession {
    const { record, carried, state, certificate, told } = session;
    const now = this.#trafficOf(session);
    return {
      ...this.session(session),
      userGroups: record.userGroups,
      platform: record.client.platform,
      certificateSerialNumber: certificate?.serialNumber,
      expiresAt: record.expiresAt,
      keptUntil: state.kind === "waiting" ? state.until : undefined,
      wasOfferedDtls: session.wasOfferedDtls,
      tunnel: this.#sliceOf(session)?.device,
      mtu: told?.mtu,
      packetsUp: carried.packetsUp + (now?.packetsUp ?? 0),
      packetsDown: carried.packetsDown + (now?.packetsDown ?? 0),
      packetsDropped: carried.dropped + (now?.dropped ?? 0),
    };
  }

  /** Users by name, each with all sessions. `keyOf` says which names are one user's. */
  users(sessions: readonly VpnSession[], keyOf: (userName: string) => string): ListedUser[] {
    const byUser = Map.groupBy(sessions, ({ record }) => keyOf(record.userName));
    return [...byUser.values()].flatMap((own) => {
      const [first] = own;
      if (!first) return [];
      const listed = own.map((session) => this.session(session));
      return {
        userName: first.record.userName,
        sessions: own.length,
        connected: listed.filter(({ state }) => state === "connected").length,
        devices: [...new Set(own.flatMap(({ deviceId }) => deviceId ?? []))],
        bytesUp: listed.reduce((sum, { bytesUp }) => sum + bytesUp, 0),
        bytesDown: listed.reduce((sum, { bytesDown }) => sum + bytesDown, 0),
      };
    });
  }

  #trafficOf({ engineId }: VpnSession): SessionTraffic | undefined {
    return engineId === undefined ? undefined : this.#traffic.get(engineId);
  }

  #sliceOf({ place }: VpnSession): TunnelSlice | undefined {
    return place && this.#slices[place.tunnel];
  }
}
