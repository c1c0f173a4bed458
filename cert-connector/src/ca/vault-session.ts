import type { Clock } from "@isthmus/shared/clock";
import type { OutboundAnswer, OutboundHttp } from "@isthmus/shared/kernel/outbound-http";
import { z } from "zod";
import { credentialsRefused, readJson, statusError, wordsOf } from "./remote-answer.ts";

/** How we are known to Vault. Read again at each use, so that a changed file takes effect. */
export type VaultLogin =
  | { readonly method: "token"; readonly token: () => string }
  | {
      readonly method: "approle";
      readonly mount: string;
      readonly roleId: () => string;
      readonly secretId: () => string;
    };

export interface VaultSessionParts {
  readonly http: OutboundHttp;
  readonly namespace: string | undefined;
  readonly login: VaultLogin;
  readonly clock: Clock;
}

interface Session {
  readonly token: string;
  readonly isRenewable: boolean;
  /** ms; when half of its time is over. */
  readonly renewAt: number;
}

const loggedIn = z.object({
  auth: z.object({
    client_token: z.string().min(1),
    lease_duration: z.number().min(0),
    renewable: z.boolean(),
  }),
});
const failure = z.object({ errors: z.array(z.string()).max(100) });

/** Requests to Vault or OpenBao with a token that is renewed while it can be, and got anew when it cannot. */
export class VaultSession implements Disposable {
  readonly #parts: VaultSessionParts;
  #session: Session | undefined;

  constructor(parts: VaultSessionParts) {
    this.#parts = parts;
  }

  /**
   * A request with our token. 403 is tried once more with a new one: a token that was revoked says the same as a policy
   * that lacks something, and in either case nothing was done.
   */
  async send(path: string, body: unknown, signal: AbortSignal): Promise<OutboundAnswer> {
    const answer = await this.#post(path, body, await this.#token(signal), signal);
    if (answer.status !== 403 || this.#parts.login.method === "token") return answer;
    this.#session = undefined;
    return await this.#post(path, body, await this.#token(signal), signal);
  }

  /** A request that needs no token. */
  async read(path: string, signal: AbortSignal): Promise<OutboundAnswer> {
    return await this.#parts.http.send({
      method: "GET",
      path: `/v1/${path}`,
      headers: this.#headers(undefined),
      signal,
    });
  }

  /** Keeps the session alive; for a token from a file, whose lease nobody told us, at every call. */
  async keepAlive(signal: AbortSignal): Promise<void> {
    const { login } = this.#parts;
    if (login.method === "approle") {
      await this.#token(signal);
      return;
    }
    const answer = await this.#post("auth/token/renew-self", {}, login.token(), signal);
    // A root token and one past its maximum cannot be renewed; whether they work shows at the next order.
    if (answer.status === 200 || answer.status === 400) return;
    throw statusError(answer, vaultWords(answer));
  }

  async #token(signal: AbortSignal): Promise<string> {
    const { login, clock } = this.#parts;
    if (login.method === "token") return login.token();
    if (this.#session === undefined) this.#session = await this.#logIn(login, signal);
    else if (clock.now() >= this.#session.renewAt) {
      this.#session =
        (await this.#renewed(this.#session, signal)) ?? (await this.#logIn(login, signal));
    }
    return this.#session.token;
  }

  async #logIn(
    { mount, roleId, secretId }: Extract<VaultLogin, { method: "approle" }>,
    signal: AbortSignal,
  ): Promise<Session> {
    const body = { role_id: roleId(), secret_id: secretId() };
    const answer = await this.#post(`auth/${mount}/login`, body, undefined, signal);
    if (answer.status === 400) {
      throw credentialsRefused(`Vault does not know the AppRole: ${vaultWords(answer)}`);
    }
    if (answer.status !== 200) throw statusError(answer, vaultWords(answer));
    return this.#sessionOf(answer);
  }

  async #renewed(session: Session, signal: AbortSignal): Promise<Session | undefined> {
    if (!session.isRenewable) return undefined;
    const answer = await this.#post("auth/token/renew-self", {}, session.token, signal);
    return answer.status === 200 ? this.#sessionOf(answer) : undefined;
  }

  #sessionOf(answer: OutboundAnswer): Session {
    const { auth } = readJson(answer, loggedIn);
    const halfMs = (auth.lease_duration * 1_000) / 2;
    return {
      token: auth.client_token,
      isRenewable: auth.renewable,
      // A lease of 0 never ends.
      renewAt: halfMs === 0 ? Number.POSITIVE_INFINITY : this.#parts.clock.now() + halfMs,
    };
  }

  #post(path: string, body: unknown, token: string | undefined, signal: AbortSignal) {
    return this.#parts.http.send({
      method: "POST",
      path: `/v1/${path}`,
      headers: { "content-type": "application/json", ...this.#headers(token) },
      body: JSON.stringify(body),
      signal,
    });
  }

  #headers(token: string | undefined): Record<string, string> {
    const { namespace } = this.#parts;
    return {
      // Vault's agents and proxies may be told to let nothing else through.
      "x-vault-request": "true",
      ...(token !== undefined && { "x-vault-token": token }),
      ...(namespace !== undefined && { "x-vault-namespace": namespace }),
    };
  }

  [Symbol.dispose](): void {
    this.#parts.http[Symbol.dispose]();
  }
}

/** What Vault says of an error. */
export function vaultWords(answer: OutboundAnswer): string {
  return wordsOf(answer, failure, ({ errors }) => errors.join("; "));
}
