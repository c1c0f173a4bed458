import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { ConnectorError } from "@isthmus/shared/errors";
import type { CheckResult } from "@isthmus/shared/kernel/service-definition";
import type { LocalRules } from "../core/access.ts";
import { isMember } from "../core/destination.ts";
import { formatAddress, type IpAddress, parseAddress } from "../core/ip-address.ts";
import type { Resolver } from "../core/ports.ts";

/** Microsoft Tunnel asks as often. */
const PROBE_EVERY_MS = 300_000;
const TIMEOUT_MS = 10_000;

export interface NetworkProbeOptions {
  /** As the desired configuration has it now. */
  readonly url: () => string | undefined;
  readonly resolver: Resolver;
  /** The default-deny list and the guardrails' bound hold for the probe too: the cloud chooses its address. */
  readonly local: () => LocalRules;
}

/** Asks an internal site every five minutes whether it answers, as a client behind the gateway would. */
export class NetworkProbe implements Disposable {
  readonly #options: NetworkProbeOptions;
  readonly #stop = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #asked: string | undefined;
  #fault: string | undefined;
  #probing: Promise<void> | undefined;

  constructor(options: NetworkProbeOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.probe(), PROBE_EVERY_MS).unref();
  }

  /** 0 it answered, 1 it did not; NaN, which is not reported, where nothing was asked. */
  get figure(): number {
    if (this.#asked === undefined || this.#asked !== this.#options.url()) return Number.NaN;
    return this.#fault === undefined ? 0 : 1;
  }

  check(): CheckResult {
    const url = this.#options.url();
    if (url === undefined) {
      return { status: "healthy", reason: "no vpn.internalNetworkProbeUrl is configured" };
    }
    if (this.#asked !== url) return { status: "healthy", reason: `${url} was not asked yet` };
    if (this.#fault === undefined) return { status: "healthy", reason: `${url} answers` };
    const remedy = "mend the gateway's routes, name servers or the site that is asked";
    return { status: "warning", reason: `${url}: ${this.#fault}`, remedy };
  }

  /** After a configuration came into force: another address is asked at once. */
  configured(): void {
    if (this.#options.url() !== this.#asked) void this.probe();
  }

  /** Asks now, once at a time. */
  async probe(): Promise<void> {
    this.#probing ??= this.#ask().finally(() => {
      this.#probing = undefined;
    });
    await this.#probing;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#stop.abort();
  }

  async #ask(): Promise<void> {
    const text = this.#options.url();
    if (text === undefined || this.#stop.signal.aborted) return;
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(TIMEOUT_MS)]);
    let fault: string | undefined;
    try {
      await this.#get(new URL(text), signal);
    } catch (error) {
      fault = signal.aborted ? "no answer in time" : reasonOf(error);
    }
    this.#asked = text;
    this.#fault = fault;
    if (this.#options.url() !== text) await this.#ask();
  }

  /** Any answer is one: it is the way there that is tried, and nothing that comes back is believed. */
  async #get(url: URL, signal: AbortSignal): Promise<void> {
    const address = await this.#addressOf(url, signal);
    const isTls = url.protocol === "https:";
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const ask = isTls ? requestHttps : requestHttp;
    const request = ask({
      host: formatAddress(address),
      port: portOf(url),
      path: `${url.pathname}${url.search}`,
      headers: { host: url.host, "user-agent": "isthmus-probe" },
      agent: false,
      signal,
      ...(isTls ? { servername: nameOf(url), rejectUnauthorized: false } : {}),
    });
    request.once("response", (response) => {
      response.destroy();
      resolve();
    });
    request.on("error", reject);
    request.end();
    await promise;
  }

  /** The first address of the name that the gateway may connect to. */
  async #addressOf(url: URL, signal: AbortSignal): Promise<IpAddress> {
    const host = url.hostname.replace(/^\[|\]$/g, "");
    const literal = parseAddress(host);
    const addresses = literal ? [literal] : await this.#options.resolver.resolve(host, signal);
    const { egress, bound } = this.#options.local();
    const port = portOf(url);
    const name = literal ? undefined : host;
    const allowed = addresses.find((address) => {
      const isBound = bound?.some((set) => isMember(set, { address, port, name })) ?? true;
      return isBound && egress.judge(address, port) === undefined;
    });
    if (allowed) return allowed;
    const message = `the gateway may not connect to ${addresses.map(formatAddress).join(", ")}`;
    throw new ConnectorError("egress-forbidden", message);
  }
}

function portOf(url: URL): number {
  return url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port);
}

/** TLS has no server name for addresses (RFC 6066 section 3). */
function nameOf(url: URL): string {
  return parseAddress(url.hostname.replace(/^\[|\]$/g, "")) ? "" : url.hostname;
}

function reasonOf(error: unknown): string {
  if (error instanceof ConnectorError) return error.message;
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? message;
}
