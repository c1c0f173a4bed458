import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from "node:http";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { TLSSocket } from "node:tls";
import { ConnectorError } from "../errors.ts";
import { wholeBody } from "../link/message-body.ts";

/** Our own limit: a host that swallows packets must leave time to try the next. */
const CONNECT_TIMEOUT_MS = 5_000;

export interface OutboundHttpOptions {
  /** Base addresses of one service. The next is tried where one cannot be connected to. */
  readonly urls: readonly string[];
  /** For one attempt, from the connection to the last byte of the answer. */
  readonly timeoutMs: number;
  /** A longer answer is refused. */
  readonly maxAnswerBytes: number;
  /** PEM. Where given nothing else is trusted; else what the system trusts. */
  readonly trusted?: string | undefined;
  /** PEM: what we show of ourselves. */
  readonly client?: { readonly certificate: string; readonly key: string } | undefined;
}

export interface OutboundRequest {
  readonly method: "GET" | "POST" | "PUT";
  /** Added to the base address. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Makes the `Authorization` header once the connection is made, for credentials that are bound to it. */
  readonly authorize?: (connection: OutboundConnection) => Promise<string>;
  readonly signal?: AbortSignal | undefined;
}

/** Where a request is about to go. */
export interface OutboundConnection {
  readonly host: string;
  /** DER, of the server; undefined without TLS. */
  readonly serverCertificate: Buffer | undefined;
}

export interface OutboundAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/**
 * HTTP requests to one service that the configuration names: bounded answers, a time limit, no redirects, no connection
 * kept. A request that was sent is never sent again by itself, for nobody knows what became of it.
 */
export class OutboundHttp implements Disposable {
  readonly #options: OutboundHttpOptions;
  readonly #stop = new AbortController();

  constructor(options: OutboundHttpOptions) {
    this.#options = options;
  }

  /**
   * Any status is an answer. Throws ConnectorError `http-unreachable` where nothing was sent, `http-interrupted` or
   * `http-timeout` where it may have been (all retryable), `http-answer-too-large`.
   */
  async send(of: OutboundRequest): Promise<OutboundAnswer> {
    let unreachable: unknown;
    for (const url of this.#options.urls) {
      try {
        return await this.#attempt(new URL(joined(url, of.path)), of);
      } catch (error) {
        const isUnsent = error instanceof ConnectorError && error.code === "http-unreachable";
        if (!isUnsent || of.signal?.aborted) throw error;
        unreachable = error;
      }
    }
    throw unreachable;
  }

  async #attempt(url: URL, of: OutboundRequest): Promise<OutboundAnswer> {
    const { timeoutMs, maxAnswerBytes, trusted, client } = this.#options;
    const timeout = AbortSignal.timeout(timeoutMs);
    const signals = [this.#stop.signal, timeout, ...(of.signal === undefined ? [] : [of.signal])];
    const isTls = url.protocol === "https:";
    const request = (isTls ? httpsRequest : httpRequest)(url, {
      method: of.method,
      headers: { ...lengthOf(of.body), ...of.headers },
      agent: false,
      signal: AbortSignal.any(signals),
      ...(trusted !== undefined && { ca: trusted }),
      ...(client !== undefined && { cert: client.certificate, key: client.key }),
    });
    const connection = watchConnection(request, isTls ? "secureConnect" : "connect");
    const response = Promise.withResolvers<IncomingMessage>();
    request.once("response", response.resolve);
    request.on("error", response.reject);
    try {
      if (of.authorize !== undefined) {
        const made = Promise.race([connection.made, response.promise]);
        const header = await made.then(() => of.authorize?.(connectionOf(url, request)));
        if (header !== undefined) request.setHeader("authorization", header);
      }
      request.end(of.body);
      const { statusCode = 0, headers } = await response.promise;
      const body = await wholeBody(await response.promise, {
        maxBytes: maxAnswerBytes,
        code: "http-answer-too-large",
      });
      return { status: statusCode, headers, body };
    } catch (cause) {
      request.destroy();
      if (cause instanceof ConnectorError) throw cause;
      throw failure(url, cause, { isConnected: connection.isMade, isLate: timeout.aborted });
    } finally {
      connection[Symbol.dispose]();
    }
  }

  /** Requests under way fail. */
  [Symbol.dispose](): void {
    this.#stop.abort();
  }
}

function joined(base: string, path: string): string {
  return path === "" ? base : `${base.replace(/\/+$/, "")}${path}`;
}

function lengthOf(body: OutboundRequest["body"]): Record<string, number> {
  return body === undefined ? {} : { "content-length": Buffer.byteLength(body) };
}

/** Until it is made, nothing of the request has left. */
function watchConnection(request: ClientRequest, event: "connect" | "secureConnect") {
  const made = Promise.withResolvers<void>();
  const connection = {
    isMade: false,
    made: made.promise,
    [Symbol.dispose]: () => clearTimeout(timer),
  };
  const timer = setTimeout(
    () => request.destroy(new Error(`no connection within ${CONNECT_TIMEOUT_MS} ms`)),
    CONNECT_TIMEOUT_MS,
  );
  request.once("socket", (socket) =>
    socket.once(event, () => {
      connection.isMade = true;
      made.resolve();
      clearTimeout(timer);
    }),
  );
  return connection;
}

function connectionOf({ hostname }: URL, { socket }: ClientRequest): OutboundConnection {
  const certificate = socket instanceof TLSSocket ? socket.getPeerCertificate(true) : undefined;
  return { host: hostname.replace(/^\[|\]$/g, ""), serverCertificate: certificate?.raw };
}

function failure(
  { host }: URL,
  cause: unknown,
  { isConnected, isLate }: { readonly isConnected: boolean; readonly isLate: boolean },
): ConnectorError {
  const details = { isRetryable: true, cause };
  if (!isConnected) {
    return new ConnectorError(
      "http-unreachable",
      `${host} cannot be reached: ${reasonOf(cause)}`,
      details,
    );
  }
  if (isLate) return new ConnectorError("http-timeout", `${host} did not answer in time`, details);
  return new ConnectorError(
    "http-interrupted",
    `the connection to ${host} ended before the answer: ${reasonOf(cause)}`,
    details,
  );
}

/** Node's and OpenSSL's own words, which name no secret; several addresses of one host fail together. */
function reasonOf(cause: unknown): string {
  if (cause instanceof AggregateError) return cause.errors.map(reasonOf).join(", ");
  if (!(cause instanceof Error)) return String(cause);
  // An alert of TLS: OpenSSL's message names its source file, the reason alone is a sentence.
  return "reason" in cause && typeof cause.reason === "string" ? cause.reason : cause.message;
}
