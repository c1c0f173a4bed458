import { ConfigurationError } from "@isthmus/shared/errors";
import { AUDIT_STREAM } from "@isthmus/shared/kernel/audit-operations";
import type { ControlHandlers } from "@isthmus/shared/kernel/control-socket";
import type { HealthCheck } from "@isthmus/shared/kernel/service-definition";
import type { VpnLocalConfiguration } from "../config/vpn-local-configuration.ts";
import type { AccessControl, AccessRules } from "../core/access.ts";
import type { AccessLines } from "../core/access-log.ts";
import type { Open } from "../core/enforcement.ts";
import type { PeerCertificate } from "../core/identity.ts";
import { formatAddress } from "../core/ip-address.ts";
import type { PeerCertificates } from "../core/peer-certificates.ts";
import type { RevocationAsker } from "../core/ports.ts";
import type { Fill } from "../core/vpn/address-pool.ts";
import { addressPools } from "../core/vpn/address-pools.ts";
import { LatencyWindow, SAMPLE_EVERY_MS } from "../core/vpn/packet-latency.ts";
import { gatewayAddress, type TunnelSlice, tunnelSlices } from "../core/vpn/tunnel-slices.ts";
import { Vpn, type VpnParts } from "../core/vpn/vpn-service.ts";
import type { EngineHandler, EngineTunnel, HandedSocket, VpnEngine } from "../core/vpn-engine.ts";
import type { ConnectRequest } from "../device/connect-front.ts";
import type { TlsMaterial } from "../device/tls-listener.ts";
import { VpnFront } from "../device/vpn-front.ts";
import type { VpnSite } from "../device/vpn-static-pages.ts";
import { makeAuthenticators } from "../directory/authenticators.ts";
import { authenticatorChecks } from "./authenticator-checks.ts";
import { countedAuthenticators } from "./counted-authenticators.ts";
import { engineMetrics } from "./engine-metrics.ts";
import type { GatewayKernel } from "./gateway-kernel.ts";
import { TUNNEL_MTU } from "./host-setup.ts";
import { oneTimeSteps, scoreStore, sessionStore } from "./stores.ts";
import type { StrangerLog } from "./stranger-log.ts";
import { vpnControls } from "./vpn-controls.ts";
import { vpnCore } from "./vpn-core.ts";
import { addressesByTunnel, bansInForce, sessionsByTransport } from "./vpn-figures.ts";
import { latencyFigure, vpnChecks } from "./vpn-health.ts";
import { handshakeReason, type VpnMetrics, vpnMetrics } from "./vpn-metrics.ts";
import { vpnObserver } from "./vpn-observer.ts";
import { vpnSite } from "./vpn-site.ts";

export interface VpnGatewayOptions {
  readonly kernel: GatewayKernel;
  readonly local: VpnLocalConfiguration;
  readonly engine: VpnEngine;
  readonly access: AccessControl;
  readonly revocation: RevocationAsker;
  readonly peers: () => PeerCertificates;
  /** Certificate, key and trust anchors at the start; `reload` brings others. */
  readonly material: TlsMaterial;
  /** A CONNECT to somewhere else on a connection of the VPN's front. */
  readonly onRelay: (request: ConnectRequest) => void;
  /** A connection for the relay's own TLS server. */
  readonly onHanded: (socket: HandedSocket) => void;
  readonly strangers: StrangerLog;
  readonly accessLog: AccessLines;
}

const SECOND_MS = 1_000;

/**
 * The VPN around an engine, which then owns the gateway's port. The gateway calls `load` and `listen` when it starts,
 * `configured` after each configuration that came into force, `surroundingsChanged` after each other change of its rules, and
 * enforces on `open` what it enforces on the relay's connections.
 */
