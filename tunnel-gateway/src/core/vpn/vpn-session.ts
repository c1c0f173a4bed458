import type { PeerCertificate } from "../identity.ts";
import type { OpenSession } from "../open-connections.ts";
import type { Refusal } from "../refusal.ts";
import type { EngineSession } from "../vpn-engine.ts";
import type { PolicyLease } from "./policy-leases.ts";
import type { SessionState } from "./session-state.ts";
import type { Place, SessionRecord } from "./vpn-ports.ts";

/** A session of the VPN in memory: what is kept of it, where it stands, and what the engine knows it by. */
export class VpnSession implements OpenSession {
  readonly kind = "session";
  readonly record: SessionRecord;
  readonly certificate: PeerCertificate | undefined;
  state: SessionState;
  place: Place | undefined;
  /** The write of `place`, while it is under way. */
  placing: Promise<void> | undefined;
  remoteAddress: string;
  lastSeenAt: number;
  /** By which number the engine knows it, while it does. */
  engineId: number | undefined;
  /** What its packets may do, while the engine knows it. */
  policy: PolicyLease | undefined;
  /** What the engine was last told, while it knows it. */
  told: EngineSession | undefined;
  /** Version and cipher of the TLS connection of last time. */
  tls: string | undefined;
  /** The cipher of DTLS while it is up. */
  dtls: string | undefined;
  /** Whether the client was last told how it may open DTLS. */
  wasOfferedDtls = false;
  /** What tunnels that the engine has taken down have carried. */
  readonly carried = { bytesUp: 0, bytesDown: 0, packetsUp: 0, packetsDown: 0, dropped: 0 };
  readonly #cut: (session: VpnSession, refusal: Refusal) => void;
  readonly #refresh: (session: VpnSession) => void;

  constructor(options: {
    readonly record: SessionRecord;
    readonly certificate: PeerCertificate | undefined;
    readonly state: SessionState;
    readonly cut: (session: VpnSession, refusal: Refusal) => void;
    readonly refresh: (session: VpnSession) => void;
  }) {
    const { record } = options;
    this.record = record;
    this.certificate = options.certificate;
    this.state = options.state;
    this.place = record.place;
    this.remoteAddress = record.remoteAddress;
    this.lastSeenAt = record.lastSeenAt;
    this.#cut = options.cut;
    this.#refresh = options.refresh;
  }

  get id(): string {
    return this.record.id;
  }

  get deviceId(): string | undefined {
    return this.record.deviceId;
  }

  get userPrincipalName(): string {
    return this.record.userName;
  }

  get group(): string {
    return this.record.group;
  }

  get userGroups(): readonly string[] {
    return this.record.userGroups;
  }

  get openedAt(): number {
    return this.record.createdAt;
  }

  cut(refusal: Refusal): void {
    this.#cut(this, refusal);
  }

  refresh(): void {
    this.#refresh(this);
  }
}

/** A function, so that it is asked anew after a wait: what was read before may be otherwise by then. */
export function isEnded(session: VpnSession): boolean {
  return session.state.kind === "ended";
}

/**
 * Who a session belongs to as far as addresses go: a device, or a user's client by its own number; in each pool on its own, so
 * that who goes from one group to another and back has the former address again.
 */
export function habitOf(record: SessionRecord, pool: string | undefined): string {
  const owner = ownerOf(record);
  return pool === undefined ? owner : `pool:${pool}:${owner}`;
}

function ownerOf(record: SessionRecord): string {
  if (record.deviceId !== undefined) return `device:${record.deviceId}`;
  return `user:${record.userName.toLowerCase()}:${record.client.uniqueId ?? ""}`;
}

/** Whether two sessions of one user are of one device, as far as anybody can tell. */
export function isSameDevice(one: SessionRecord, other: SessionRecord): boolean {
  if (one.deviceId !== undefined) return one.deviceId === other.deviceId;
  const { uniqueId } = one.client;
  return uniqueId !== undefined && uniqueId === other.client.uniqueId && !other.deviceId;
}
