import { createServer, type IncomingMessage, type Server } from "node:http";
import type { Duplex } from "node:stream";
import { codeOf, ProtocolError } from "@isthmus/shared/errors";
import type { Authority } from "../protocol/authority.ts";
import {
  MAX_HEAD_BYTES,
  MAX_HEADER_FIELDS,
  parseConnectRequest,
} from "../protocol/connect-request.ts";
import { type RefusalResponse, refuseOn, responseToFailure } from "./refusal-response.ts";
import type { AuthenticatedSocket } from "./tls-listener.ts";

/** A CONNECT request that reads well; nobody has decided about it yet. */
export interface ConnectRequest {
  readonly authority: Authority;
  readonly socket: Duplex;
  /** Of the device, DER, verified. */
  readonly certificate: Buffer | undefined;
  /** Ends the connection so that it cannot look complete. */
  reset(): void;
  /** Whether the end of what the device sends comes of a connection that was cut, and says nothing of being complete. */
  wasCut(): boolean;
  /** Says yes; what is written to `socket` from then on goes to the device as it is. */
  establish(): void;
  /** Says no and why, and ends it. */
  refuse(refusal: RefusalResponse): void;
  /** What the client sent along behind the request head. */
  readonly head: Buffer;
  /** To be called once a device is known to stand behind the connection. */
  accept(): void;
}

export interface ConnectFrontOptions {
  /** From the end of the handshake to the end of the request head. */
  readonly headTimeoutMs: number;
  readonly onConnect: (request: ConnectRequest) => void;
  /** A request refused for its form; `code` is from a closed set. */
  readonly onMalformed: (code: string) => void;
}

/** Own limit on what a client may send behind its request before it is answered. */
const MAX_EARLY_BYTES = 65_536;

/**
 * The HTTP/1.1 front: one CONNECT per connection. It listens nowhere; the TLS listener hands it sockets. Node's HTTP
 * parser cuts the head into lines in its strict mode, `parseConnectRequest` decides what may stand in it.
 */
export class ConnectFront {
  readonly #options: ConnectFrontOptions;
  readonly #http: Server;
  readonly #connections = new WeakMap<Duplex, PendingHead>();

  constructor(options: ConnectFrontOptions) {
    this.#options = options;
    this.#http = createServer({
      maxHeaderSize: MAX_HEAD_BYTES,
      insecureHTTPParser: false,
      requireHostHeader: false,
      keepAlive: false,
    });
    this.#http.maxHeadersCount = MAX_HEADER_FIELDS + 1;
    this.#http.on("connect", (request, socket, head) => this.#onConnect(request, socket, head));
    this.#http.on("request", (request) => this.#onRequest(request, request.socket));
    this.#http.on("upgrade", (request, socket) => this.#onRequest(request, socket));
    this.#http.on("checkContinue", (request) => this.#onRequest(request, request.socket));
    this.#http.on("checkExpectation", (request) => this.#onRequest(request, request.socket));
    this.#http.on("clientError", (error, socket) => this.#onClientError(error, socket));
  }

  /** Takes over a connection on which nothing has been read. */
  serve(connection: AuthenticatedSocket): void {
    const { socket, certificate, place, reset } = connection;
    const timer = setTimeout(() => {
      this.#refuse(socket, TIMED_OUT);
    }, this.#options.headTimeoutMs);
    socket.once("close", () => clearTimeout(timer));
    this.#connections.set(socket, { timer, certificate, reset, accept: place.release });
    this.#http.emit("connection", socket);
  }

  #onConnect(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const pending = this.#connections.get(socket);
    if (!pending) return void socket.destroy();
    clearTimeout(pending.timer);
    try {
      const authority = parseConnectRequest({
        method: request.method ?? "",
        target: request.url ?? "",
        version: request.httpVersion,
        rawHeaders: request.rawHeaders,
      });
      if (head.length > MAX_EARLY_BYTES) throw new ProtocolError("connect-early", TOO_EARLY);
      const { certificate, accept, reset } = pending;
      this.#options.onConnect({
        authority,
        socket,
        certificate,
        reset,
        wasCut: () => false,
        head,
        accept,
        establish: () => socket.write("HTTP/1.1 200 Connection established\r\n\r\n"),
        refuse: (refusal) => refuseOn(socket, refusal),
      });
    } catch (error) {
      this.#refuse(socket, malformed(error));
    }
  }

  #onRequest(request: IncomingMessage, socket: Duplex): void {
    const isConnect = request.method === "CONNECT";
    this.#refuse(socket, isConnect ? MALFORMED : NOT_CONNECT);
  }

  #onClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
    if (error.code === "ECONNRESET" || !socket.writable) return void socket.destroy();
    this.#refuse(socket, error.code === "HPE_HEADER_OVERFLOW" ? TOO_LARGE : MALFORMED);
  }

  #refuse(socket: Duplex, refusal: RefusalResponse): void {
    this.#options.onMalformed(refusal.code);
    refuseOn(socket, refusal);
  }
}

interface PendingHead {
  readonly timer: NodeJS.Timeout;
  readonly certificate: Buffer | undefined;
  readonly reset: () => void;
  readonly accept: () => void;
}

const TOO_EARLY = `more than ${MAX_EARLY_BYTES} bytes came behind the request before its answer`;
const badRequest = { error: "http_request_error", code: "connect-malformed" } as const;
const MALFORMED: RefusalResponse = { ...badRequest, status: 400, message: "malformed request" };
const TOO_LARGE: RefusalResponse = {
  ...badRequest,
  status: 431,
  code: "connect-head-size",
  message: `the request head exceeds ${MAX_HEAD_BYTES} bytes`,
};
const TIMED_OUT: RefusalResponse = {
  ...badRequest,
  status: 408,
  code: "connect-timeout",
  message: "the request head did not come in time",
};
const NOT_CONNECT: RefusalResponse = {
  ...badRequest,
  status: 405,
  code: "connect-method",
  message: "the relay serves CONNECT alone",
};

function malformed(error: unknown): RefusalResponse {
  if (!(error instanceof ProtocolError)) return responseToFailure(codeOf(error), "");
  return { ...MALFORMED, code: codeOf(error), message: error.message };
}
