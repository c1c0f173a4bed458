import type { X509Certificate } from "node:crypto";
import { Agent, type ClientRequestArgs } from "node:http";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError, codeOf } from "@isthmus/shared/errors";
import { connectToCloud, hostOf } from "@isthmus/shared/link/cloud-address";
import { chainOf, requirePinned } from "./certificate-pin.ts";
import type { SiteSettings } from "./site-settings.ts";

/** What all connections are read through, one piece at a time: the HTTP parser copies what it hands on. A TLS record has 16 KiB. */
const READ = Buffer.alloc(65_536);
/** Own limit: http.sys ends an idle connection after two minutes; ours ends first, so that no request meets its end. */
const IDLE_MS = 30_000;

type ConnectionSettings = Pick<SiteSettings, "url" | "ca" | "pin"> & {
  readonly limits: Pick<SiteSettings["limits"], "connectTimeoutMs" | "maxInFlight">;
};

/** Kept connections to one provider. No byte of a request leaves before certificate and pin are checked. */
export class SiteAgent extends Agent {
  readonly #settings: ConnectionSettings;
  readonly #clock: Clock;
  readonly #stop: AbortSignal;

  constructor(settings: ConnectionSettings, clock: Clock, stop: AbortSignal) {
    super({ keepAlive: true, maxSockets: settings.limits.maxInFlight, timeout: IDLE_MS });
    this.#settings = settings;
    this.#clock = clock;
    this.#stop = stop;
  }

  override createConnection(
    _options: ClientRequestArgs,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): null {
    connectToSite(this.#settings, this.#clock, this.#stop).then(
      (socket) => callback?.(null, socket),
      // Node takes no stream beside an error, its types do.
      (error: Error) => (callback as ((error: Error) => void) | undefined)?.(error),
    );
    return null;
  }
}

/** Throws ConnectorError `site-unreachable` (retryable), `site-certificate`, `site-pin`. */
export async function connectToSite(
  { url: text, ca, pin, limits }: ConnectionSettings,
  clock: Clock,
  stop: AbortSignal,
): Promise<TLSSocket> {
  const url = new URL(text);
  const signal = AbortSignal.any([stop, AbortSignal.timeout(limits.connectTimeoutMs)]);
  // The pin alone decides where no CA is given: requirePinned checks signatures, dates and name itself.
  const isUnverified = pin !== undefined && ca === undefined;
  let socket: TLSSocket;
  try {
    socket = (await connectToCloud(
      { url, ca, isUnverified, readThrough: READ },
      signal,
    )) as TLSSocket;
  } catch (cause) {
    throw asSiteError(url.host, cause);
  }
  try {
    if (pin !== undefined) {
      requirePinned(chainOf(socket), { pin, host: hostOf(url), now: clock.now() });
    }
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** What the provider shows, believed or not: for a person to compare. Throws ConnectorError `site-unreachable`. */
export async function shownChain(
  { url, limits }: ConnectionSettings,
  stop: AbortSignal,
): Promise<X509Certificate[]> {
  const signal = AbortSignal.any([stop, AbortSignal.timeout(limits.connectTimeoutMs)]);
  const address = { url: new URL(url), isUnverified: true };
  try {
    const socket = (await connectToCloud(address, signal)) as TLSSocket;
    const chain = chainOf(socket);
    socket.destroy();
    return chain;
  } catch (cause) {
    throw asSiteError(new URL(url).host, cause);
  }
}

/** Node's own code, such as ERR_TLS_CERT_ALTNAME_INVALID. */
function reasonOf({ cause }: { readonly cause?: unknown }): string {
  return cause instanceof Error && "code" in cause ? ` (${cause.code})` : "";
}

function asSiteError(host: string, cause: unknown): ConnectorError {
  if (cause instanceof Error && codeOf(cause) === "cloud-certificate") {
    return new ConnectorError(
      "site-certificate",
      `the certificate of ${host} does not verify${reasonOf(cause)}: give the site's "SMS Issuing" root as site.caFile or its key as site.pin, use the name the certificate is for, and check the clock`,
      { cause },
    );
  }
  return new ConnectorError(
    "site-unreachable",
    `${host} cannot be connected to: check site.url, name resolution, the firewall, and that the SMS provider runs`,
    { isRetryable: true, cause },
  );
}
