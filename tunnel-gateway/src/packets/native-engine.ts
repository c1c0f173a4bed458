import { closeSync } from "node:fs";
import { ConnectorError } from "@isthmus/shared/errors";
import type {
  DtlsOffer,
  EngineCounters,
  EngineHandler,
  EngineIdentity,
  EngineListenOptions,
  EngineSession,
  EngineTunnel,
  PacketLatency,
  SessionTraffic,
  VpnEngine,
} from "../core/vpn-engine.ts";
import { loadNativeAddon, type NativeAddon, type NativeEvent } from "./native-addon.ts";
import { EVENT, readConnection, readSessionEvent } from "./native-events.ts";

/** CSTP frame types (OpenConnect protocol 1.1, section 2.2). */
const FRAME_TYPE = { disconnect: 5, terminate: 9 } as const;

/** `enum front_offer` of native/src/front.h. */
const OFFER = { none: 0, psk: 1, resumption: 2 } as const;

/** `FAREWELL_BYTES_AT_MOST` of native/src/worker.h; the addon refuses more. */
const MAX_REASON_BYTES = 255;

/** Entries of a packet thread's flow table: so many for each session, within bounds that cost 5 to 80 MB. */
const FLOWS_PER_SLOT = 64;
const FLOWS_AT_LEAST = 1 << 16;
const FLOWS_AT_MOST = 1 << 20;

const NOTHING = new Uint8Array(0);
/** Own choice; clients say 0xb0 for their user's own disconnect. */
const BY_SERVER = "\u0001";

/** The engine over the native data path, of which a process has one; or why it has none. */
export function loadNativeEngine(): NativeEngine | { readonly reason: string } {
  const addon = loadNativeAddon();
  return "reason" in addon ? addon : new NativeEngine(addon);
}

/** `VpnEngine` over the addon: turns its events into calls, and knows which tunnel a session is on. */
export class NativeEngine implements VpnEngine {
  readonly #addon: NativeAddon;
  readonly #tunnelOf = new Map<number, number>();
  #handler: EngineHandler | undefined;

  constructor(addon: NativeAddon) {
    this.#addon = addon;
  }

