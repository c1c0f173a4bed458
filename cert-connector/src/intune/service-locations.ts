import { ConnectorError } from "@isthmus/shared/errors";
import { type Random, randomGuid } from "@isthmus/shared/random";
import { z } from "zod";
import { jsonOf } from "./json-answer.ts";
import type { TenantHttp } from "./tenant-http.ts";
import type { TenantSettings } from "./tenant-settings.ts";
import type { TokenClient } from "./token-client.ts";

/** The application id of Microsoft Intune in every tenant. */
const INTUNE_APPLICATION_ID = "0000000a-0000-0000-c000-000000000000";
/** Our own limit; about 20 are usual. */
const MAX_SERVICES = 1_000;

const endpoints = z.object({
  value: z
    .array(
      z.object({
        providerName: z.string().nullish(),
        serviceName: z.string().nullish(),
        uri: z.string().max(2_048).nullish(),
      }),
    )
    .max(MAX_SERVICES),
});

/**
 * Where the services of Intune are for this tenant, as Microsoft Graph tells (microsoft/Intune-Resource-Access,
 * IntuneServiceLocationProvider). Asked once and remembered until a service fails.
 */
export class ServiceLocations {
  readonly #settings: TenantSettings;
  readonly #http: TenantHttp;
  readonly #tokens: TokenClient;
  readonly #random: Random;
  #known: ReadonlyMap<string, string> | undefined;
  #asked: Promise<ReadonlyMap<string, string>> | undefined;

  constructor(parts: {
    readonly settings: TenantSettings;
    readonly http: TenantHttp;
    readonly tokens: TokenClient;
    readonly random: Random;
  }) {
    this.#settings = parts.settings;
    this.#http = parts.http;
    this.#tokens = parts.tokens;
    this.#random = parts.random;
  }

  /**
   * The base address of a service, to which `/` and a suffix are added. Throws ConnectorError `intune-discovery`, and
   * `intune-host` for an address that is not https or not below the allowed hosts.
   */
  async of(serviceName: string): Promise<string> {
    const services = this.#known ?? (await this.#refreshed());
    const uri = services.get(serviceName.toLowerCase());
    if (uri !== undefined) return this.#allowed(serviceName, uri);
    throw this.#fault(
      `Intune offers this tenant no ${serviceName}: is Intune licensed, and is the tenant the right one?`,
      false,
    );
  }

  /** The services may have moved: ask again next time. */
  clear(): void {
    this.#known = undefined;
  }

  #refreshed(): Promise<ReadonlyMap<string, string>> {
    this.#asked ??= this.#ask().finally(() => {
      this.#asked = undefined;
    });
    return this.#asked;
  }

  async #ask(): Promise<ReadonlyMap<string, string>> {
    const { graph } = this.#settings.hosts;
    const scope = `${graph}/.default`;
    const token = await this.#tokens.token(scope);
    const path = `/v1.0/servicePrincipals/appId=${INTUNE_APPLICATION_ID}/endpoints`;
    const { status, body } = await this.#http.send({
      method: "GET",
      url: new URL(`${graph}${path}`),
      headers: { authorization: `Bearer ${token}`, "client-request-id": randomGuid(this.#random) },
    });
    if (status === 401) this.#tokens.forget(scope, token);
    if (status !== 200) throw this.#refused(status);
    const { data } = endpoints.safeParse(jsonOf(body));
    if (data === undefined) throw this.#fault("Microsoft Graph's answer is no list", true);
    const services = new Map<string, string>();
    for (const { providerName, serviceName, uri } of data.value) {
      const name = providerName ?? serviceName;
      if (name != null && uri != null) services.set(name.toLowerCase(), uri);
    }
    this.#known = services;
    return services;
  }

  #refused(status: number): ConnectorError {
    if (status === 401 || status === 403) {
      return this.#fault(
        `Microsoft Graph answered ${status}: grant the application Application.Read.All with admin consent`,
        // A token that was revoked is renewed at the next attempt; a missing permission stays missing.
        status === 401,
      );
    }
    const isRetryable = status === 429 || status >= 500;
    return this.#fault(`Microsoft Graph answered ${status}`, isRetryable);
  }

  #allowed(serviceName: string, uri: string): string {
    const url = URL.parse(uri);
    const { allowed } = this.#settings.hosts;
    const isPlain = url !== null && url.username === "" && url.search === "" && url.hash === "";
    if (
      isPlain &&
      url.protocol === "https:" &&
      allowed.some((host) => isBelow(url.hostname, host))
    ) {
      return uri;
    }
    throw new ConnectorError(
      "intune-host",
      `tenant ${this.#settings.name}: discovery puts ${serviceName} at ${url?.host ?? "no URL"}, which tenants.${this.#settings.name}.hosts.allowed does not cover`,
    );
  }

  #fault(what: string, isRetryable: boolean): ConnectorError {
    const message = `tenant ${this.#settings.name}: ${what}`;
    return new ConnectorError("intune-discovery", message, { isRetryable });
  }
}

function isBelow(host: string, allowed: string): boolean {
  return host === allowed || host.endsWith(`.${allowed}`);
}
