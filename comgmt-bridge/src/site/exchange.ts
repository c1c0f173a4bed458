import { ConnectorError, ProtocolError } from "@isthmus/shared/errors";
import type { RawAnswer, SiteConnection, SiteConnections } from "./site-connection.ts";
import type { SiteLimits } from "./site-settings.ts";

export interface Exchange {
  readonly connections: SiteConnections;
  readonly host: string;
  readonly method: "GET" | "POST";
  readonly path: string;
  /** The `Authorization` header on a connection to the server with this certificate (DER). */
  readonly authorization: (certificate: Buffer | undefined) => string;
  readonly body?: Buffer | undefined;
  readonly limits: SiteLimits;
  readonly signal: AbortSignal;
}

/**
 * One request and its whole answer. Throws ConnectorError `site-unreachable`, `site-certificate`, `site-pin` where nothing was
 * sent; `site-timeout`, `site-interrupted` (retryable), `site-answer-too-large` where a GET was; `site-outcome-unknown` where a POST was; the
 * signal's reason.
 */
export async function exchange(of: Exchange): Promise<RawAnswer> {
  of.signal.throwIfAborted();
  const { connections, host, limits } = of;
  const giving = new AbortController();
  let connection: SiteConnection | undefined;
  const end = (reason: unknown) => {
    giving.abort(reason);
    connection?.destroy(asError(reason));
  };
  using times = new Times(end);
  times.start(limits.timeoutMs, `${host} gave no whole answer in ${limits.timeoutMs} ms`);
  const onAbort = () => end(of.signal.reason);
  of.signal.addEventListener("abort", onAbort, { once: true });
  let isSent = false;
  try {
    connection = await connections.take(giving.signal);
    giving.signal.throwIfAborted();
    // Only now is it known which server this is, and a ticket is for that one.
    const request = requestOf(of, of.authorization(connection.certificate));
    isSent = true;
    const onHead = () => times.endFirst();
    const answer = connection.ask(request, { maxBytes: limits.maxAnswerBytes, onHead });
    const words = `${host} sent nothing for ${limits.firstByteTimeoutMs} ms`;
    times.startFirst(limits.firstByteTimeoutMs, words);
    const whole = await answer;
    connections.giveBack(connection);
    return whole;
  } catch (cause) {
    connection?.destroy();
    const failure = of.signal.aborted ? of.signal.reason : (times.late ?? failureOf(host, cause));
    throw isSent && of.method === "POST" ? outcomeUnknown(host, failure) : failure;
  } finally {
    of.signal.removeEventListener("abort", onAbort);
  }
}

/** Nobody knows whether the site did it: to be looked up at the site before anything is repeated. */
export function outcomeUnknown(host: string, cause: unknown): ConnectorError {
  return new ConnectorError(
    "site-outcome-unknown",
    `the request was sent to ${host}, and its answer did not come: what became of it has to be read from the site`,
    { cause },
  );
}

const TARGET = /^[\x21-\x7e]+$/;
const FIELD_VALUE = /^[\x20-\x7e]*$/;

/** In octets, one a character. What could end a line and begin another goes into none. */
function requestOf({ host, method, path, body }: Exchange, authorization: string): string | Buffer {
  if (!TARGET.test(path) || !FIELD_VALUE.test(`${host}${authorization}`)) {
    throw new ConnectorError(
      "site-request-invalid",
      "the path, the host or the credential has characters that a request may not have",
    );
  }
  const lines = [
    `${method} ${path} HTTP/1.1`,
    `host: ${host}`,
    "accept: application/json",
    "user-agent: isthmus-comgmt-bridge",
    `authorization: ${authorization}`,
    ...(body === undefined
      ? []
      : ["content-type: application/json", `content-length: ${body.length}`]),
  ];
  const head = `${lines.join("\r\n")}\r\n\r\n`;
  return body === undefined ? head : Buffer.concat([Buffer.from(head, "latin1"), body]);
}

function failureOf(host: string, cause: unknown): ConnectorError {
  if (cause instanceof ConnectorError && !(cause instanceof ProtocolError)) return cause;
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
