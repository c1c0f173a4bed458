/** The native data path as the rest of the gateway sees it: TLS and DTLS connections, and sessions whose packets never enter JavaScript. */
export interface VpnEngine extends AsyncDisposable {
  /** Opens the ports. TCP always, UDP where `udp`. @throws ConnectorError `listen-failed` */
  listen(options: EngineListenOptions): Promise<{ readonly port: number }>;
  /** Puts certificate, key and trust anchors in force for new handshakes. Throws what OpenSSL says of bad ones. */
  setIdentity(identity: EngineIdentity): void;
  /** Sends bytes on a connection that is still ours. Over `UNSENT_BYTES_AT_MOST` (native/src/front-thread.h) waiting, it is closed. */
  write(connectionId: number, bytes: Uint8Array): void;
  /**
   * Makes a connection a stream for the relay: what is silent or unanswered ends it no more, it is read only while `isWanted`
   * (what is on its way comes nevertheless), and `drained` tells when all that was written has gone. May be called again.
   */
  stream(connectionId: number, isWanted: boolean): void;
  /** Ends a connection: cleanly (close_notify) after what was written, or by a reset. */
  end(connectionId: number, how: "clean" | "reset"): void;
  /** Puts a policy in force under a number, for all sessions that name it. `RULE_BYTES` each; see native/src/policy.h. */
  setPolicy(policy: number, packedRules: Uint8Array): void;
  openSession(session: EngineSession): void;
  changeSession(session: EngineSession): void;
  /**
   * Makes a connection the TLS transport of a session: sends `head` on it, then frames. `dtls` is what a DTLS handshake for the
   * session will show; a key by PSK is exported from this TLS connection and never leaves the engine.
   */
  attach(connectionId: number, sessionId: number, head: Uint8Array, dtls?: DtlsOffer): void;
  /** Tells the client (frame type 5 or 9) and takes the session down. `closed` follows. */
  closeSession(sessionId: number, type: "disconnect" | "terminate", reason: string): void;
  counters(): EngineCounters;
  /** Of each packet thread, up and down. */
  latencies(): readonly PacketLatency[];
  sessions(): readonly SessionTraffic[];
}

export interface EngineListenOptions {
  readonly address: string;
  readonly port: number;
  readonly udp: boolean;
  readonly identity: EngineIdentity;
  /** Connections with ALPN h2 go to Node's own servers untouched, whatever name (SNI) they ask for. */
  readonly http2IsRelay: boolean;
  /** Connections to these names (SNI) do so whatever their ALPN. */
  readonly relayServerNames: readonly string[];
  /** Networks (CIDR) whose connections begin with a PROXY protocol header (v1 or v2); others' may not. */
  readonly proxyProtocolFrom: readonly string[];
  readonly pending: number;
  readonly pendingPerAddress: number;
  readonly handshakeSeconds: number;
  /** One per packet thread, already made by `host-setup`. */
  readonly tunnels: readonly EngineTunnel[];
  readonly handler: EngineHandler;
}

/** PEM. */
export interface EngineIdentity {
  readonly certificate: string;
  readonly key: string;
  readonly authorities: readonly string[];
}

/** A TUN device and the addresses behind it. */
export interface EngineTunnel {
  readonly device: string;
  /** First address of the slice; slot n has this plus n. */
  readonly firstIpv4: string;
  readonly firstIpv6: string | undefined;
  readonly slots: number;
  readonly mtu: number;
}

export interface EngineConnection {
  readonly id: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly tlsVersion: "TLSv1.2" | "TLSv1.3";
  readonly cipher: string;
  readonly serverName: string | undefined;
  /** The client's certificates, DER, leaf first; empty without. The holder of the first has proved its key. */
  readonly certificates: readonly Buffer[];
  /** Whether OpenSSL could build a chain to a trust anchor; why not otherwise. */
  readonly verification: { readonly isVerified: boolean; readonly reason: string };
}

