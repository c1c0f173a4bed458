import type { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError, codeOf } from "@isthmus/shared/errors";
import { connectToCloud, hostOf } from "@isthmus/shared/link/cloud-address";
import type { AnswerHeaders } from "../protocol/http/answer-head.ts";
import { AnswerReader } from "../protocol/http/answer-reader.ts";
import { AnswerBody } from "./answer-body.ts";
import { chainOf, requirePinned } from "./certificate-pin.ts";
import { Deadline } from "./deadline.ts";
import type { SiteSettings } from "./site-settings.ts";

/** What all connections are read through, one piece at a time: what is kept of an answer is copied. A TLS record has 16 KiB. */
const READ = Buffer.alloc(65_536);
/** Own limit: http.sys ends an idle connection after two minutes; ours ends first, so that no request meets its end. */
const IDLE_MS = 30_000;
/** How much earlier than the server a connection is ended that it keeps for a stated time. */
const EARLIER_MS = 1_000;

type ConnectionSettings = Pick<SiteSettings, "url" | "ca" | "pin"> & {
  readonly limits: Pick<SiteSettings["limits"], "connectTimeoutMs" | "maxInFlight">;
};

export interface RawAnswer {
  readonly status: number;
  readonly headers: AnswerHeaders;
  readonly body: AnswerBody;
}

interface Asked {
  readonly reader: AnswerReader;
  readonly answer: PromiseWithResolvers<RawAnswer>;
  readonly onHead: () => void;
}

/** A connection to the server of a certificate that was checked. It carries one request at a time. */
export class SiteConnection {
  readonly #socket: TLSSocket;
  #certificate: Buffer | undefined;
  #asked: Asked | undefined;
  #keptMs = 0;

  constructor(socket: TLSSocket) {
    this.#socket = socket;
    socket.on("data", (bytes: Buffer) => this.#take(bytes));
    socket.on("end", () => this.#end());
    socket.on("error", (error) => this.destroy(error));
    socket.on("timeout", () => this.destroy());
    socket.on("close", () => this.#fail(new Error("the connection was closed")));
  }

  /** DER. */
  get certificate(): Buffer | undefined {
    // Not getPeerX509Certificate: of one connection Node 24 gives it once, and nothing for the next request.
    this.#certificate ??= this.#socket.getPeerCertificate().raw;
    return this.#certificate;
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed;
  }

  /** Sends a request. Rejects with what the answer's reader throws, and with what ended the connection. */
  ask(
    request: string | Buffer,
    { maxBytes, onHead }: { readonly maxBytes: number; readonly onHead: () => void },
  ): Promise<RawAnswer> {
    const answer = Promise.withResolvers<RawAnswer>();
    this.#asked = { reader: new AnswerReader(maxBytes), answer, onHead };
    if (this.isOpen) this.#socket.write(request, "latin1");
    else this.#fail(new Error("the connection was closed"));
    return answer.promise;
  }

  /** Waits for another request as long as both sides keep it; whether they do. */
  rest(): boolean {
    if (!this.isOpen || this.#keptMs <= 0) return false;
    this.#socket.setTimeout(this.#keptMs);
    this.#socket.unref();
    return true;
  }

  wake(): void {
    this.#socket.setTimeout(0);
    this.#socket.ref();
  }

  destroy(cause: Error = new Error("the connection was closed")): void {
    this.#socket.destroy();
    this.#fail(cause);
  }

  #take(bytes: Buffer): void {
    // Nothing was asked: whatever it says, the next request is not what it answers.
    if (this.#asked === undefined) {
      this.destroy();
      return;
    }
    const { reader, onHead } = this.#asked;
    const hadHead = reader.head !== undefined;
    try {
      reader.push(bytes);
      if (!hadHead && reader.head !== undefined) onHead();
      if (reader.isWhole) this.#finish(reader);
    } catch (error) {
      this.destroy(error as Error);
    }
  }

  #end(): void {
    const reader = this.#asked?.reader;
    try {
      reader?.end();
      if (reader !== undefined) this.#finish(reader);
      this.destroy();
    } catch (error) {
      this.destroy(error as Error);
    }
  }

  #finish(reader: AnswerReader): void {
    const asked = this.#asked;
    if (reader.head === undefined || asked === undefined) return;
    this.#asked = undefined;
    const { status, headers, keptMs = IDLE_MS + EARLIER_MS } = reader.head;
    this.#keptMs = reader.hasMore ? 0 : Math.min(IDLE_MS, keptMs - EARLIER_MS);
    asked.answer.resolve({ status, headers, body: new AnswerBody(reader.takeBody()) });
  }

  #fail(cause: Error): void {
    const asked = this.#asked;
    this.#asked = undefined;
    asked?.answer.reject(cause);
  }
}

/** Connections to one provider, kept for the next request. No byte of a request leaves before certificate and pin are checked. */
export class SiteConnections implements Disposable {
  readonly #settings: ConnectionSettings;
  readonly #clock: Clock;
  readonly #stop: AbortSignal;
  /** The one that was used last is used next, so that no more are kept than it takes. */
  readonly #resting: SiteConnection[] = [];

  constructor(settings: ConnectionSettings, clock: Clock, stop: AbortSignal) {
    this.#settings = settings;
    this.#clock = clock;
    this.#stop = stop;
  }

  /** One for a single request. Throws what `connectToSite` throws. */
  async take(signal: AbortSignal): Promise<SiteConnection> {
    for (let kept = this.#resting.pop(); kept !== undefined; kept = this.#resting.pop()) {
      if (!kept.isOpen) continue;
      kept.wake();
      return kept;
    }
    const stop = AbortSignal.any([this.#stop, signal]);
    return new SiteConnection(await connectToSite(this.#settings, this.#clock, stop));
  }

  /** Its answer came whole. */
  giveBack(connection: SiteConnection): void {
    const { maxInFlight } = this.#settings.limits;
    const hasRoom = this.#resting.length < maxInFlight && !this.#stop.aborted;
    if (hasRoom && connection.rest()) this.#resting.push(connection);
    else connection.destroy();
  }

  [Symbol.dispose](): void {
    for (const connection of this.#resting.splice(0)) connection.destroy();
  }
}

/** Throws ConnectorError `site-unreachable` (retryable), `site-certificate`, `site-pin`. */
export async function connectToSite(
  { url: text, ca, pin, limits }: ConnectionSettings,
  clock: Clock,
  stop: AbortSignal,
): Promise<TLSSocket> {
  const url = new URL(text);
  // Over with the handshake, unlike AbortSignal.timeout: a connection may live long, and there may be many.
  using deadline = new Deadline(limits.connectTimeoutMs);
  const signal = AbortSignal.any([stop, deadline.signal]);
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
  using deadline = new Deadline(limits.connectTimeoutMs);
  const signal = AbortSignal.any([stop, deadline.signal]);
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

/** The system's own code, such as ENOTFOUND or ECONNREFUSED: it tells a wrong name from a closed port. */
function networkReason(cause: unknown): string {
  for (let error = cause; error instanceof Error; error = error.cause) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (code !== undefined && syscall !== undefined) return ` (${code})`;
  }
  return "";
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
    `${host} cannot be connected to${networkReason(cause)}: check site.url, name resolution, the firewall, and that the SMS provider runs`,
    { isRetryable: true, cause },
  );
}
