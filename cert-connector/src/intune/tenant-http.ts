import { ConnectorError } from "@isthmus/shared/errors";
import { type CloudAnswer, CloudHttp } from "@isthmus/shared/link/cloud-http";
import type { TenantSettings } from "./tenant-settings.ts";

/** Our own limits. An answer with 500 revocation requests has about 300 kB. */
const MAX_ANSWER_BYTES = 4_194_304;
/** Login, Graph and the services that discovery names; a tenant that moves leaves a few more behind. */
const MAX_ORIGINS = 16;
/** An answer of Intune takes some hundred ms: so many make a fleet's morning short. */
const MAX_SOCKETS = 32;

export interface TenantRequest {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

/**
 * HTTPS to the hosts of one tenant, over kept connections, through its proxy and with its CA. Redirects are not followed.
 */
export class TenantHttp implements Disposable {
  readonly #settings: Pick<TenantSettings, "name" | "ca" | "proxy" | "timeoutMs">;
  readonly #origins = new Map<string, CloudHttp>();

  constructor(settings: Pick<TenantSettings, "name" | "ca" | "proxy" | "timeoutMs">) {
    this.#settings = settings;
  }

  /** Throws ConnectorError `intune-unreachable` (retryable), `intune-certificate` (retryable), `proxy-*`. */
  async send({ method, url, headers, body }: TenantRequest): Promise<CloudAnswer> {
    const path = `${url.pathname}${url.search}`;
    const limits = { maxAnswerBytes: MAX_ANSWER_BYTES, timeoutMs: this.#settings.timeoutMs };
    const http = this.#originOf(url);
    try {
      return await http.send({ method, path, headers, ...limits, ...(body && { body }) });
    } catch (error) {
      throw asTenantError(this.#settings, url, error);
    }
  }

  [Symbol.dispose](): void {
    for (const http of this.#origins.values()) http[Symbol.dispose]();
    this.#origins.clear();
  }

  #originOf(url: URL): CloudHttp {
    const known = this.#origins.get(url.origin);
    if (known !== undefined) return known;
    if (this.#origins.size >= MAX_ORIGINS) this[Symbol.dispose]();
    const { ca, proxy } = this.#settings;
    const address = { url: new URL(url.origin), ca, proxy };
    const made = new CloudHttp(address, { maxSockets: MAX_SOCKETS });
    this.#origins.set(url.origin, made);
    return made;
  }
}

function asTenantError(
  { name: tenant, timeoutMs }: Pick<TenantSettings, "name" | "timeoutMs">,
  { host }: URL,
  cause: unknown,
): unknown {
  if (!(cause instanceof ConnectorError) || cause.code.startsWith("proxy-")) return cause;
  if (cause.code === "cloud-certificate") {
    return new ConnectorError(
      "intune-certificate",
      `tenant ${tenant}: the certificate of ${host} does not verify: check tenants.${tenant}.caFile, the clock, and whether a proxy breaks TLS open`,
      { isRetryable: true, cause },
    );
  }
  const what =
    cause.code === "cloud-http-too-large"
      ? `the answer of ${host} is longer than ${MAX_ANSWER_BYTES} bytes`
      : `${host} gave no whole answer within ${timeoutMs / 1_000} s: check name resolution, firewall and proxy`;
  return new ConnectorError("intune-unreachable", `tenant ${tenant}: ${what}`, {
    isRetryable: true,
    cause,
  });
}
