import { randomBytes } from "node:crypto";
import type { AuthenticatedUser } from "../core/authenticator.ts";
import { ByAddress } from "../core/vpn/by-address.ts";
import { scoredAddress } from "../core/vpn/scores.ts";

/** Own limits: logins in browsers at once, of one address, how long one may take, and how often its browser may begin. */
export const MAX_LOGINS = 10_000;
export const MAX_LOGINS_PER_ADDRESS = 2_500;
export const MAX_VISITS = 10;
const LOGIN_MS = 300_000;

/** One way of a browser to the provider and back; another begins with another. */
export interface BrowserVisit {
  /** What only this browser knows, by a cookie: an answer of the provider that comes with another is none of this login. */
  readonly secret: string;
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
}

/** A login that goes on in a browser. */
export interface BrowserLogin {
  /** What the client knows it by. Whoever has it can sign in for the client, and gets nothing by that. */
  readonly id: string;
  readonly baseUrl: string;
  /** What it is counted by. */
  readonly address: string;
  /** The client's key where the system's browser is used. */
  readonly browserKey: string | undefined;
  readonly expiresAt: number;
  visits: number;
  /** Undefined before a browser has begun, and once its answer has been taken. */
  visit: BrowserVisit | undefined;
  result: { readonly token: string; readonly user: AuthenticatedUser } | undefined;
}

/**
 * The logins that go on in browsers. Over the limit of an address its oldest goes; over the limit of all, the oldest of the address
 * that has most.
 */
export class BrowserLogins {
  readonly #now: () => number;
  /** In the order of their expiry, for all live equally long. */
  readonly #logins = new Map<string, BrowserLogin>();
  readonly #byAddress = new ByAddress<BrowserLogin>();
  /** By the state of their present visit. */
  readonly #visited = new Map<string, BrowserLogin>();

  constructor(now: () => number) {
    this.#now = now;
  }

  get size(): number {
    return this.#logins.size;
  }

  begin(of: Pick<BrowserLogin, "baseUrl" | "address" | "browserKey">): BrowserLogin {
    this.#sweep();
    const address = scoredAddress(of.address);
    const isOverShare = this.#byAddress.count(address) >= MAX_LOGINS_PER_ADDRESS;
    if (isOverShare) this.end(this.#byAddress.oldestOf(address));
    if (this.#logins.size >= MAX_LOGINS) this.end(this.#byAddress.oldestOfGreediest());
    const expiresAt = this.#now() + LOGIN_MS;
    const unvisited = { visits: 0, visit: undefined, result: undefined };
    const login: BrowserLogin = { ...of, ...unvisited, address, id: secret(), expiresAt };
    this.#logins.set(login.id, login);
    this.#byAddress.add(address, login);
    return login;
  }

  find(id: string): BrowserLogin | undefined {
    const login = this.#logins.get(id);
    return login && login.expiresAt > this.#now() ? login : undefined;
  }

  /** A browser begins; what another began before is over. Undefined where that was too often, or the user has signed in. */
  visit(login: BrowserLogin): BrowserVisit | undefined {
    if (login.visits >= MAX_VISITS || login.result) return undefined;
    this.#leave(login);
    const visit = { secret: secret(), state: secret(), nonce: secret(), verifier: secret() };
    login.visits += 1;
    login.visit = visit;
    this.#visited.set(visit.state, login);
    return visit;
  }

  /** The login of a state, which is good once; undefined if it is none, or `isBrowser` says that another browser has come. */
  takeVisit(
    state: string,
    isBrowser: (visit: BrowserVisit) => boolean,
  ): { readonly login: BrowserLogin; readonly visit: BrowserVisit } | undefined {
    const login = this.#visited.get(state);
    const visit = login?.visit;
    if (!login || !visit || login.expiresAt <= this.#now() || !isBrowser(visit)) return undefined;
    this.#leave(login);
    return { login, visit };
  }

  end(login: BrowserLogin | undefined): void {
    if (!login) return;
    this.#leave(login);
    this.#logins.delete(login.id);
    this.#byAddress.remove(login.address, login);
  }

  #leave(login: BrowserLogin): void {
    if (login.visit) this.#visited.delete(login.visit.state);
    login.visit = undefined;
  }

  #sweep(): void {
    for (const login of this.#logins.values()) {
      if (login.expiresAt > this.#now()) return;
      this.end(login);
    }
  }
}

function secret(): string {
  return randomBytes(32).toString("base64url");
}
