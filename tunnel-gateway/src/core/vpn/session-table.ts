import { OpenConnections } from "../open-connections.ts";
import type { UserNames } from "./user-names.ts";
import type { VpnSession } from "./vpn-session.ts";

/** The sessions that have not ended, found by cookie, by user, by device, by certificate and by the engine's number. */
export class SessionTable extends OpenConnections<VpnSession> {
  readonly names: UserNames;
  readonly #byToken = new Map<string, VpnSession>();
  readonly #byUser = new Map<string, Set<VpnSession>>();
  readonly #byEngineId = new Map<number, VpnSession>();

  constructor(names: UserNames) {
    super();
    this.names = names;
  }

  override add(session: VpnSession): void {
    super.add(session);
    this.#byToken.set(session.record.tokenHash, session);
    const user = this.names.keyOf(session.record.userName);
    const sessions = this.#byUser.get(user) ?? new Set();
    this.#byUser.set(user, sessions.add(session));
  }

  override remove(session: VpnSession): void {
    super.remove(session);
    this.#byToken.delete(session.record.tokenHash);
    const user = this.names.keyOf(session.record.userName);
    const sessions = this.#byUser.get(user);
    sessions?.delete(session);
    if (sessions?.size === 0) this.#byUser.delete(user);
    this.unbind(session);
  }

  /** The engine knows the session by this number from now on. */
  bind(session: VpnSession, engineId: number): void {
    this.unbind(session);
    session.engineId = engineId;
    this.#byEngineId.set(engineId, session);
  }

  unbind(session: VpnSession): void {
    if (session.engineId !== undefined) this.#byEngineId.delete(session.engineId);
    session.engineId = undefined;
  }

  ofToken(tokenHash: string): VpnSession | undefined {
    return this.#byToken.get(tokenHash);
  }

  /** A user's sessions, the oldest first. */
  ofUser(userName: string): VpnSession[] {
    return [...(this.#byUser.get(this.names.keyOf(userName)) ?? [])];
  }

  countOfUser(userName: string): number {
    return this.#byUser.get(this.names.keyOf(userName))?.size ?? 0;
  }

  ofEngine(engineId: number): VpnSession | undefined {
    return this.#byEngineId.get(engineId);
  }
}