export class VpnGateway implements AsyncDisposable {
  readonly controls: ControlHandlers;
  readonly checks: readonly HealthCheck[];
  readonly #options: VpnGatewayOptions;
  readonly #slices: readonly TunnelSlice[];
  readonly #parts: VpnParts;
  readonly #vpn: Vpn;
  readonly #front: VpnFront;
  readonly #metrics: VpnMetrics;
  readonly #latency: LatencyWindow;
  readonly #sweeper: NodeJS.Timeout;
  readonly #sampler: NodeJS.Timeout;
  readonly #strangers: StrangerLog;
  #site: VpnSite;
  #port = 0;
  #fault: string | undefined;

  constructor(options: VpnGatewayOptions) {
    const { kernel, local, engine, access, accessLog } = options;
    const { clock, random } = kernel;
    this.#options = options;
    this.#strangers = options.strangers;
    this.#slices = tunnelSlices(local);
    this.#site = vpnSite(options.material.certificate, local.profileFile);
    this.#metrics = vpnMetrics(kernel.metrics, {
      sessions: () => this.sessions,
      byTransport: () => sessionsByTransport(this.#parts.sessions.table),
      addresses: () => addressesByTunnel(this.#parts, this.#slices),
      pools: () => this.#parts.pool.ofPools(),
      pendingLogins: () => this.#parts.pending.size,
      policies: () => this.#parts.leases.size,
      bansInForce: () => bansInForce(this.#parts),
    });
    engineMetrics(kernel.metrics, engine);
    this.#parts = vpnCore({
      ...options,
      slices: this.#slices,
      authenticators: countedAuthenticators(
        makeAuthenticators(local.authenticators, {
          clock,
          steps: oneTimeSteps(kernel.store),
        }),
        this.#metrics.authentications,
      ),
      store: sessionStore(kernel.store, () => kernel.link.wake(AUDIT_STREAM)),
      scoreStore: scoreStore(kernel.store),
      observer: vpnObserver({
        kernel,
        metrics: this.#metrics,
        strangers: this.#strangers,
        log: accessLog,
      }),
      clock,
      random,
    });
    this.#vpn = new Vpn(this.#parts);
    this.#front = new VpnFront({
      engine,
      service: this.#vpn,
      site: () => this.#site,
      udpPort: () => (local.udp ? this.#port : undefined),
      requestTimeoutMs: kernel.local.admission.handshakeSeconds * SECOND_MS,
      limits: kernel.local.admission,
      onRelay: options.onRelay,
      onMalformed: (code) => {
        this.#metrics.malformed.inc({ code });
        this.#strangers.info({ code }, "vpn.malformed");
      },
      onFault: (error) => accessLog.error({ err: error }, "vpn.request-failed"),
    });
    const listeners = () => ({
      address: kernel.local.listen.address,
      port: this.#port,
      udp: local.udp,
      fault: this.#fault,
    });
    this.controls = vpnControls({
      parts: this.#parts,
      access,
      engine,
      slices: this.#slices,
      pools: addressPools(local.pools, this.#slices),
      clock,
      listeners,
    });
    const now = () => clock.now();
    const fault = () => this.#fault;
    const parts = this.#parts;
    const latency = new LatencyWindow(() => engine.latencies());
    this.#latency = latency;
    this.checks = [
      ...vpnChecks({ parts, access, engine, latency, slices: this.#slices, now, fault }),
      ...authenticatorChecks(parts.authenticators, now),
    ];
    this.#sweeper = setInterval(() => this.#vpn.sweep(), SECOND_MS).unref();
    this.#sampler = setInterval(() => latency.sample(), SAMPLE_EVERY_MS).unref();
  }

  /** What is enforced on. */
  get open(): Open {
    return this.#parts.sessions.table;
  }

  /** The gateway's own on the tunnels, with their networks: `10.98.0.1/17`. The host has them before it shows them. */
  get ownAddresses(): readonly string[] {
    return this.#slices.flatMap(({ ipv4, ipv6 }) =>
      [ipv4, ipv6].flatMap((network) => (network ? gatewayAddress(network) : [])),
    );
  }

  get sessions(): number {
    return this.#parts.sessions.table.size;
  }

  /** Of the pool that is fullest. */
  get addresses(): Fill {
    const fills = this.#parts.pool.ofPools().filter(({ capacity }) => capacity > 0);
    const share = ({ used, capacity }: Fill) => used / capacity;
    const [first = { used: 0, capacity: 1 }, ...others] = fills;
    return others.reduce<Fill>((most, one) => (share(one) > share(most) ? one : most), first);
  }

  /** Of the packet thread that is slowest; NaN while it is not known. */
  get latencyMicroseconds(): number {
    return latencyFigure(this.#latency);
  }

  /** Why the data path stopped; undefined while it goes on. */
  get fault(): string | undefined {
    return this.#fault;
  }

  certificates(): PeerCertificate[] {
    return this.#parts.sessions.table.certificates();
  }

  /** Reads what the store kept and opens the ports; the port. @throws ConnectorError `listen-failed` */
  async listen(): Promise<number> {
    const { kernel, local, engine, material } = this.#options;
    const { listen, admission } = kernel.local;
    await this.#vpn.load();
    const { port } = await engine.listen({
      ...listen,
      ...admission,
      udp: local.udp,
      identity: material,
      http2IsRelay: http2IsRelay(local),
      relayServerNames: local.relayServerNames,
      proxyProtocolFrom: local.proxyProtocolFrom,
      tunnels: this.#slices.map(engineTunnel),
      handler: this.#handler(),
    });
    this.#port = port;
    return port;
  }

  /** Puts another certificate, key or other trust anchors in force. Throws what is wrong with them. */
  reload(material: TlsMaterial): void {
    const site = vpnSite(material.certificate, this.#options.local.profileFile);
    this.#options.engine.setIdentity(material);
    this.#site = site;
  }

  /** @throws ConfigurationError where the engine could not carry such rules */
  judge(rules: AccessRules): void {
    const fault = this.#parts.leases.faultOf(rules);
    if (fault) throw new ConfigurationError("the desired configuration", [fault]);
  }

  /** After a configuration came into force and was enforced. */
  configured(): void {
    this.#vpn.configured(this.#options.peers());
  }

  /** After trust anchors, the host's addresses or the age of device states changed, and that was enforced. */
  surroundingsChanged(): void {
    this.#vpn.surroundingsChanged();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#sweeper);
    clearInterval(this.#sampler);
    this.#front[Symbol.dispose]();
    await this.#options.engine[Symbol.asyncDispose]();
  }

  #handler(): EngineHandler {
    const { kernel, onHanded } = this.#options;
    const front = this.#front;
    return {
      opened: (connection) => front.opened(connection),
      bytes: (connectionId, bytes) => front.bytes(connectionId, bytes),
      closed: (connectionId, _reason, isClean) => front.closed(connectionId, isClean),
      drained: (connectionId, sentBytes) => front.drained(connectionId, sentBytes),
      handed: onHanded,
      handshakeFailed: (address, port, reason) => {
        this.#metrics.handshakeFailures.inc({ reason: handshakeReason(reason) });
        this.#strangers.info(
          { kind: "handshake", address, port, reason },
          "handshake.failed",
          address,
        );
      },
      sessionEvent: (event) => this.#parts.sessions.onEvent(event),
      failed: (reason) => {
        this.#fault ??= reason;
        kernel.log.fatal({ reason }, "vpn.data-path-failed");
      },
    };
  }
}

/** With sign-in pages on the port, or names of the relay's own, HTTP/2 alone does not say who comes: browsers speak it too. */
function http2IsRelay({ authenticators, relayServerNames }: VpnLocalConfiguration): boolean {
  const hasPages = Object.values(authenticators).some(({ type }) => type === "oidc");
  return relayServerNames.length === 0 && !hasPages;
}

function engineTunnel({ device, ipv4, ipv6, slots }: TunnelSlice): EngineTunnel {
  const firstIpv4 = formatAddress(ipv4);
  return { device, firstIpv4, firstIpv6: ipv6 && formatAddress(ipv6), slots, mtu: TUNNEL_MTU };
}
