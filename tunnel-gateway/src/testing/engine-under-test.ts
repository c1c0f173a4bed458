import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import { until } from "@isthmus/shared/testing/until";
import type {
  EngineConnection,
  EngineHandler,
  EngineListenOptions,
  HandedSocket,
  SessionEvent,
} from "../core/vpn-engine.ts";
import { loadNativeEngine, type NativeEngine } from "../packets/native-engine.ts";
import { makeDeviceAuthority, makeServerIdentity } from "./test-certificates.ts";

const loaded = loadNativeEngine();

/** Why the tests of the data path are skipped; undefined where it is built. */
export const whyNoEngine = "reason" in loaded ? loaded.reason : undefined;
if (whyNoEngine !== undefined && process.env["CI"] === "true")
  throw new Error(`With CI=true nothing is skipped: ${whyNoEngine}`);

export const deviceAuthority = await makeDeviceAuthority();
export const serverIdentity = await makeServerIdentity();

/** Writes down what the engine tells. */
export class EngineRecord implements EngineHandler {
  readonly connections: EngineConnection[] = [];
  readonly received = new Map<number, Buffer[]>();
  readonly closings = new Map<number, { readonly reason: string; readonly isClean: boolean }>();
  readonly drains: { readonly connectionId: number; readonly sentBytes: number }[] = [];
  readonly sockets: HandedSocket[] = [];
  readonly failures: { readonly remoteAddress: string; readonly reason: string }[] = [];
  readonly sessionEvents: SessionEvent[] = [];
  readonly faults: string[] = [];
  /** Called in place of keeping the bytes. */
  onBytes: ((connectionId: number, bytes: Buffer) => void) | undefined;

  opened(connection: EngineConnection): void {
    this.connections.push(connection);
  }

  bytes(connectionId: number, bytes: Buffer): void {
    if (this.onBytes) this.onBytes(connectionId, bytes);
    else this.received.set(connectionId, [...(this.received.get(connectionId) ?? []), bytes]);
  }

  closed(connectionId: number, reason: string, isClean: boolean): void {
    this.closings.set(connectionId, { reason, isClean });
  }

  drained(connectionId: number, sentBytes: number): void {
    this.drains.push({ connectionId, sentBytes });
  }

  handed(socket: HandedSocket): void {
    this.sockets.push(socket);
  }

  handshakeFailed(remoteAddress: string, _remotePort: number, reason: string): void {
    this.failures.push({ remoteAddress, reason });
  }

  sessionEvent(event: SessionEvent): void {
    this.sessionEvents.push(event);
  }

  failed(reason: string): void {
    this.faults.push(reason);
  }

  textFrom(connectionId: number): string {
    return Buffer.concat(this.received.get(connectionId) ?? []).toString();
  }
}

export interface EngineUnderTest extends AsyncDisposable {
  readonly engine: NativeEngine;
  readonly port: number;
  readonly record: EngineRecord;
  /** A TCP connection to the front. */
  dial(): Promise<Socket>;
  /** A TLS connection to the front, and what the engine says of it. */
  open(options?: ConnectionOptions): Promise<{ client: TLSSocket; connection: EngineConnection }>;
}

/** A front on loopback, without tunnels unless given. */
export async function startEngine(
  options: Partial<EngineListenOptions> = {},
): Promise<EngineUnderTest> {
  if ("reason" in loaded) throw new Error(loaded.reason);
  const engine = loaded;
  const record = new EngineRecord();
  const { port } = await engine.listen({
    address: "127.0.0.1",
    port: 0,
    udp: false,
    identity: { ...serverIdentity, authorities: [deviceAuthority.pem] },
    http2IsRelay: true,
    relayServerNames: [],
    proxyProtocolFrom: [],
    pending: 2_000,
    pendingPerAddress: 2_000,
    handshakeSeconds: 10,
    tunnels: [],
    handler: record,
    ...options,
  });
  const clients: Socket[] = [];
  const kept = <S extends Socket>(socket: S): S => {
    socket.on("error", () => {});
    clients.push(socket);
    return socket;
  };
  return {
    engine,
    port,
    record,
    dial: async () => {
      const socket = kept(connectTcp(port, "127.0.0.1"));
      await once(socket, "connect");
      return socket;
    },
    open: async (of = {}) => {
      const trust = { ca: serverIdentity.certificate, servername: "localhost" };
      const client = kept(connectTls({ port, host: "127.0.0.1", ...trust, ...of }));
      await once(client, "secureConnect");
      const isClient = ({ remotePort }: EngineConnection) => remotePort === client.localPort;
      const connection = await until(() => record.connections.find(isClient), "opened");
      return { client, connection };
    },
    [Symbol.asyncDispose]: async () => {
      for (const client of clients) client.destroy();
      await engine[Symbol.asyncDispose]();
    },
  };
}
