import type { Clock } from "@isthmus/shared/clock";
import type { Random } from "@isthmus/shared/random";
import type { AccessControl } from "../access.ts";
import type { PeerCertificate } from "../identity.ts";
import type { PeerCertificates } from "../peer-certificates.ts";
import type { Refusal } from "../refusal.ts";
import type { SessionEvent, VpnEngine } from "../vpn-engine.ts";
import type { AddressPool } from "./address-pool.ts";
import { newCookie, tokenHashOf } from "./cookie.ts";
import type { PolicyLeases } from "./policy-leases.ts";
import { SessionEngine, type SessionPath } from "./session-engine.ts";
import { nextState, type SessionEnd, type SessionTimes, waitingState } from "./session-state.ts";
import { SessionTable } from "./session-table.ts";
import type { UserNames } from "./user-names.ts";
import type { SeenSession, SessionRecord, SessionStore, VpnObserver } from "./vpn-ports.ts";
import type { VpnGroup } from "./vpn-rules.ts";
import { habitOf, isEnded, isSameDevice, VpnSession } from "./vpn-session.ts";

export interface SessionsOptions {
  readonly engine: VpnEngine;
  readonly store: SessionStore;
  readonly access: AccessControl;
  readonly leases: PolicyLeases;
  readonly pool: AddressPool;
  readonly names: UserNames;
  readonly clock: Clock;
  readonly random: Random;
  readonly observer: VpnObserver;
}

/** Who logged in, and how. */
export interface NewSession {
  readonly group: VpnGroup;
  readonly certificate: PeerCertificate | undefined;
  readonly record: Omit<
    SessionRecord,
    "id" | "tokenHash" | "group" | "createdAt" | "expiresAt" | "lastSeenAt" | "place"
  >;
}

export type CreatedSession =
  | { readonly session: VpnSession; readonly cookie: string; readonly refusal?: undefined }
  | { readonly refusal: Refusal };

/** Own limits: sessions for each address, so that logins alone cannot fill memory; and how many are noted as seen at once. */
const SESSIONS_PER_ADDRESS = 2;
const MAX_SEEN = 1_000;
const SEEN_EVERY_MS = 60_000;
/** Of a session whose group is gone, until it is cut. */
const NO_GROUP_MS = 10_000;

