import { constants } from "node:crypto";
import { createServer, type Server, Socket } from "node:net";
import type { Duplex } from "node:stream";
import {
  createServer as createTlsServer,
  type TLSSocket,
  type Server as TlsServer,
} from "node:tls";
import { ConnectorError } from "@isthmus/shared/errors";
import { Admission, type AdmissionLimits, type PendingPlace } from "./admission.ts";
import { HandshakeThrottle } from "./handshake-throttle.ts";
import { resetSocket } from "./reset-socket.ts";

/** What the gateway shows, and whom it trusts. PEM. */
export interface TlsMaterial {
  readonly certificate: string;
  readonly key: string;
  readonly authorities: readonly string[];
}

/** A TLS connection whose client certificate OpenSSL has verified up to a trusted root. */
export interface AuthenticatedSocket {
  readonly socket: Duplex;
  /** The client's certificate, DER; undefined where it has gone with the connection. */
  readonly certificate: Buffer | undefined;
  /** Resets the TCP connection: what was cut shall not look complete to a client that does not mind the missing alert. */
  reset(): void;
  /** To be released once a device is known to stand behind the connection. */
  readonly place: PendingPlace;
}

/** A connection that was accepted elsewhere. */
export interface AcceptedConnection {
  readonly fd: number;
  /** Its client's, also where a load balancer stands between. */
  readonly remoteAddress: string;
}

/** Serves the connections of one application protocol. */
export type ProtocolFront = (connection: AuthenticatedSocket) => void;

/** Why a connection ended before it reached a front; a closed set, fit for a metric label. */
export type HandshakeFailure = "too-many" | "throttled" | "handshake" | "certificate" | "protocol";

/** A connection that never became one. */
export interface FailedConnection {
  readonly kind: HandshakeFailure;
  /** The client's, where it is still known. */
  readonly address: string | undefined;
  /** What Node or OpenSSL calls it. */
  readonly code: string | undefined;
}

export interface TlsListenerOptions {
  readonly address: string;
  readonly port: number;
  readonly material: TlsMaterial;
  readonly limits: AdmissionLimits;
  readonly handshakeTimeoutMs: number;
  /** Failed handshakes within a minute that close the door to an address. */
  readonly failuresPerAddress: number;
  /** By ALPN name, the preferred one first. */
  readonly fronts: ReadonlyMap<string, ProtocolFront>;
  /** Of `fronts`: serves clients that name no protocol. */
  readonly otherwise: string;
  readonly onFailure: (failed: FailedConnection) => void;
}

/** A client without a certificate has cost little, and may be a load balancer that looks whether somebody answers. */
const CHEAP_FAILURE = "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE";
/** Own limit on connections that the system has accepted and we have not seen. */
const BACKLOG = 1_024;

// Tickets would let a client skip its certificate, and a revocation with it; renegotiation and compression serve nobody.
const SECURE_OPTIONS =
  constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_COMPRESSION;

// Forward secret AEAD suites alone (RFC 9325 section 4.2); TLS 1.3 suites come with OpenSSL's own order.
const CIPHERS = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":");

/**
 * The port that devices connect to. A plain listener accepts and counts, a TLS server that listens nowhere is handed
 * the sockets, and the application protocol (ALPN) says which front goes on: others fit beside it on the same port.
 */
export class TlsListener implements AsyncDisposable {
  readonly #options: TlsListenerOptions;
  readonly #listener: Server;
  readonly #tls: TlsServer;
  readonly #admission: Admission;
  readonly #throttle: HandshakeThrottle;
  /** Addresses by accepted socket, which alone is still there when a handshake has failed. */
  readonly #clients = new WeakMap<Socket, string>();
  /** By `endpointsOf`: the TLS server does not say which socket a TLS socket was made of. */
  readonly #accepted = new Map<string, { readonly socket: Socket; readonly place: PendingPlace }>();
  /** Connections whose handshake goes on, by socket with their client's address. */
  readonly #shaking = new Map<Socket, string>();

