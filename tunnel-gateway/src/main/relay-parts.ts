import { randomUUID } from "node:crypto";
import type { DesiredConfiguration } from "../config/desired-configuration.ts";
import type { AccessControl } from "../core/access.ts";
import type { AccessLines } from "../core/access-log.ts";
import type { OpenConnections } from "../core/open-connections.ts";
import type { PeerCertificates } from "../core/peer-certificates.ts";
import type { RelayedConnection, RelayLimits, Resolver, RevocationAsker } from "../core/ports.ts";
import { ConnectFront, type ConnectFrontOptions } from "../device/connect-front.ts";
import { Http2Front } from "../device/http2-front.ts";
import { RelayService } from "../device/relay-service.ts";
import { TlsListener, type TlsMaterial } from "../device/tls-listener.ts";
import type { GatewayKernel } from "./gateway-kernel.ts";
import { handshakeReason, type RelayMetrics } from "./relay-metrics.ts";
import { relayObserver } from "./relay-observer.ts";
import { RelaySessionRecord } from "./relay-session-record.ts";
import type { StrangerLog } from "./stranger-log.ts";

export interface RelayPartsOptions {
  readonly kernel: GatewayKernel;
  readonly access: AccessControl;
  readonly connections: OpenConnections<RelayedConnection>;
  readonly metrics: RelayMetrics;
  readonly accessLog: AccessLines;
  readonly strangers: StrangerLog;
  readonly revocation: RevocationAsker;
  readonly resolver: Resolver;
  readonly peers: () => PeerCertificates;
  readonly desired: () => DesiredConfiguration;
  readonly material: TlsMaterial;
}

/** What relays connections, and what its devices' TLS connections come by. */
export interface RelayParts {
  readonly relays: RelayService;
  readonly listener: TlsListener;
  readonly record: RelaySessionRecord;
}

const SECOND_MS = 1_000;

/** Constructs the relay. The port is opened by the caller, or by the VPN's engine, which hands its connections over. */
export function relayParts(options: RelayPartsOptions): RelayParts {
  const { kernel, metrics, strangers, desired, material } = options;
  const { local, clock } = kernel;
  const record = new RelaySessionRecord(kernel);
  const relays = new RelayService({
    access: options.access,
    connections: options.connections,
    resolver: options.resolver,
    revocation: options.revocation,
    observer: relayObserver({
      log: options.accessLog,
      metrics,
      sessions: record.sessions,
    }),
    clock,
    newId: randomUUID,
    peers: options.peers,
    limits: () => relayLimits(desired()),
  });
  const handshakeTimeoutMs = local.admission.handshakeSeconds * SECOND_MS;
  const front: ConnectFrontOptions = {
    headTimeoutMs: handshakeTimeoutMs,
    onConnect: (request) => void relays.serve(request),
    onMalformed: (code) => {
      metrics.malformed.inc({ code });
      strangers.info({ code }, "relay.malformed");
    },
  };
  const http1 = new ConnectFront(front);
  const http2 = new Http2Front(front);
  const listener = new TlsListener({
    ...local.listen,
    material,
    limits: local.admission,
    handshakeTimeoutMs,
    failuresPerAddress: local.admission.failuresPerAddress,
    fronts: new Map([
      ["h2", (connection) => http2.serve(connection)],
      ["http/1.1", (connection) => http1.serve(connection)],
    ]),
    otherwise: "http/1.1",
    onFailure: ({ kind, code, address }) => {
      const reason = handshakeReason(kind, code);
      metrics.handshakeFailures.inc({ reason });
      strangers.info({ kind, reason, code, address }, "handshake.failed", address);
    },
  });
  return { relays, listener, record };
}

function relayLimits({ limits }: DesiredConfiguration): RelayLimits {
  return {
    connections: limits.connections,
    connectionsPerDevice: limits.connectionsPerDevice,
    idleMs: limits.idleSeconds * SECOND_MS,
    halfClosedIdleMs: limits.halfClosedIdleSeconds * SECOND_MS,
    connectMs: limits.connectSeconds * SECOND_MS,
  };
}
