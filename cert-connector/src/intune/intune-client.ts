import { setTimeout as delay } from "node:timers/promises";
import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError } from "@isthmus/shared/errors";
import { BackOff } from "@isthmus/shared/link/back-off";
import type { CloudAnswer } from "@isthmus/shared/link/cloud-http";
import { type Random, randomGuid } from "@isthmus/shared/random";
import { jsonOf } from "./json-answer.ts";
import { retryAfterMs } from "./retry-after.ts";
import { ServiceLocations } from "./service-locations.ts";
import { TenantHttp } from "./tenant-http.ts";
import type { TenantSettings } from "./tenant-settings.ts";
import { TokenClient } from "./token-client.ts";

/** Our own limits on one call with its repetitions; a device gives up waiting after half a minute or so. */
const MAX_ATTEMPTS = 3;
const MAX_CALL_MS = 20_000;

export interface IntuneCall {
  readonly service: string;
  readonly suffix: string;
  readonly apiVersion: string;
  readonly body: unknown;
  /** 1: who calls repeats by itself. */
  readonly maxAttempts?: number;
}

/** What is thrown where it may help to ask again later; `retryAfterMs` is the service's own wish. */
export class IntuneCallError extends ConnectorError {
  readonly retryAfterMs: number | undefined;

  constructor(code: string, message: string, isRetryable: boolean, retryAfterMs?: number) {
    super(code, message, { isRetryable });
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * Calls services of Microsoft Intune as microsoft/Intune-Resource-Access does: POST of JSON to what discovery names, with
 * bearer token, `client-request-id` and `api-version` as headers. A token that is not accepted and an address that has
 * moved are renewed once; overload and faults of the service are asked again with back-off.
 */
export class IntuneClient implements Disposable {
  readonly #name: string;
  readonly #scope: string;
  readonly #http: TenantHttp;
  readonly #tokens: TokenClient;
  readonly #locations: ServiceLocations;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(settings: TenantSettings, parts: { readonly clock: Clock; readonly random: Random }) {
    this.#name = settings.name;
    // Two slashes: Intune's resource ends with one, and the library adds `/.default`.
    this.#scope = `${settings.hosts.intune}//.default`;
    this.#clock = parts.clock;
    this.#random = parts.random;
    this.#http = new TenantHttp(settings);
    this.#tokens = new TokenClient({ settings, http: this.#http, ...parts });
    const { random } = parts;
    this.#locations = new ServiceLocations({
      settings,
      http: this.#http,
      tokens: this.#tokens,
      random,
    });
  }

  /** The tenant's name. */
  get name(): string {
    return this.#name;
  }

  /** Gets a token and asks where the services are: whether credential and permissions are good. Throws as `post` does. */
  async probe(service: string): Promise<void> {
    await this.#tokens.token(this.#scope);
    await this.#locations.of(service);
  }

  /**
   * The JSON of a 2xx answer. Throws IntuneCallError `intune-unauthorised`, `intune-busy`, `intune-http`, `intune-answer`,
   * and what token, discovery and transport throw.
   */
  async post(call: IntuneCall): Promise<unknown> {
    const { maxAttempts = MAX_ATTEMPTS } = call;
    const backOff = new BackOff(this.#random);
    const deadline = this.#clock.now() + MAX_CALL_MS;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#postOnce(call);
      } catch (error) {
        const waitMs = Math.max(backOff.next(0), retryAfterOf(error) ?? 0);
        const isOver = attempt >= maxAttempts || this.#clock.now() + waitMs >= deadline;
        if (isOver || !isRetryable(error)) throw error;
        await delay(waitMs);
      }
    }
  }

  [Symbol.dispose](): void {
    this.#http[Symbol.dispose]();
  }

  async #postOnce(call: IntuneCall): Promise<unknown> {
    const token = await this.#tokens.token(this.#scope);
    const base = await this.#locations.of(call.service);
    const url = new URL(`${base}/${call.suffix}`);
    const answer = await this.#send(call, url, token);
    if (answer.status >= 200 && answer.status < 300) return this.#valueOf(answer, url);
    this.#locations.clear();
    if (answer.status === 401) this.#tokens.forget(this.#scope, token);
    throw this.#failure(answer, url);
  }

  async #send(call: IntuneCall, url: URL, token: string): Promise<CloudAnswer> {
    try {
      return await this.#http.send({
        method: "POST",
        url,
        headers: {
          authorization: `Bearer ${token}`,
          "client-request-id": randomGuid(this.#random),
          "api-version": call.apiVersion,
          "content-type": "application/json",
        },
        body: Buffer.from(JSON.stringify(call.body)),
      });
    } catch (error) {
      this.#locations.clear();
      throw error;
    }
  }

  /** The published libraries do not look at the content type, and neither does this: JSON or not is what counts. */
  #valueOf({ body }: CloudAnswer, url: URL): unknown {
    const value = jsonOf(body);
    if (typeof value === "object" && value !== null) return value;
    throw this.#error(
      "intune-answer",
      `${url.host} answered, but not in JSON: is a proxy in between?`,
      true,
    );
  }

  #failure(answer: CloudAnswer, url: URL): IntuneCallError {
    const { status, headers } = answer;
    if (status === 401 || status === 403) {
      // A token that was revoked is renewed and tried again; a missing permission stays missing.
      return this.#error(
        "intune-unauthorised",
        `${url.host} answered ${status}: grant the application the Intune permission scep_challenge_provider with admin consent`,
        status === 401,
      );
    }
    if (status === 404 || status === 408 || status === 429 || status >= 500) {
      const wish = retryAfterMs(headers, this.#clock.now());
      const message = `${url.host} answered ${status}: Intune is overloaded, disturbed or has moved`;
      return this.#error("intune-busy", message, true, wish);
    }
    return this.#error("intune-http", `${url.host} answered ${status} to ${url.pathname}`, false);
  }

  #error(code: string, what: string, mayHelp: boolean, afterMs?: number): IntuneCallError {
    return new IntuneCallError(code, `tenant ${this.#name}: ${what}`, mayHelp, afterMs);
  }
}

/** What the service wishes for, where an error carries such a wish. */
export function retryAfterOf(error: unknown): number | undefined {
  return error instanceof IntuneCallError ? error.retryAfterMs : undefined;
}

function isRetryable(error: unknown): boolean {
  return error instanceof ConnectorError && error.isRetryable;
}