export interface EngineSession {
  readonly id: number;
  /** Which tunnel, and which address of its slice. */
  readonly tunnel: number;
  readonly slot: number;
  readonly hasIpv4: boolean;
  readonly hasIpv6: boolean;
  /** Of inner packets, bytes. */
  readonly mtu: number;
  readonly policy: number;
  readonly dpdSeconds: number;
  readonly keepaliveSeconds: number;
  readonly idleSeconds: number;
  /** 0: no limit. */
  readonly upBytesPerSecond: number;
  readonly downBytesPerSecond: number;
  /** Whether each flow that is let through is told. */
  readonly logsFlows: boolean;
}

/** How the client may open DTLS for a session. */
export type DtlsOffer =
  | { readonly kind: "psk"; readonly appId: Uint8Array }
  /** AnyConnect's way: a resumption of a session that never was, under the client's own master secret. */
  | {
      readonly kind: "resumption";
      readonly sessionId: Uint8Array;
      readonly masterSecret: Uint8Array;
      /** OpenSSL's name of a TLS 1.2 suite. */
      readonly cipher: string;
    };

/** What the engine tells; called in order, never after disposal. */
export interface EngineHandler {
  opened(connection: EngineConnection): void;
  bytes(connectionId: number, bytes: Buffer): void;
  /** `isClean`: the peer said that it has nothing more to send (close_notify), so that nothing is missing. */
  closed(connectionId: number, reason: string, isClean: boolean): void;
  /**
   * Of a `stream`: so many bytes have gone since it is one, and nothing waited when that was told. What was written meanwhile
   * may wait by now.
   */
  drained(connectionId: number, sentBytes: number): void;
  /** A socket for Node's own servers: accepted, a PROXY header taken off, nothing else read. */
  handed(socket: HandedSocket): void;
  handshakeFailed(remoteAddress: string, remotePort: number, reason: string): void;
  sessionEvent(event: SessionEvent): void;
  /** The data path cannot go on. */
  failed(reason: string): void;
}

export interface HandedSocket {
  readonly fd: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
}

export type SessionEvent =
  | { readonly kind: "tls-up"; readonly sessionId: number }
  | { readonly kind: "tls-down"; readonly sessionId: number; readonly reason: string }
  | {
      readonly kind: "dtls-up";
      readonly sessionId: number;
      readonly cipher: string;
      readonly remoteAddress: string;
    }
  | { readonly kind: "dtls-down"; readonly sessionId: number; readonly reason: string }
  /** The client's own words: payload 0xb0 means that its user ended it. */
  | { readonly kind: "disconnected"; readonly sessionId: number; readonly payload: Buffer }
  | { readonly kind: "idle"; readonly sessionId: number }
  | {
      readonly kind: "denied";
      readonly sessionId: number;
      readonly rule: number;
      readonly protocol: number;
      readonly address: string;
      readonly port: number;
    }
  /** The packet that opened a flow. */
  | {
      readonly kind: "allowed";
      readonly sessionId: number;
      readonly rule: number;
      readonly protocol: number;
      readonly address: string;
      readonly port: number;
      /** Flows of the session since the one told last that were not, as they were too many. */
      readonly untold: number;
    }
  | { readonly kind: "closed"; readonly sessionId: number; readonly traffic: SessionTraffic };

export interface SessionTraffic {
  readonly sessionId: number;
  readonly packetsUp: number;
  readonly packetsDown: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly dropped: number;
  readonly lastActiveAt: number;
  readonly hasTls: boolean;
  readonly hasDtls: boolean;
}

/** How long packets were inside, from when their thread woke for them to the write; sums since the engine began. */
export interface PacketLatency {
  /** The packet thread's tunnel, by number. */
  readonly tunnel: number;
  readonly direction: "up" | "down";
  /** How many took so long, by bucket: see native/src/latency.h. */
  readonly packets: readonly number[];
  /** Of all packets together. */
  readonly microseconds: number;
}

/** Sums over all packet threads, named as in native/src/worker.h in camel case without `COUNT_`. */
export type EngineCounters = Readonly<Record<string, number>>;