  constructor(options: TlsListenerOptions) {
    this.#options = options;
    this.#admission = new Admission(options.limits);
    this.#throttle = new HandshakeThrottle(() => performance.now(), options.failuresPerAddress);
    this.#tls = createTlsServer({
      ...secureContext(options.material),
      requestCert: true,
      rejectUnauthorized: true,
      ALPNProtocols: [...options.fronts.keys()],
      handshakeTimeout: options.handshakeTimeoutMs,
    });
    this.#tls.on("secureConnection", (socket) => this.#onSecure(socket));
    this.#tls.on("tlsClientError", (error, socket) => {
      const failure = this.#failureOf(error, socket);
      this.#options.onFailure(failure);
      if (failure.code !== CHEAP_FAILURE) this.#count(socket);
      socket.destroy();
    });
    this.#listener = createServer({ allowHalfOpen: true, noDelay: true });
    this.#listener.on("connection", (socket) => this.#onConnection(socket));
  }

  /** Connections that no device stands behind yet. */
  get pending(): number {
    return this.#admission.pending;
  }

  get isListening(): boolean {
    return this.#listener.listening;
  }

  /** The port listened on. @throws ConnectorError `listen-failed` naming the port and why. */
  async listen(): Promise<number> {
    const { address, port } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#listener.once("error", reject);
    this.#listener.listen({ host: address, port, backlog: BACKLOG }, resolve);
    try {
      await promise;
    } catch (cause) {
      throw listenFailed(address, port, cause as NodeJS.ErrnoException);
    }
    this.#listener.off("error", reject);
    const bound = this.#listener.address();
    return typeof bound === "object" && bound ? bound.port : port;
  }

  /** Takes over a connection that another listener has accepted, and on which nothing has been read. */
  adopt({ fd, remoteAddress }: AcceptedConnection): void {
    const socket = new Socket({ fd, allowHalfOpen: true, readable: true, writable: true });
    socket.setNoDelay(true);
    socket.on("error", () => socket.destroy());
    this.#onConnection(socket, remoteAddress);
  }

  /** Puts certificate, key and trust anchors in force for new connections. Throws what OpenSSL says of bad ones. */
  reload(material: TlsMaterial): void {
    this.#tls.setSecureContext(secureContext(material));
    this.#throttle.forget();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#listener.close(() => resolve());
    for (const { socket } of this.#accepted.values()) socket.destroy();
    await promise;
  }

  #onConnection(socket: Socket, remoteAddress?: string): void {
    const address = remoteAddress ?? socket.remoteAddress;
    if (address !== undefined && this.#throttle.isClosedTo(address)) {
      this.#options.onFailure({ kind: "throttled", address, code: undefined });
      socket.resetAndDestroy();
      return;
    }
    const place = this.#admission.enter(socket, address);
    if (!place) {
      this.#options.onFailure({ kind: "too-many", address, code: undefined });
      socket.resetAndDestroy();
      return;
    }
    if (address !== undefined) {
      this.#clients.set(socket, address);
      this.#shaking.set(socket, address);
      socket.once("close", () => this.#shaking.delete(socket));
    }
    const endpoints = endpointsOf(socket);
    this.#accepted.set(endpoints, { socket, place });
    socket.once("close", () => this.#accepted.delete(endpoints));
    this.#tls.emit("connection", socket);
  }

  #failureOf(error: NodeJS.ErrnoException, socket: TLSSocket): FailedConnection {
    // The code of a certificate that was refused; Node then says of the connection that it was reset.
    const refused: unknown = socket.authorizationError;
    const address = this.#clientOf(socket);
    if (typeof refused === "string") return { kind: "certificate", address, code: refused };
    return { kind: "handshake", address, code: error.code };
  }

  /** What comes after the failure that closes the door is not even verified, though its handshake has begun. */
  #count(socket: TLSSocket): void {
    const accepted = acceptedSocketOf(socket);
    const address = this.#clientOf(socket);
    // Who has sent nothing has cost nothing.
    if (address === undefined || accepted?.bytesRead === 0) return;
    if (!this.#throttle.failed(address)) return;
    for (const [other, client] of this.#shaking) {
      if (other !== accepted && this.#throttle.isClosedTo(client)) other.destroy();
    }
  }

  #clientOf(socket: TLSSocket): string | undefined {
    const accepted = acceptedSocketOf(socket);
    return (accepted && this.#clients.get(accepted)) ?? socket.remoteAddress;
  }

  #onSecure(socket: TLSSocket): void {
    // Until a front takes over; without a listener an error would end the process.
    socket.on("error", () => socket.destroy());
    const accepted = this.#accepted.get(endpointsOf(socket));
    const client = accepted && this.#shaking.get(accepted.socket);
    if (accepted) this.#shaking.delete(accepted.socket);
    if (client !== undefined && socket.authorized) this.#throttle.succeeded(client);
    const { fronts, otherwise } = this.#options;
    const front = fronts.get(socket.alpnProtocol || otherwise);
    if (!socket.authorized || !accepted || !front) {
      const address = this.#clientOf(socket);
      this.#options.onFailure({ kind: "protocol", address, code: undefined });
      socket.destroy();
      return;
    }
    const reset = () => {
      resetSocket(accepted.socket, socket);
      socket.destroy();
    };
    const certificate = socket.getPeerX509Certificate()?.raw;
    front({ socket, certificate, reset, place: accepted.place });
  }
}

/** Node's own name for it; a TLS socket that has failed knows no address any more. */
function acceptedSocketOf(socket: TLSSocket): Socket | undefined {
  return (socket as { readonly _parent?: Socket })._parent;
}

function endpointsOf(socket: Socket): string {
  return [socket.remoteAddress, socket.remotePort, socket.localAddress].join(" ");
}

function secureContext(material: TlsMaterial) {
  return {
    cert: material.certificate,
    key: material.key,
    ca: [...material.authorities],
    minVersion: "TLSv1.2" as const,
    maxVersion: "TLSv1.3" as const,
    ciphers: CIPHERS,
    honorCipherOrder: true,
    secureOptions: SECURE_OPTIONS,
  };
}

function listenFailed(address: string, port: number, cause: NodeJS.ErrnoException): ConnectorError {
  const why =
    cause.code === "EADDRINUSE"
      ? "another process listens there; set listen.port to a free one"
      : (cause.code ?? "unknown");
  return new ConnectorError("listen-failed", `cannot listen on ${address} port ${port}: ${why}`, {
    cause,
  });
}
