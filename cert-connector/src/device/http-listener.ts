import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { ConnectorError } from "@isthmus/shared/errors";
import { MAX_PKI_MESSAGE_BYTES } from "../protocol/scep-message.ts";
import { type HttpAnswer, plainAnswer } from "./http-answer.ts";
import type { PublicationHandler } from "./publication-handler.ts";
import type { ScepHandler } from "./scep-handler.ts";
import type { ShadowMode } from "./shadow-mode.ts";

/** Our own limits. A SCEP message in the query of a GET is in the head. */
const MAX_HEAD_BYTES = 81_920;
const MAX_CONNECTIONS = 4_096;
const MAX_REQUESTS_IN_FLIGHT = 512;
/** A client that sends requests without waiting for answers takes no more places than this. */
const MAX_PIPELINED = 16;
const MAX_REQUESTS_PER_CONNECTION = 1_000;
const HEAD_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
const KEEP_ALIVE_TIMEOUT_MS = 15_000;
const CHECK_INTERVAL_MS = 2_000;
const RETRY_AFTER_SECONDS = 5;
const CLOSE_WITHIN_MS = 2_000;

export interface HttpListenerParts {
  readonly address: string;
  readonly port: number;
  readonly scep: ScepHandler;
  readonly publication: PublicationHandler;
  /** Whether a configuration is in force: without one nobody knows what is to be served. */
  readonly isConfigured: () => boolean;
  /** Takes what comes under NDES's own path, where shadow mode is on. */
  readonly shadow?: ShadowMode | undefined;
  /** An answer failed for no fault of the client. */
  readonly onFault: (error: unknown) => void;
  /** Set in tests of the limits. */
  readonly maxRequestsInFlight?: number;
  readonly maxConnections?: number;
  readonly headTimeoutMs?: number;
  readonly requestTimeoutMs?: number;
}

/** The listener of devices and relying parties. */
export interface HttpListener extends AsyncDisposable {
  /** E.g. `http://127.0.0.1:8081`. */
  readonly url: string;
  readonly requestsInFlight: () => number;
}

/** Throws ConnectorError `listen` where the address or port is not to be had. */
export async function startHttpListener(parts: HttpListenerParts): Promise<HttpListener> {
  const { maxRequestsInFlight = MAX_REQUESTS_IN_FLIGHT } = parts;
  const { headTimeoutMs = HEAD_TIMEOUT_MS, requestTimeoutMs = REQUEST_TIMEOUT_MS } = parts;
  let inFlight = 0;
  const onConnection = new WeakMap<Socket, number>();
  const count = (socket: Socket, change: number) => {
    inFlight += change;
    onConnection.set(socket, (onConnection.get(socket) ?? 0) + change);
  };
  const server = createServer(
    {
      maxHeaderSize: MAX_HEAD_BYTES,
      headersTimeout: headTimeoutMs,
      requestTimeout: requestTimeoutMs,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      connectionsCheckingInterval: Math.min(CHECK_INTERVAL_MS, headTimeoutMs),
      noDelay: true,
    },
    (request, response) => {
      const { socket } = request;
      const isFull =
        inFlight >= maxRequestsInFlight || (onConnection.get(socket) ?? 0) >= MAX_PIPELINED;
      if (isFull) return writeBusy(request, response);
      count(socket, 1);
      void serve(parts, request, response).finally(() => count(socket, -1));
    },
  );
  server.maxConnections = parts.maxConnections ?? MAX_CONNECTIONS;
  server.maxRequestsPerSocket = MAX_REQUESTS_PER_CONNECTION;
  await listen(server, parts);
  const { address, port, family } = server.address() as AddressInfo;
  const host = family === "IPv6" ? `[${address}]` : address;
  return {
    url: `http://${host}:${port}`,
    requestsInFlight: () => inFlight,
    [Symbol.asyncDispose]: () => close(server),
  };
}

function listen(server: Server, { address, port }: HttpListenerParts): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) =>
      reject(
        new ConnectorError(
          "listen",
          `cannot listen on ${address} port ${port}: is it taken? ("listen" in the configuration)`,
          { cause },
        ),
      ),
    );
    server.listen(port, address, () => resolve());
  });
}

