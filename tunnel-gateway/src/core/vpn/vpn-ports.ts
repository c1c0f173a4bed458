import type { CertificateFacts } from "../identity.ts";
import type { Refusal } from "../refusal.ts";
import type { Ban } from "./scores.ts";
import type { SessionEnd } from "./session-state.ts";
import type { ClientFacts } from "./vpn-service-port.ts";
import type { VpnSession } from "./vpn-session.ts";

/** Which tunnel, and which address of its slice. */
export interface Place {
  readonly tunnel: number;
  readonly slot: number;
}

/** A session as it is kept: all that a restart needs to let its client come back to the same address. */
export interface SessionRecord {
  readonly id: string;
  /** SHA-256 of the cookie, hex; the cookie itself is kept nowhere. */
  readonly tokenHash: string;
  readonly userName: string;
  /** Groups that the authenticators vouched for at the login. */
  readonly userGroups: readonly string[];
  readonly group: string;
  readonly deviceId: string | undefined;
  /** The certificate of the login; undefined where none was asked for. */
  readonly certificate: CertificateFacts | undefined;
  readonly client: ClientFacts;
  readonly remoteAddress: string;
  readonly createdAt: number;
  /** Undefined: the session has no end of its own. */
  readonly expiresAt: number | undefined;
  readonly lastSeenAt: number;
  /** Undefined where no address was left at the login: the first connection may find one. */
  readonly place: Place | undefined;
}

/** Keeps sessions across restarts, and the address that a device had last. */
export interface SessionStore {
  load(): Promise<{
    readonly sessions: readonly SessionRecord[];
    readonly habits: readonly AddressHabit[];
  }>;
  add(added: AddedSession): Promise<void>;
  place(placed: PlacedSession): Promise<void>;
  /** Notes when and from where sessions were last there. */
  seen(seen: readonly SeenSession[]): Promise<void>;
  remove(ended: EndedSession): Promise<void>;
}

/** A new session, with its address where it has one. */
export interface AddedSession {
  readonly record: SessionRecord;
  /** `habitOf` it. */
  readonly habit: string;
}

/** Which address somebody had last. */
export interface AddressHabit {
  /** `habitOf` a session. */
  readonly key: string;
  readonly place: Place;
  readonly usedAt: number;
}

export interface PlacedSession {
  readonly id: string;
  readonly place: Place;
  readonly habit: string;
  readonly at: number;
}

export interface SeenSession {
  readonly id: string;
  readonly remoteAddress: string;
  readonly at: number;
}

export interface EndedSession {
  readonly id: string;
  readonly at: number;
  readonly end: SessionEnd;
  readonly refusal: Refusal | undefined;
}

/** A login that was not accepted. */
export interface RefusedLogin {
  readonly refusal: Refusal;
  readonly group: string | undefined;
  readonly userName: string | undefined;
  readonly remoteAddress: string;
  /** It was a guess: points were counted. */
  readonly isAttempt: boolean;
  /** What the client is told is less: it stands as a wrong password. */
  readonly isBanned: boolean;
}

/** Is told what happens on the VPN, for logs, metrics and the audit. */
export interface VpnObserver {
  loginRefused(login: RefusedLogin): void;
  loginAccepted(session: VpnSession): void;
  banned(ban: Ban): void;
  connectRefused(refusal: Refusal, session: VpnSession | undefined, remoteAddress: string): void;
  connected(session: VpnSession, isReturn: boolean): void;
  disconnected(session: VpnSession, reason: string): void;
  dtlsUp(session: VpnSession, cipher: string): void;
  dtlsDown(session: VpnSession, reason: string): void;
  /** Told when the engine has taken its tunnel down, so that `carried` is complete. `refusal` is why it was cut. */
  ended(session: VpnSession, end: SessionEnd, refusal: Refusal | undefined): void;
  /** A flow that is let through, where its group's are logged; `untold` before it were not, as they were too many. */
  allowed(session: VpnSession, opening: JudgedPacket, untold: number): void;
  denied(session: VpnSession, denied: JudgedPacket): void;
  /** A fault of our own on the way of something that cannot wait for it. */
  failed(event: "store" | "policy", error: unknown): void;
}

export interface JudgedPacket {
  /** `policy/rule`, `egress/...`, `guardrails/destinations` or `default-deny`. */
  readonly rule: string;
  /** IANA number. */
  readonly protocol: number;
  readonly address: string;
  readonly port: number;
}