/** The VPN's sessions from login to end: what is kept, what the engine knows, and what time does to them. */
export class Sessions {
  readonly table: SessionTable;
  readonly #options: SessionsOptions;
  readonly #engine: SessionEngine;
  readonly #unseen = new Set<VpnSession>();
  #seenAt = 0;

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.table = new SessionTable(options.names);
    const { engine, leases } = options;
    this.#engine = new SessionEngine({ engine, leases, table: this.table });
  }

  /** Takes up what the store kept; whoever may not go on is ended. Their clients come back by cookie. */
  restore(records: readonly SessionRecord[], peers: PeerCertificates): void {
    const { clock, pool } = this.#options;
    for (const record of records) {
      const read = record.certificate && peers.recall(record.certificate);
      const session = this.#sessionOf(record, read?.certificate);
      const because = record.place ? "lost" : "login";
      session.state = waitingState(because, clock.now(), this.timesOf(session));
      const habit = record.place && habitOf(record, pool.poolOf(record.place));
      if (habit && !pool.claim(record.place, habit)) session.place = undefined;
      this.table.add(session);
      const refusal = read?.refusal ?? this.#options.access.rejudge(session);
      if (refusal) this.#cut(session, refusal);
    }
    this.sweep();
  }

  /**
   * A session for somebody who has logged in, at its address where one is free: one write for both. It is kept when this
   * returns.
   */
  async create(of: NewSession): Promise<CreatedSession> {
    const { clock, random, store, pool } = this.#options;
    const { group } = of;
    const now = clock.now();
    const cookie = newCookie(random);
    const { sessionSeconds } = group.timeouts;
    const planned: SessionRecord = {
      ...of.record,
      id: random.bytes(16).toString("hex"),
      tokenHash: tokenHashOf(cookie),
      group: group.name,
      createdAt: now,
      expiresAt: sessionSeconds === 0 ? undefined : now + sessionSeconds * 1_000,
      lastSeenAt: now,
      place: undefined,
    };
    const refusal = this.#makeRoom(planned, group);
    if (refusal) return { refusal };
    const habit = habitOf(planned, group.pool);
    const record = { ...planned, place: pool.take(habit, group.pool) };
    const session = this.#sessionOf(record, of.certificate);
    this.table.add(session);
    try {
      await store.add({ record, habit });
    } catch (error) {
      // Otherwise that is done, and its address may be somebody else's by now.
      if (!isEnded(session)) this.#drop(session);
      throw error;
    }
    if (isEnded(session)) return { refusal: ENDED };
    this.#options.observer.loginAccepted(session);
    return { session, cookie };
  }

  /** Gives a session its tunnel, a new one or the one it has. */
  open(
    session: VpnSession,
    group: VpnGroup,
    policyGroups: readonly string[],
    path: SessionPath,
  ): void {
    this.#engine.put(session, group, policyGroups, path);
  }

  onEvent(event: SessionEvent): void {
    if (event.kind === "closed") {
      const lost = this.#engine.onClosed(event.sessionId, event.traffic);
      if (lost) this.#become(lost, "tunnel-lost");
      return;
    }
    const session = this.table.ofEngine(event.sessionId);
    if (session) this.#onEventOf(session, event);
  }

  end(session: VpnSession, reason: SessionEnd, refusal?: Refusal): Promise<void> {
    const { clock, observer, store } = this.#options;
    if (isEnded(session)) return Promise.resolve();
    const now = clock.now();
    session.state = nextState(session.state, { kind: "end", reason }, now, this.timesOf(session));
    const text = refusal?.message ?? END_TEXTS[reason];
    this.#engine.leave(session, text, () => observer.ended(session, reason, refusal));
    this.#drop(session);
    return this.#stored(store.remove({ id: session.id, at: now, end: reason, refusal }));
  }

  /** What time alone changes. To be called every second. */
  sweep(): void {
    const { clock } = this.#options;
    const now = clock.now();
    for (const session of this.table.all()) {
      const times = this.timesOf(session);
      const next = nextState(session.state, { kind: "time" }, now, times);
      if (next.kind === "ended") void this.end(session, next.reason);
    }
    if (now - this.#seenAt < SEEN_EVERY_MS) return;
    this.#seenAt = now;
    this.#noteSeen();
  }

  timesOf(session: VpnSession): SessionTimes {
    const group = this.#options.access.rules.vpn.groups.find(({ name }) => name === session.group);
    const disconnectedMs = group ? group.timeouts.disconnectedSeconds * 1_000 : NO_GROUP_MS;
    return { disconnectedMs, expiresAt: session.record.expiresAt };
  }

  /** A client was there. */
  saw(session: VpnSession, remoteAddress: string): void {
    session.remoteAddress = remoteAddress;
    session.lastSeenAt = this.#options.clock.now();
    this.#unseen.add(session);
  }

  /** A user's own leave: the cookie stays good for a moment. */
  leave(session: VpnSession): void {
    this.#engine.leave(session, "", () => {});
    this.#become(session, "user-disconnect");
  }

  /** Takes a session's address and tunnel: its group has others now. Clients find that out by themselves. */
  vacate(session: VpnSession): void {
    this.#engine.leave(session, "", () => {});
    this.#become(session, "tunnel-lost");
    if (session.place) this.#options.pool.release(session.place);
    session.place = undefined;
  }

  #drop(session: VpnSession): void {
    this.table.remove(session);
    if (session.place) this.#options.pool.release(session.place);
    this.#unseen.delete(session);
  }

  #become(session: VpnSession, kind: "tunnel-up" | "tunnel-lost" | "user-disconnect"): void {
    const now = this.#options.clock.now();
    session.state = nextState(session.state, { kind }, now, this.timesOf(session));
  }

  #sessionOf(record: SessionRecord, certificate: PeerCertificate | undefined): VpnSession {
    const times = { disconnectedMs: 0, expiresAt: record.expiresAt };
    return new VpnSession({
      record,
      certificate,
      state: waitingState("login", this.#options.clock.now(), times),
      cut: (session, refusal) => this.#cut(session, refusal),
      refresh: (session) => this.#refresh(session),
    });
  }

  /** A device's earlier sessions make way for its new one; sessions of other devices do not. */
  #makeRoom(record: SessionRecord, group: VpnGroup): Refusal | undefined {
    const { pool } = this.#options;
    const own = this.table
      .ofUser(record.userName)
      .filter((session) => isSameDevice(session.record, record));
    for (const session of own) if (makesWay(session)) void this.end(session, "replaced");
    if (this.table.size >= pool.capacity * SESSIONS_PER_ADDRESS) return tooMany("sessions");
    if (this.table.countOfUser(record.userName) < group.sessionsPerUser) return undefined;
    const oldest = own.find(({ state }) => state.kind !== "ended");
    if (!oldest) return tooMany("sessionsPerUser");
    void this.end(oldest, "replaced");
    return undefined;
  }

  #onEventOf(session: VpnSession, event: SessionEvent): void {
    const { observer, leases } = this.#options;
    switch (event.kind) {
      case "closed":
        // Its engine's number may be no session's any more: see `onEvent`.
        return;
      case "tls-up":
        this.#become(session, "tunnel-up");
        return;
      case "tls-down":
        this.#become(session, "tunnel-lost");
        this.saw(session, session.remoteAddress);
        observer.disconnected(session, event.reason);
        return;
      case "dtls-up":
        session.dtls = event.cipher;
        observer.dtlsUp(session, event.cipher);
        return;
      case "dtls-down":
        session.dtls = undefined;
        observer.dtlsDown(session, event.reason);
        return;
      case "disconnected":
        if (event.payload[0] === BY_USER) this.leave(session);
        observer.disconnected(session, "the client said so");
        return;
      case "idle":
        void this.end(session, "idle");
        return;
      case "allowed": {
        const { rule, protocol, address, port, untold } = event;
        observer.allowed(session, { rule: leases.nameOf(rule), protocol, address, port }, untold);
        return;
      }
      case "denied": {
        const { rule, protocol, address, port } = event;
        observer.denied(session, { rule: leases.nameOf(rule), protocol, address, port });
        return;
      }
    }
  }

  #cut(session: VpnSession, refusal: Refusal): void {
    void this.end(session, "cut", refusal);
  }

  #refresh(session: VpnSession): void {
    const { told } = session;
    if (!told) return;
    const { access } = this.#options;
    const verdict = access.rejudgeSession(session);
    if (verdict.refusal) return;
    const { group, policyGroups } = verdict;
    this.#engine.put(session, group, policyGroups, told);
  }

  #noteSeen(): void {
    const seen: SeenSession[] = [...this.#unseen].slice(0, MAX_SEEN).map((session) => {
      this.#unseen.delete(session);
      const { id, remoteAddress, lastSeenAt: at } = session;
      return { id, remoteAddress, at };
    });
    if (seen.length > 0) void this.#stored(this.#options.store.seen(seen));
  }

  async #stored(write: Promise<void>): Promise<void> {
    try {
      await write;
    } catch (error) {
      this.#options.observer.failed("store", error);
    }
  }
}

/** openconnect/protocol draft: a disconnect frame of the user's begins with this. */
const BY_USER = 0xb0;

const ENDED: Refusal = {
  code: "session-ended",
  rule: "vpn/session",
  message: "the session has ended; log in again",
};

/** What a client is told. */
const END_TEXTS: Readonly<Record<SessionEnd, string>> = {
  user: "the session was ended by its user",
  idle: "the session was idle for too long",
  "session-timeout": "the session has reached its longest time; log in again",
  disconnected: "the session was without a connection for too long",
  "login-unused": "the login was not followed by a connection",
  replaced: "a newer session of the same device has taken its place",
  cut: "the session was ended by the gateway",
};

/** One that nobody uses, and whose tunnel is not just being made. */
function makesWay({ state, engineId }: VpnSession): boolean {
  if (state.kind !== "waiting") return false;
  return state.because !== "login" || engineId === undefined;
}

function tooMany(key: "sessions" | "sessionsPerUser"): Refusal {
  const message =
    key === "sessions"
      ? "the gateway has no room for another session; try again in a while"
      : "this user has as many sessions as the group allows; end one of them first";
  return { code: "limit-sessions", rule: `limits/${key}`, message };
}
