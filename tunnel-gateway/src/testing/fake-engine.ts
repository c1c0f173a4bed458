import type {
  DtlsOffer,
  EngineConnection,
  EngineHandler,
  EngineIdentity,
  EngineListenOptions,
  EngineSession,
  PacketLatency,
  SessionTraffic,
  VpnEngine,
} from "../core/vpn-engine.ts";

const NO_TRAFFIC: Omit<SessionTraffic, "sessionId"> = {
  packetsUp: 0,
  packetsDown: 0,
  bytesUp: 0,
  bytesDown: 0,
  dropped: 0,
  lastActiveAt: 0,
  hasTls: true,
  hasDtls: false,
};

/** An engine without packets: it notes what it is told, and tells what a test says happened. */
export class FakeEngine implements VpnEngine {
  readonly open = new Map<number, EngineSession>();
  readonly closed: {
    readonly sessionId: number;
    readonly type: string;
    readonly reason: string;
  }[] = [];
  readonly policies = new Map<number, Uint8Array>();
  readonly attached: {
    readonly connectionId: number;
    readonly sessionId: number;
    readonly dtls: DtlsOffer | undefined;
  }[] = [];
  readonly written = new Map<number, string>();
  readonly ended: number[] = [];
  /** Connections that are streams, and whether they are read. */
  readonly streams = new Map<number, boolean>();
  options: EngineListenOptions | undefined;
  identity: EngineIdentity | undefined;
  /** Of the session that is closed next. */
  traffic: Partial<SessionTraffic> = {};
  /** What the packet threads and the front have counted. */
  counts: Readonly<Record<string, number>> = {};
  /** What the packet threads have measured. */
  measured: readonly PacketLatency[] = [];
  #nextConnection = 1;

  async listen(options: EngineListenOptions): Promise<{ readonly port: number }> {
    this.options = options;
    this.identity = options.identity;
    return { port: options.port === 0 ? 8_443 : options.port };
  }

  setIdentity(identity: EngineIdentity): void {
    this.identity = identity;
  }

  write(connectionId: number, bytes: Uint8Array): void {
    const text = Buffer.from(bytes).toString("latin1");
    this.written.set(connectionId, (this.written.get(connectionId) ?? "") + text);
  }

  stream(connectionId: number, isWanted: boolean): void {
    this.streams.set(connectionId, isWanted);
  }

  end(connectionId: number): void {
    this.ended.push(connectionId);
  }

  setPolicy(policy: number, packedRules: Uint8Array): void {
    this.policies.set(policy, packedRules);
  }

  openSession(session: EngineSession): void {
    if (this.open.has(session.id)) throw new Error(`session ${session.id} is open already`);
    const holder = [...this.open.values()].find(
      ({ tunnel, slot }) => tunnel === session.tunnel && slot === session.slot,
    );
    if (holder) throw new Error(`slot ${session.slot} belongs to session ${holder.id}`);
    this.open.set(session.id, session);
  }

  changeSession(session: EngineSession): void {
    if (!this.open.has(session.id)) throw new Error(`session ${session.id} is not open`);
    this.open.set(session.id, session);
  }

  attach(connectionId: number, sessionId: number, _head: Uint8Array, dtls?: DtlsOffer): void {
    this.attached.push({ connectionId, sessionId, dtls });
    this.handler.sessionEvent({ kind: "tls-up", sessionId });
  }

  closeSession(sessionId: number, type: "disconnect" | "terminate", reason: string): void {
    if (!this.open.delete(sessionId)) throw new Error(`session ${sessionId} is not open`);
    this.closed.push({ sessionId, type, reason });
    const traffic = { ...NO_TRAFFIC, ...this.traffic, sessionId };
    this.handler.sessionEvent({ kind: "closed", sessionId, traffic });
  }

  counters() {
    return { sessions: this.open.size, ...this.counts };
  }

  latencies(): readonly PacketLatency[] {
    return this.measured;
  }

  sessions(): readonly SessionTraffic[] {
    return [...this.open.keys()].map((sessionId) => ({ ...NO_TRAFFIC, sessionId }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.open.clear();
  }

  get handler(): EngineHandler {
    if (!this.options) throw new Error("the engine does not listen");
    return this.options.handler;
  }

  /** A connection whose handshake is done, as the engine describes it. */
  connection(certificates: readonly Buffer[] = [], remoteAddress = "192.0.2.1"): EngineConnection {
    return {
      id: this.#nextConnection++,
      remoteAddress,
      remotePort: 40_000,
      localAddress: "198.51.100.1",
      tlsVersion: "TLSv1.3",
      cipher: "TLS_AES_256_GCM_SHA384",
      serverName: "vpn.example",
      certificates,
      verification: { isVerified: certificates.length > 0, reason: "ok" },
    };
  }
}
