import type {
  Authenticator,
  AuthenticatorPage,
  AuthenticatorPageRequest,
} from "../authenticator.ts";
import type { PeerCertificates } from "../peer-certificates.ts";
import type { Refusal } from "../refusal.ts";
import type { AddressPool } from "./address-pool.ts";
import { tokenHashOf } from "./cookie.ts";
import type { Login, PendingLogin } from "./login.ts";
import type { PendingLogins } from "./pending-logins.ts";
import type { PolicyLeases } from "./policy-leases.ts";
import type { ScoreMemory } from "./score-memory.ts";
import type { Scores } from "./scores.ts";
import type { Sessions } from "./sessions.ts";
import type { Tunnels } from "./tunnels.ts";
import type { SessionRecord, SessionStore } from "./vpn-ports.ts";
import type {
  LoginAnswer,
  LoginRequest,
  TunnelAnswer,
  TunnelRequest,
  VpnLogin,
  VpnService,
} from "./vpn-service-port.ts";

/** The parts of the VPN's core. */
export interface VpnParts {
  readonly sessions: Sessions;
  readonly login: Login;
  readonly tunnels: Tunnels;
  readonly leases: PolicyLeases;
  readonly pool: AddressPool;
  readonly scores: Scores;
  /** What is kept of the scores. */
  readonly memory: ScoreMemory;
  readonly pending: PendingLogins<PendingLogin>;
  readonly store: SessionStore;
  readonly authenticators: ReadonlyMap<string, Authenticator>;
}

/** Own choice: how seldom all scores are looked through. */
const SWEEPS_PER_FORGIVENESS = 60;

/**
 * The VPN's core as the front sees it. Until a configuration is in force nobody can log in, and clients that come back by
 * cookie are told to come again: what is kept of their sessions is judged by the configuration first.
 */
export class Vpn implements VpnService {
  readonly login: VpnLogin;
  readonly #parts: VpnParts;
  /** What the store kept, until it is taken up. */
  #kept: readonly SessionRecord[] | undefined;
  #isConfigured = false;
  #sweeps = 0;

  constructor(parts: VpnParts) {
    this.#parts = parts;
    const whenReady = (answer: () => Promise<LoginAnswer>): Promise<LoginAnswer> =>
      this.#isConfigured ? answer() : Promise.resolve({ kind: "refused", refusal: NOT_YET });
    const { login } = parts;
    this.login = {
      begin: (request: LoginRequest, signal) => whenReady(() => login.begin(request, signal)),
      answer: (opaque, fields, request, signal) =>
        whenReady(() => login.answer(opaque, fields, request, signal)),
    };
  }

  /** Reads what the store kept. */
  async load(): Promise<void> {
    const { sessions, habits } = await this.#parts.store.load();
    this.#parts.pool.restore(habits);
    this.#kept = sessions;
    await this.#parts.memory.load(sessions);
  }

  /** After other rules were put in force, and enforced on the sessions there are. */
  configured(peers: PeerCertificates): void {
    this.#isConfigured = true;
    if (this.#kept) this.#parts.sessions.restore(this.#kept, peers);
    this.#kept = undefined;
    this.#parts.leases.refresh();
  }

  /** After trust anchors or the host's surroundings changed, and were enforced. */
  surroundingsChanged(): void {
    this.#parts.leases.refresh();
  }

  /** What time does; every second. */
  sweep(): void {
    this.#parts.sessions.sweep();
    this.#parts.pending.sweep();
    if (!this.#isConfigured) return;
    this.#sweeps = (this.#sweeps + 1) % SWEEPS_PER_FORGIVENESS;
    if (this.#sweeps === 0) this.#parts.scores.sweep();
    this.#parts.memory.sweep();
  }

  async connect(request: TunnelRequest, signal: AbortSignal): Promise<TunnelAnswer> {
    if (!this.#isConfigured) return { kind: "refused", status: 503, refusal: NOT_YET };
    return this.#parts.tunnels.connect(request, signal);
  }

  async logout(cookie: string): Promise<void> {
    const { sessions } = this.#parts;
    const session = sessions.table.ofToken(tokenHashOf(cookie));
    if (session) await sessions.end(session, "user");
  }

  async page(
    authenticator: string,
    request: AuthenticatorPageRequest,
    signal: AbortSignal,
  ): Promise<AuthenticatorPage | undefined> {
    return this.#parts.authenticators.get(authenticator)?.page?.(request, signal);
  }
}

const NOT_YET: Refusal = {
  code: "login-busy",
  rule: "vpn/configuration",
  message: "the gateway has just started; try again in a moment",
  retryAfterSeconds: 2,
};
