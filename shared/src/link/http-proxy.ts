import type { IncomingMessage } from "node:http";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Socket } from "node:net";
import { ConnectorError } from "../errors.ts";

/** An HTTP proxy between the connector and the control plane. */
export interface HttpProxy {
  /** `http://host:port` or `https://host:port`. */
  readonly url: string;
  readonly credentials?: { readonly user: string; readonly password: string } | undefined;
}

/**
 * A tunnel to `host:port` through a proxy (HTTP CONNECT, RFC 9110 section 9.3.6; Basic credentials, RFC 7617). Throws
 * `proxy-unreachable` (retryable), `proxy-credentials`, `proxy-authentication-unsupported`, `proxy-refused` (retryable).
 */
export async function connectThroughProxy(
  proxy: HttpProxy,
  target: { readonly host: string; readonly port: number },
  signal: AbortSignal,
): Promise<Socket> {
  const url = new URL(proxy.url);
  const authority = `${target.host.includes(":") ? `[${target.host}]` : target.host}:${target.port}`;
  const request = (url.protocol === "https:" ? httpsRequest : httpRequest)({
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port || (url.protocol === "https:" ? 443 : 80),
    method: "CONNECT",
    path: authority,
    headers: { host: authority, ...authorization(proxy) },
    agent: false,
    signal,
  });
  const answer = Promise.withResolvers<{ response: IncomingMessage; socket: Socket }>();
  request.once("connect", (response, socket: Socket, head) => {
    if (head.length > 0) socket.unshift(head);
    answer.resolve({ response, socket });
  });
  request.once("response", (response) => {
    answer.resolve({ response, socket: response.socket });
  });
  request.once("error", (cause) => answer.reject(unreachable(url, cause)));
  request.end();
  const { response, socket } = await answer.promise;
  if (response.statusCode === 200) return socket;
  socket.destroy();
  throw refusalOf(url, authority, response, proxy.credentials !== undefined);
}

function authorization({ credentials }: HttpProxy): Record<string, string> {
  if (credentials === undefined) return {};
  const { user, password } = credentials;
  return {
    "proxy-authorization": `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`,
  };
}

function unreachable(url: URL, cause: unknown): ConnectorError {
  return new ConnectorError("proxy-unreachable", `proxy ${url.host} cannot be reached`, {
    isRetryable: true,
    cause,
  });
}

function refusalOf(
  url: URL,
  authority: string,
  response: IncomingMessage,
  hasCredentials: boolean,
): ConnectorError {
  // tinyproxy 1.11 answers 401, with WWW-Authenticate, to credentials that it does not accept.
  const offered = ["proxy-authenticate", "www-authenticate"]
    .flatMap((name) => response.headers[name] ?? [])
    .join(", ");
  if (response.statusCode !== 407 && response.statusCode !== 401) {
    return new ConnectorError(
      "proxy-refused",
      `proxy ${url.host} answered ${response.statusCode} to CONNECT ${authority}`,
      { isRetryable: true },
    );
  }
  if (/\bbasic\b/i.test(offered)) {
    const what = hasCredentials ? "does not accept the given" : "asks for";
    return new ConnectorError("proxy-credentials", `proxy ${url.host} ${what} credentials`);
  }
  const schemes = offered.match(/\b(negotiate|ntlm|digest|bearer)\b/gi)?.join(", ") ?? "nothing";
  return new ConnectorError(
    "proxy-authentication-unsupported",
    `proxy ${url.host} offers ${schemes}; only Basic is supported: give the connector a Basic account or an exception`,
  );
}
