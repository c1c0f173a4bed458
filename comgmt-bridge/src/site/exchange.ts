import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { request as httpRequest } from "node:http";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { ConnectorError } from "@isthmus/shared/errors";
import { type AnswerBody, readBody } from "./answer-body.ts";
import type { SiteAgent } from "./site-connection.ts";
import type { SiteLimits } from "./site-settings.ts";

export interface Exchange {
  readonly agent: SiteAgent;
  readonly host: string;
  readonly method: "GET" | "POST";
  readonly path: string;
  /** The `Authorization` header on a connection to the server with this certificate (DER). */
  readonly authorization: (certificate: Buffer | undefined) => string;
  readonly body?: Buffer | undefined;
  readonly limits: SiteLimits;
  readonly signal: AbortSignal;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: AnswerBody;
}

/**
 * One request and its whole answer. Throws ConnectorError `site-unreachable`, `site-certificate`, `site-pin` where nothing was
 * sent; `site-timeout`, `site-interrupted` (retryable), `site-answer-too-large` where a GET was; `site-outcome-unknown` where a POST was; the
 * signal's reason.
 */
export async function exchange(of: Exchange): Promise<RawAnswer> {
  of.signal.throwIfAborted();
  const { limits } = of;
  const request = httpRequest({
    agent: of.agent,
    method: of.method,
    path: of.path,
    setHost: false,
    headers: headersOf(of),
  });
  using times = new Times((error) => request.destroy(error));
  times.start(limits.timeoutMs, `${of.host} gave no whole answer in ${limits.timeoutMs} ms`);
  const answer = Promise.withResolvers<IncomingMessage>();
  request.once("response", answer.resolve);
  request.on("error", answer.reject);
  let isSent = false;
  request.once("socket", (socket) => {
    try {
      // Only now is it known which server this is, and a ticket is for that one.
      request.setHeader("authorization", of.authorization(certificateOf(socket)));
    } catch (error) {
      request.destroy(asError(error));
      return;
    }
    isSent = true;
    request.end(of.body);
    const words = `${of.host} sent nothing for ${limits.firstByteTimeoutMs} ms`;
    times.startFirst(limits.firstByteTimeoutMs, words);
  });
  const onAbort = () => request.destroy(asError(of.signal.reason));
  of.signal.addEventListener("abort", onAbort, { once: true });
  try {
    const response = await answer.promise;
    times.endFirst();
    const body = await readBody(response, limits.maxAnswerBytes);
    return { status: response.statusCode ?? 0, headers: response.headers, body };
  } catch (cause) {
    request.destroy();
    const failure = of.signal.aborted
      ? of.signal.reason
      : (times.late ?? failureOf(of.host, cause));
    throw isSent && of.method === "POST" ? outcomeUnknown(of.host, failure) : failure;
  } finally {
    of.signal.removeEventListener("abort", onAbort);
  }
}

/** Of connections that are kept: reading it anew for each request would cost more than many a request. */
const certificates = new WeakMap<Socket, Buffer>();

/** Not getPeerX509Certificate: of one connection Node 24 gives it once, and nothing for the next request. */
function certificateOf(socket: Socket): Buffer | undefined {
  const known = certificates.get(socket);
  if (known !== undefined) return known;
  const { raw } = (socket as TLSSocket).getPeerCertificate();
  if (raw !== undefined) certificates.set(socket, raw);
  return raw;
}

/** Nobody knows whether the site did it: to be looked up at the site before anything is repeated. */
export function outcomeUnknown(host: string, cause: unknown): ConnectorError {
  return new ConnectorError(
    "site-outcome-unknown",
    `the request was sent to ${host}, and its answer did not come: what became of it has to be read from the site`,
    { cause },
  );
}

function headersOf({ host, body }: Exchange): Record<string, string | number> {
  return {
    host,
    accept: "application/json",
    "user-agent": "isthmus-comgmt-bridge",
    ...(body !== undefined && {
      "content-type": "application/json",
      "content-length": body.length,
    }),
  };
}

function failureOf(host: string, cause: unknown): ConnectorError {
  if (cause instanceof ConnectorError) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new ConnectorError(
    "site-interrupted",
    `the connection to ${host} ended before the whole answer: ${reason}`,
    { isRetryable: true, cause },
  );
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error("given up");
}

/** The two times that run during an exchange; the connection has its own. */
class Times implements Disposable {
  late: ConnectorError | undefined;
  readonly #end: (error: ConnectorError) => void;
  #whole: NodeJS.Timeout | undefined;
  #first: NodeJS.Timeout | undefined;

  constructor(end: (error: ConnectorError) => void) {
    this.#end = end;
  }

  start(ms: number, words: string): void {
    this.#whole = this.#timer(ms, words);
  }

  startFirst(ms: number, words: string): void {
    this.#first = this.#timer(ms, words);
  }

  endFirst(): void {
    clearTimeout(this.#first);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#whole);
    clearTimeout(this.#first);
  }

  #timer(ms: number, words: string): NodeJS.Timeout {
    return setTimeout(() => {
      this.late = new ConnectorError(
        "site-timeout",
        `${words}: the SMS provider behind it may be down; see the SMS_REST_PROVIDER component`,
        { isRetryable: true },
      );
      this.#end(this.late);
    }, ms);
  }
}