/** Lets what is being answered end, for a while; a connection without request is closed at once. */
function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const deadline = setTimeout(() => server.closeAllConnections(), CLOSE_WITHIN_MS);
    server.close(() => {
      clearTimeout(deadline);
      resolve();
    });
    server.closeIdleConnections();
  });
}

async function serve(
  parts: HttpListenerParts,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    write(request, response, await answerTo(parts, request));
  } catch (error) {
    // A client that went away in the middle of its request is nobody's fault.
    if (request.readableAborted) return;
    parts.onFault(error);
    write(request, response, plainAnswer(500, "internal", "The request could not be answered"));
  }
}

async function answerTo(parts: HttpListenerParts, request: IncomingMessage): Promise<HttpAnswer> {
  const { method, url = "" } = request;
  if (method !== "GET" && method !== "HEAD" && method !== "POST") {
    return plainAnswer(405, "http-method", "GET and POST are served here");
  }
  const [path, query] = split(url);
  const body = method === "POST" ? await readBody(request) : undefined;
  if (body === "too-large") {
    return plainAnswer(413, "http-body", `The body exceeds ${MAX_PKI_MESSAGE_BYTES} bytes`);
  }
  if (parts.shadow?.covers(path)) {
    return await parts.shadow.answer({ method, path, query, body, headers: toldHeaders(request) });
  }
  const profile = parts.scep.profileAt(path);
  if (profile !== undefined) {
    return await parts.scep.answer(profile, query, body, request.socket.remoteAddress);
  }
  return (await parts.publication.answer(path, body)) ?? unserved(parts.isConfigured());
}

/** Right after a start the profiles are not there yet: a device that came in that moment is to come again. */
function unserved(isConfigured: boolean): HttpAnswer {
  if (isConfigured) return plainAnswer(404, "http-path", "Nothing is served under this path");
  const starting = plainAnswer(503, "http-unconfigured", "No configuration is in force yet");
  return { ...starting, retryAfterSeconds: RETRY_AFTER_SECONDS };
}

/** What says something of the body and of who asks; the rest belongs to this connection. */
function toldHeaders({ headers }: IncomingMessage): Record<string, string> {
  const told: Record<string, string> = {};
  for (const name of ["content-type", "user-agent", "accept"] as const) {
    const value = headers[name];
    if (value !== undefined) told[name] = value;
  }
  return told;
}

function split(url: string): [string, string] {
  const mark = url.indexOf("?");
  return mark < 0 ? [url, ""] : [url.slice(0, mark), url.slice(mark + 1)];
}

/**
 * The whole body, or that it is too large: it is never cut. Read by events and not by iteration, which would destroy the
 * connection at the limit before the answer was out. Rejects when the client goes away.
 */
function readBody(request: IncomingMessage): Promise<Buffer | "too-large"> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const onData = (chunk: Buffer) => {
      length += chunk.length;
      chunks.push(chunk);
      if (length <= MAX_PKI_MESSAGE_BYTES) return;
      request.off("data", onData).pause();
      resolve("too-large");
    };
    request.on("data", onData);
    request.once("end", () => resolve(chunks.length === 1 ? only(chunks) : Buffer.concat(chunks)));
    request.once("error", reject);
  });
}

function only([chunk]: readonly Buffer[]): Buffer {
  return chunk ?? Buffer.alloc(0);
}

function writeBusy(request: IncomingMessage, response: ServerResponse): void {
  const busy = plainAnswer(503, "http-busy", "Too many requests at once; try again");
  write(request, response, { ...busy, retryAfterSeconds: RETRY_AFTER_SECONDS });
}

function write(request: IncomingMessage, response: ServerResponse, answer: HttpAnswer): void {
  const { status, contentType, body, maxAgeSeconds, retryAfterSeconds } = answer;
  // What was not read of a refused body would be taken for the next request.
  const connection = request.complete ? {} : { Connection: "close" };
  response.writeHead(status, {
    "Content-Type": contentType,
    "Content-Length": body.length,
    "Cache-Control": maxAgeSeconds ? `public, max-age=${maxAgeSeconds}` : "no-store",
    "X-Content-Type-Options": "nosniff",
    ...(retryAfterSeconds !== undefined && { "Retry-After": retryAfterSeconds }),
    ...connection,
  });
  response.end(request.method === "HEAD" ? undefined : body);
}
