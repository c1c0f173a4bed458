import { isDeepStrictEqual } from "node:util";
import type { EngineSession, SessionTraffic, VpnEngine } from "../vpn-engine.ts";
import type { PolicyLeases } from "./policy-leases.ts";
import type { SessionTable } from "./session-table.ts";
import type { VpnGroup } from "./vpn-rules.ts";
import type { VpnSession } from "./vpn-session.ts";

/** What a connection brought about the way its packets go. */
export interface SessionPath {
  readonly hasIpv4: boolean;
  readonly hasIpv6: boolean;
  readonly mtu: number;
}

interface Closing {
  readonly session: VpnSession;
  readonly tell: () => void;
}

const FIGURES = ["bytesUp", "bytesDown", "packetsUp", "packetsDown", "dropped"] as const;

/** What the engine knows of sessions, and by which numbers. */
export class SessionEngine {
  readonly #engine: VpnEngine;
  readonly #leases: PolicyLeases;
  readonly #table: SessionTable;
  /** Tunnels that were told to close and have not done so yet, by the engine's number. */
  readonly #closing = new Map<number, Closing>();
  #next = 1;

  constructor(options: {
    readonly engine: VpnEngine;
    readonly leases: PolicyLeases;
    readonly table: SessionTable;
  }) {
    this.#engine = options.engine;
    this.#leases = options.leases;
    this.#table = options.table;
  }

  /** Tells the engine what a session is like and what its packets may do now; a new tunnel, unless there is one. */
  put(
    session: VpnSession,
    group: VpnGroup,
    policyGroups: readonly string[],
    path: SessionPath,
  ): void {
    const former = session.policy;
    session.policy = this.#leases.take(group, policyGroups);
    const isKnown = session.engineId !== undefined;
    if (!isKnown) this.#table.bind(session, this.#next++);
    const told = engineSession(session, group, path);
    if (!isKnown) this.#engine.openSession(told);
    else if (!isDeepStrictEqual(told, session.told)) this.#engine.changeSession(told);
    session.told = told;
    // Not before the engine has the other: a policy that nobody holds is emptied.
    if (former) this.#leases.give(former);
  }

  /** Has the engine take the tunnel down. `tell` is called when it has; at once where there is none. */
  leave(session: VpnSession, text: string, tell: () => void): void {
    const { engineId } = session;
    if (engineId === undefined) {
      tell();
      return;
    }
    this.#closing.set(engineId, { session, tell });
    this.#forget(session);
    this.#engine.closeSession(engineId, "disconnect", text);
  }

  /** A tunnel is down. The session that lost it without anybody having asked for that. */
  onClosed(engineId: number, traffic: SessionTraffic): VpnSession | undefined {
    const closing = this.#closing.get(engineId);
    const session = closing?.session ?? this.#table.ofEngine(engineId);
    if (!session) return undefined;
    for (const figure of FIGURES) session.carried[figure] += traffic[figure];
    this.#closing.delete(engineId);
    closing?.tell();
    if (closing) return undefined;
    this.#forget(session);
    return session;
  }

  #forget(session: VpnSession): void {
    this.#table.unbind(session);
    session.told = undefined;
    session.dtls = undefined;
    if (session.policy) this.#leases.give(session.policy);
    session.policy = undefined;
  }
}

function engineSession(session: VpnSession, group: VpnGroup, path: SessionPath): EngineSession {
  const { engineId: id = 0, place = { tunnel: 0, slot: 0 }, policy, record } = session;
  const { dpdSeconds, mobileDpdSeconds, keepaliveSeconds, idleSeconds } = group.timeouts;
  const { hasIpv4, hasIpv6, mtu } = path;
  return {
    id,
    ...place,
    hasIpv4,
    hasIpv6,
    mtu,
    policy: policy?.number ?? 0,
    dpdSeconds: record.client.isMobile ? mobileDpdSeconds : dpdSeconds,
    keepaliveSeconds,
    idleSeconds,
    upBytesPerSecond: group.upBytesPerSecond,
    downBytesPerSecond: group.downBytesPerSecond,
    logsFlows: group.logFlows,
  };
}
