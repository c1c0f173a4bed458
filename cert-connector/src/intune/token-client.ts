import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError } from "@isthmus/shared/errors";
import { readSecretFile } from "@isthmus/shared/kernel/secret-file";
import type { CloudAnswer } from "@isthmus/shared/link/cloud-http";
import type { Random } from "@isthmus/shared/random";
import { z } from "zod";
import { clientAssertion } from "./client-assertion.ts";
import { jsonOf } from "./json-answer.ts";
import type { TenantHttp } from "./tenant-http.ts";
import type { TenantSettings } from "./tenant-settings.ts";

/** RFC 7523 section 2.2. */
const ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/** Our own: a token is renewed when this share of its life is over, and is never used within a minute of its end. */
const RENEW_AFTER = 0.75;
const END_MARGIN_MS = 60_000;
const MAX_TOKEN_CHARACTERS = 16_384;

const tokenAnswer = z.object({
  token_type: z.string().regex(/^bearer$/i),
  expires_in: z.coerce.number().min(1).max(604_800),
  access_token: z
    .string()
    .regex(/^[\x21-\x7e]+$/)
    .max(MAX_TOKEN_CHARACTERS),
});
const errorAnswer = z.object({
  error: z.string().max(128),
  error_description: z.string().optional(),
});

interface Token {
  readonly value: string;
  readonly renewAt: number;
  readonly endsAt: number;
}

/**
 * Access tokens by client credentials (RFC 6749 section 4.4; Microsoft identity platform 2.0), one for each scope. They
 * are renewed before they end; requests that come together share one; while a valid one is left, a failing renewal harms
 * nobody.
 */
export class TokenClient {
  readonly #settings: TenantSettings;
  readonly #http: TenantHttp;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #tokens = new Map<string, Token>();
  readonly #asked = new Map<string, Promise<Token>>();

  constructor(parts: {
    readonly settings: TenantSettings;
    readonly http: TenantHttp;
    readonly clock: Clock;
    readonly random: Random;
  }) {
    this.#settings = parts.settings;
    this.#http = parts.http;
    this.#clock = parts.clock;
    this.#random = parts.random;
  }

  /**
   * A token for a scope. Throws ConnectorError `intune-token` with what Entra ID said, `intune-credential`,
   * `secret-unreadable`, and what `TenantHttp` throws.
   */
  async token(scope: string): Promise<string> {
    const known = this.#tokens.get(scope);
    const now = this.#clock.now();
    if (known !== undefined && now < known.renewAt) return known.value;
    const isUsable = known !== undefined && now < known.endsAt - END_MARGIN_MS;
    try {
      return (await this.#renewed(scope)).value;
    } catch (error) {
      if (isUsable) return known.value;
      throw error;
    }
  }

  /** Forgets a token that a service did not accept. */
  forget(scope: string, value: string): void {
    if (this.#tokens.get(scope)?.value === value) this.#tokens.delete(scope);
  }

  #renewed(scope: string): Promise<Token> {
    const asked = this.#asked.get(scope);
    if (asked !== undefined) return asked;
    const asking = this.#ask(scope).finally(() => this.#asked.delete(scope));
    this.#asked.set(scope, asking);
    return asking;
  }

  async #ask(scope: string): Promise<Token> {
    const { hosts, tenantId, clientId } = this.#settings;
    const url = new URL(`${hosts.login}/${tenantId}/oauth2/v2.0/token`);
    const form = new URLSearchParams({
      client_id: clientId,
      scope,
      grant_type: "client_credentials",
      ...this.#proof(url.href),
    });
    const askedAt = this.#clock.now();
    const answer = await this.#http.send({
      method: "POST",
      url,
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: Buffer.from(form.toString()),
    });
    if (answer.status !== 200) throw this.#refused(answer);
    const { data } = tokenAnswer.safeParse(jsonOf(answer.body));
    if (data === undefined) throw this.#fault("the answer is no bearer token", true);
    const lifetimeMs = data.expires_in * 1_000;
    const token = {
      value: data.access_token,
      renewAt: askedAt + lifetimeMs * RENEW_AFTER,
      endsAt: askedAt + lifetimeMs,
    };
    this.#tokens.set(scope, token);
    return token;
  }

  #proof(audience: string): Record<string, string> {
    const { credential, clientId } = this.#settings;
    switch (credential.kind) {
      case "secret":
        return { client_secret: readSecretFile(credential.file) };
      case "certificate": {
        const parts = { clientId, audience, clock: this.#clock, random: this.#random };
        const client_assertion = clientAssertion({ credential, ...parts });
        return { client_assertion_type: ASSERTION_TYPE, client_assertion };
      }
      case "federated": {
        const client_assertion = readSecretFile(credential.tokenFile);
        return { client_assertion_type: ASSERTION_TYPE, client_assertion };
      }
    }
  }

  #refused({ status, body }: CloudAnswer): ConnectorError {
    const { data } = errorAnswer.safeParse(jsonOf(body));
    const isRetryable = status === 429 || status >= 500;
    if (data === undefined) return this.#fault(`HTTP ${status} and no OAuth error`, isRetryable);
    const said = data.error_description?.split(/[\r\n]/, 1)[0]?.slice(0, 300) ?? data.error;
    const code = /^AADSTS\d+/.exec(said)?.[0] ?? "";
    const remedy = REMEDIES[code];
    return this.#fault(remedy === undefined ? said : `${remedy} (${said})`, isRetryable);
  }

  #fault(what: string, isRetryable: boolean): ConnectorError {
    const { name } = this.#settings;
    return new ConnectorError(
      "intune-token",
      `tenant ${name}: Microsoft Entra ID gave no token: ${what}`,
      { isRetryable },
    );
  }
}

/** What to do about the errors of Microsoft Entra ID that a wrong set-up leads to. */
const REMEDIES: Readonly<Record<string, string>> = {
  AADSTS90002: "there is no such tenant: correct tenantId",
  AADSTS700016: "the tenant has no application with this id: correct clientId or tenantId",
  AADSTS7000215: "the client secret is wrong: put the secret's value, not its id, into the file",
  AADSTS7000222: "the client secret has expired: make a new one and replace the file",
  AADSTS700027:
    "the assertion's signature was not accepted: upload this certificate to the application",
  AADSTS700024: "the assertion is not valid at this time: synchronise this machine's clock (NTP)",
  AADSTS700213: "no federated credential of the application fits the token's issuer and subject",
  AADSTS70021: "no federated credential of the application fits the token's issuer and subject",
};