  async listen(options: EngineListenOptions): Promise<{ readonly port: number }> {
    this.#addon.start((events) => this.#onEvents(events));
    this.#handler = options.handler;
    try {
      startWorkers(this.#addon, options.tunnels);
      return { port: listen(this.#addon, options) };
    } catch (error) {
      this.#handler = undefined;
      this.#addon.stop();
      throw error;
    }
  }

  setIdentity({ certificate, key, authorities }: EngineIdentity): void {
    this.#assertListening();
    this.#addon.setIdentity({ certificate, key, authorities });
  }

  write(connectionId: number, bytes: Uint8Array): void {
    this.#addon.write(connectionId, bytes);
  }

  stream(connectionId: number, isWanted: boolean): void {
    this.#addon.stream(connectionId, isWanted);
  }

  end(connectionId: number, how: "clean" | "reset"): void {
    this.#addon.end(connectionId, how === "clean");
  }

  setPolicy(policy: number, packedRules: Uint8Array): void {
    this.#assertListening();
    this.#addon.setPolicy(policy, packedRules);
  }

  openSession(session: EngineSession): void {
    this.#addon.openSession(session);
    this.#tunnelOf.set(session.id, session.tunnel);
  }

  changeSession(session: EngineSession): void {
    this.#addon.changeSession(session);
  }

  attach(connectionId: number, sessionId: number, head: Uint8Array, dtls?: DtlsOffer): void {
    const tunnel = this.#tunnelOf.get(sessionId);
    // Its session has just closed, and the client will learn it from the end of the connection.
    if (tunnel === undefined) {
      this.end(connectionId, "clean");
      return;
    }
    const [offer, id, masterSecret, cipher] = packOffer(dtls);
    this.#addon.attach(connectionId, tunnel, sessionId, head, offer, id, masterSecret, cipher);
  }

  closeSession(sessionId: number, type: "disconnect" | "terminate", reason: string): void {
    const tunnel = this.#tunnelOf.get(sessionId);
    if (tunnel === undefined) return;
    this.#addon.closeSession(tunnel, sessionId, FRAME_TYPE[type], payloadOf(type, reason));
  }

  counters(): EngineCounters {
    return this.#addon.counters();
  }

  latencies(): readonly PacketLatency[] {
    return this.#addon.latencies();
  }

  sessions(): readonly SessionTraffic[] {
    return this.#addon.sessions();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#handler) return;
    this.#onEvents(this.#addon.stop());
    this.#handler = undefined;
    this.#tunnelOf.clear();
  }

  /** What is put in force before there are threads would be lost. */
  #assertListening(): void {
    if (!this.#handler) throw new Error("the engine is not listening");
  }

  #onEvents(events: readonly NativeEvent[]): void {
    for (const event of events) {
      if (this.#handler) this.#tell(this.#handler, event);
      else if (event[0] === EVENT.socketHanded) closeSync(event[4] ?? -1);
    }
  }

  #tell(handler: EngineHandler, event: NativeEvent): void {
    const [kind, id, text, bytes, first = 0, second = 0] = event;
    const [remoteAddress = "", ...rest] = text.split("\n");
    switch (kind) {
      case EVENT.connectionOpened:
        handler.opened(readConnection(event));
        break;
      case EVENT.connectionBytes:
        if (bytes) handler.bytes(id, bytes);
        break;
      case EVENT.connectionClosed:
        handler.closed(id, text, first === 1);
        break;
      case EVENT.connectionDrained:
        handler.drained(id, first);
        break;
      case EVENT.socketHanded: {
        const [localAddress = ""] = rest;
        handler.handed({ fd: first, remoteAddress, remotePort: second, localAddress });
        break;
      }
      case EVENT.handshakeFailed: {
        const reason = rest.filter((part) => part !== "").join(": ");
        handler.handshakeFailed(remoteAddress, first, reason);
        break;
      }
      case EVENT.failed:
        handler.failed(text);
        break;
      default:
        this.#tellOfSession(handler, event);
    }
  }

  #tellOfSession(handler: EngineHandler, event: NativeEvent): void {
    const told = readSessionEvent(event);
    if (!told) return;
    if (told.kind === "closed") {
      this.#tunnelOf.delete(told.sessionId);
      this.#addon.forgetOffers(told.sessionId);
    }
    handler.sessionEvent(told);
  }
}

function startWorkers(addon: NativeAddon, tunnels: readonly EngineTunnel[]): void {
  try {
    addon.startWorkers(
      tunnels.map(({ device, firstIpv4, firstIpv6 = "", slots, mtu }) => {
        const flows = Math.min(FLOWS_AT_MOST, Math.max(FLOWS_AT_LEAST, slots * FLOWS_PER_SLOT));
        return { device, firstIpv4, firstIpv6, slots, mtu, flows };
      }),
    );
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    // A device has one reader at a time.
    const isTaken = (cause as NodeJS.ErrnoException).code === "EBUSY";
    const remedy = isTaken
      ? "another gateway has it: stop that one"
      : "tunnel-gateway host-setup makes it";
    throw new ConnectorError("tunnel-failed", `${why}; ${remedy}`, { cause });
  }
}

function listen(addon: NativeAddon, options: EngineListenOptions): number {
  const { address, port, udp, identity, http2IsRelay, relayServerNames, proxyProtocolFrom } =
    options;
  const { pending, pendingPerAddress, handshakeSeconds } = options;
  const { certificate, key, authorities } = identity;
  const limits = { pending, pendingPerAddress, handshakeSeconds };
  const names = { http2IsRelay, relayServerNames, proxyProtocolFrom };
  try {
    return addon.listen({ address, port, udp, certificate, key, authorities, ...names, ...limits });
  } catch (cause) {
    throw listenFailed(address, port, cause as NodeJS.ErrnoException);
  }
}

function listenFailed(address: string, port: number, cause: NodeJS.ErrnoException): unknown {
  switch (cause.code) {
    // Said by OpenSSL of the identity, or of a value that configuration should have refused.
    case "ERR_OSSL":
    case "ERR_INVALID_ARG_TYPE":
      return cause;
    case "EADDRINUSE":
      return failure(address, port, "another process listens there; set listen.port to a free one");
    case "EADDRNOTAVAIL":
      return failure(address, port, "no interface has that address; set listen.address to one");
    case "EACCES":
      return failure(address, port, "ports below 1024 need CAP_NET_BIND_SERVICE");
    default:
      return failure(address, port, cause.message);
  }

  function failure(on: string, at: number, why: string): ConnectorError {
    return new ConnectorError("listen-failed", `cannot listen on ${on} port ${at}: ${why}`, {
      cause,
    });
  }
}

function packOffer(offer: DtlsOffer | undefined): [number, Uint8Array, Uint8Array, string] {
  switch (offer?.kind) {
    case undefined:
      return [OFFER.none, NOTHING, NOTHING, ""];
    case "psk":
      return [OFFER.psk, offer.appId, NOTHING, ""];
    case "resumption":
      return [OFFER.resumption, offer.sessionId, offer.masterSecret, offer.cipher];
  }
}

/** A disconnect frame's text stands behind a byte that clients show as a number (openconnect: cstp.c, AC_PKT_DISCONN). */
function payloadOf(type: "disconnect" | "terminate", reason: string): string {
  const text = textForClient(reason);
  return type === "disconnect" ? `${BY_SERVER}${text}` : text;
}

/** One line of at most `MAX_REASON_BYTES`: a session is closed whatever its reason looks like. */
function textForClient(reason: string): string {
  const bytes = Buffer.from(reason.replace(/\p{Cc}+/gu, " "));
  // A character that is cut in two becomes a replacement character of three bytes.
  return bytes.subarray(0, MAX_REASON_BYTES - 3).toString();
}
