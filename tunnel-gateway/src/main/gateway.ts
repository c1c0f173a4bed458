import { isDeepStrictEqual } from "node:util";
import { ConfigurationError } from "@isthmus/shared/errors";
import type { ControlHandlers } from "@isthmus/shared/kernel/control-socket";
import type { CommandHandler, RunningService } from "@isthmus/shared/kernel/service-definition";
import { systemRandom } from "@isthmus/shared/random";
import { gatewayCommands } from "../cloud/device-commands.ts";
import {
  type DesiredConfiguration,
  desiredConfiguration,
} from "../config/desired-configuration.ts";
import { AccessControl } from "../core/access.ts";
import { type AccessLines, type AccessLogDetail, accessLog, detailOf } from "../core/access-log.ts";
import { compileRules } from "../core/compile-rules.ts";
import { DeviceDirectory } from "../core/device.ts";
import { DeviceStates } from "../core/device-states.ts";
import { bothOf, Enforcement } from "../core/enforcement.ts";
import type { AgeOfStates } from "../core/gate.ts";
import { issuerIdOf } from "../core/identity.ts";
import { OpenConnections } from "../core/open-connections.ts";
import { PeerCertificates } from "../core/peer-certificates.ts";
import type { RelayedConnection } from "../core/ports.ts";
import { RevocationKnowledge } from "../core/revocation.ts";
import { UserNames } from "../core/vpn/user-names.ts";
import type { VpnEngine } from "../core/vpn-engine.ts";
import { dnsResolver } from "../device/dns-resolver.ts";
import type { TlsMaterial } from "../device/tls-listener.ts";
import { loadNativeEngine } from "../packets/native-engine.ts";
import { RevocationService } from "../revocation/revocation-service.ts";
import { revocationSource } from "../revocation/revocation-source.ts";
import { gatewayControls } from "./controls.ts";
import { watchFiles } from "./file-watch.ts";
import type { GatewayKernel } from "./gateway-kernel.ts";
import { healthChecks } from "./health-checks.ts";
import { reportHealth } from "./health-reports.ts";
import { currentAddresses } from "./host-addresses.ts";
import { HostLoad } from "./host-load.ts";
import { NetworkProbe } from "./network-probe.ts";
import { type RelayMetrics, relayMetrics } from "./relay-metrics.ts";
import { cutRecorder } from "./relay-observer.ts";
import { type RelayParts, relayParts } from "./relay-parts.ts";
import { detailBounds, ruleBounds } from "./rule-bounds.ts";
import { deviceStore, revocationStore } from "./stores.ts";
import { StrangerLog } from "./stranger-log.ts";
import {
  egressOf,
  type LocalDestinations,
  ownListener,
  readLocalDestinations,
} from "./surroundings.ts";
import { loadTlsMaterial } from "./tls-material.ts";
import { listFiles, loadTrust, type Trust, trustFiles } from "./trust-anchors.ts";
import { VpnGateway } from "./vpn.ts";
import { missingEngineCheck } from "./vpn-health.ts";

/** What carries the VPN's packets, or why nothing does. */
type LoadEngine = () => VpnEngine | { readonly reason: string };

const MINUTE_MS = 60_000;
/** Own choices: how often time alone may end connections, and how often the last contact is stored. */
const ENFORCE_EVERY_MS = 1_000;
const SWEEP_STRANGERS_EVERY_MS = 1_000;
const KEEP_CONTACT_EVERY_MS = 60_000;

/** A running gateway: everything constructed and connected. */
export class Gateway implements RunningService<DesiredConfiguration> {
  // biome-ignore lint/suspicious/noExplicitAny: handlers of differently typed payloads in one record
  readonly commands: Readonly<Record<string, CommandHandler<any>>>;
  readonly controls: ControlHandlers;
  readonly #kernel: GatewayKernel;
  readonly #destinations: LocalDestinations;
  readonly #resources = new AsyncDisposableStack();
  readonly #connections = new OpenConnections<RelayedConnection>();
  readonly #knowledge = new RevocationKnowledge();
  readonly #states: DeviceStates;
  readonly #access: AccessControl;
  readonly #enforcement: Enforcement;
  readonly #metrics: RelayMetrics;
  readonly #revocation: RevocationService;
  readonly #relay: RelayParts;
  /** Undefined where the local configuration has no VPN, or the data path is not built. */
  readonly #vpn: VpnGateway | undefined;
  readonly #probe: NetworkProbe;
  readonly #accessLog: AccessLines;
  readonly #strangers: StrangerLog;
  #desired: DesiredConfiguration = desiredConfiguration.parse({});
  #isConfigured = false;
  #trust: Trust;
  #peers: PeerCertificates;
  #certificate: string;
  #reloadFault: string | undefined;
  #port = 0;
  #addresses = currentAddresses();
  #ageOfStates: AgeOfStates = "current";

  /** `loadEngine` is asked where the local configuration has a VPN. */
  constructor(kernel: GatewayKernel, loadEngine: LoadEngine = loadNativeEngine) {
    const { local, guardrails, clock, random, store, log } = kernel;
    this.#kernel = kernel;
    this.#destinations = readLocalDestinations(local, guardrails);
    this.#trust = loadTrust(local.trustAnchors);
    this.#peers = new PeerCertificates(this.#trust.anchors.values());
    const material = loadTlsMaterial(local.tls, this.#trust.pem);
    this.#certificate = material.certificate;
    const contact = () => kernel.link.state();
    this.#states = new DeviceStates({ store: deviceStore(store), clock, contact });
    this.#access = new AccessControl({
      rules: compileRules(this.#desired, this.#bounds()),
      local: this.#localRules(),
      clock,
      devices: () => this.#states.directory,
      knowledge: this.#knowledge,
      deviceFreshness: () => this.#states.freshness(),
    });
    const names = new UserNames(local.vpn?.userNameDomains ?? []);
    this.#accessLog = accessLog({
      log,
      detail: () => this.#detail(),
      // Not the kernel's, which a test may foretell.
      random: systemRandom,
      keyOfUser: (userName) => names.keyOf(userName),
    });
    this.#strangers = new StrangerLog(this.#accessLog, clock);
    this.#metrics = relayMetrics(kernel.metrics, {
      open: () => this.#connections.size,
      pending: () => this.#relay.listener.pending,
    });
    this.#revocation = new RevocationService({
      source: revocationSource,
      store: revocationStore(store),
      knowledge: this.#knowledge,
      clock,
      random,
      anchors: () => this.#trust.anchors,
      places: () => this.#trust.places,
      refreshMs: () => this.#desired.revocation.refreshMinutes * MINUTE_MS,
      openCertificates: () => [
        ...this.#connections.certificates(),
        ...(this.#vpn?.certificates() ?? []),
      ],
      onRevoked: (keys) => void this.#enforcement.certificates(keys),
      onFailure: (failure) => {
        this.#metrics.revocationFailures.inc();
        log.warn(failure, "revocation.failed");
      },
    });
    this.#vpn = this.#makeVpn(material, loadEngine);
    this.#enforcement = new Enforcement({
      access: this.#access,
      connections: this.#vpn ? bothOf(this.#connections, this.#vpn.open) : this.#connections,
      onCut: cutRecorder(kernel, this.#metrics),
    });
    const resolver = dnsResolver(local.resolver);
    this.#probe = new NetworkProbe({
      url: () => this.#desired.vpn.internalNetworkProbeUrl,
      resolver,
      local: () => this.#access.local,
    });
    this.#relay = relayParts({
      kernel,
      access: this.#access,
      connections: this.#connections,
      metrics: this.#metrics,
      accessLog: this.#accessLog,
      strangers: this.#strangers,
      revocation: this.#revocation,
      resolver,
      peers: () => this.#peers,
      desired: () => this.#desired,
      material,
    });
    this.commands = gatewayCommands({
      states: this.#states,
      enforcement: this.#enforcement,
      consumeCuts: (count) => kernel.limits.consume("session-cuts", count),
      refreshRevocations: () => this.#revocation.refresh(),
      revocationFailures: () => this.#revocation.failures,
    });
    this.controls = {
      ...gatewayControls({
        connections: this.#connections,
        states: this.#states,
        enforcement: this.#enforcement,
        revocation: this.#revocation,
        vpnSessions: () => this.#vpn?.sessions,
      }),
      ...this.#vpn?.controls,
    };
  }

  /** Loads what the store kept, opens the port and begins to watch. */
  async start(): Promise<void> {
    const { local, health } = this.#kernel;
    await this.#states.load();
    await this.#resources.use(this.#relay.record).start();
    this.#resources.use(this.#relay.relays);
    this.#resources.use(this.#revocation);
    await this.#revocation.start();
    // The engine owns the port of a VPN, and hands the relay's connections over.
    if (this.#vpn) this.#resources.use(this.#vpn);
    this.#port = this.#vpn ? await this.#vpn.listen() : await this.#relay.listener.listen();
    this.#resources.use(this.#relay.listener);
    this.#access.local = this.#localRules();
    const { trustAnchors, tls } = local;
    const files = [tls.certificateFile, tls.keyFile, ...trustFiles(trustAnchors)];
    this.#resources.use(await watchFiles(files, () => this.#reload()));
    const lists = listFiles(trustAnchors);
    this.#resources.use(await watchFiles(lists, () => this.#revocation.refresh()));
    this.#every(ENFORCE_EVERY_MS, () => this.#enforceTime());
    this.#every(SWEEP_STRANGERS_EVERY_MS, () => this.#strangers.sweep());
    this.#every(KEEP_CONTACT_EVERY_MS, () => void this.#keepContact());
    for (const check of this.#checks()) health.register(check);
    reportHealth({
      health,
      load: this.#resources.use(new HostLoad(this.#kernel.stateFolder)),
      probe: this.#resources.use(this.#probe),
      now: () => this.#kernel.clock.now(),
      certificate: () => this.#certificate,
      port: () => this.#port,
      relayed: () => this.#connections.size,
      relayedAtMost: () => this.#desired.limits.connections,
      devices: () => this.#states.directory.size,
      vpn: this.#vpn,
      local,
    });
    const host = local.listen.address.includes(":")
      ? `[${local.listen.address}]`
      : local.listen.address;
    this.#kernel.announce({ tunnelUrl: `https://${host}:${this.#port}` });
  }

  async applyConfiguration(configuration: DesiredConfiguration): Promise<void> {
    const rules = compileRules(configuration, this.#bounds());
    this.#vpn?.judge(rules);
    const { source, list } = configuration.devices;
    if (source === "cloud" && this.#kernel.local.standalone) throw new NoSourceOfDevices();
    const future = new DeviceDirectory();
    future.replace(source === "list" ? list : this.#states.ofCloud.all());
    // The local administrator's own file may cut what it likes; the cloud only within the guardrails' window.
    if (this.#kernel.local.standalone === undefined) {
      const access = this.#access.withRules(rules);
      const sessions = this.#enforcement.previewRules(access, future);
      if (sessions > 0) await this.#kernel.limits.consume("session-cuts", sessions);
    }
    if (source === "list") this.#states.useList(list);
    else this.#states.useCloud();
    this.#desired = configuration;
    this.#isConfigured = true;
    this.#access.rules = rules;
    this.#enforcement.all();
    this.#vpn?.configured();
    this.#probe.configured();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }

  #bounds() {
    const { local, guardrails } = this.#kernel;
    return ruleBounds(local, guardrails, this.#destinations.bound);
  }

  /** Before the first configuration, also the one that a start takes up again, nobody knows how little it wants. */
  #detail(): AccessLogDetail {
    const { local, guardrails } = this.#kernel;
    const bounds = detailBounds(local, guardrails);
    if (!this.#isConfigured) return bounds.least ?? "pseudonymous";
    return detailOf(this.#desired.accessLog.detail, bounds);
  }

  #makeVpn(material: TlsMaterial, loadEngine: LoadEngine): VpnGateway | undefined {
    const { local, health, log } = this.#kernel;
    if (!local.vpn) return undefined;
    const engine = loadEngine();
    if ("reason" in engine) {
      log.warn({ reason: engine.reason }, "vpn.not-served");
      health.register(missingEngineCheck(engine.reason));
      return undefined;
    }
    return new VpnGateway({
      kernel: this.#kernel,
      local: local.vpn,
      engine,
      access: this.#access,
      revocation: this.#revocation,
      strangers: this.#strangers,
      peers: () => this.#peers,
      material,
      onRelay: (request) => void this.#relay.relays.serve(request),
      onHanded: (socket) => this.#relay.listener.adopt(socket),
      accessLog: this.#accessLog,
    });
  }

  #localRules() {
    const { listen, health } = this.#kernel.local;
    const own = [ownListener(listen.address, this.#port), ownListener(health.address, health.port)];
    const addresses = [...this.#addresses, ...(this.#vpn?.ownAddresses ?? [])];
    const egress = egressOf(this.#destinations, addresses, own);
    return { anchors: this.#trust.anchors, egress, bound: this.#destinations.bound };
  }

  /** Certificates expire, device states grow old, addresses of the host come and go. */
  #enforceTime(): void {
    this.#enforcement.expired(this.#kernel.clock.now());
    const addresses = currentAddresses();
    const age = this.#access.ageOfStates();
    if (age === this.#ageOfStates && isDeepStrictEqual(addresses, this.#addresses)) return;
    this.#ageOfStates = age;
    this.#addresses = addresses;
    this.#surroundingsChanged();
  }

  #surroundingsChanged(): void {
    this.#access.local = this.#localRules();
    this.#enforcement.all();
    this.#vpn?.surroundingsChanged();
  }

  async #keepContact(): Promise<void> {
    try {
      await this.#states.noteContact();
    } catch (error) {
      this.#kernel.log.warn({ err: error }, "devices.contact-not-kept");
    }
  }

  /** Puts changed certificates and trust anchors in force, whole or not at all; open connections go on if they may. */
  async #reload(): Promise<void> {
    const { local, log } = this.#kernel;
    try {
      const trust = loadTrust(local.trustAnchors);
      const material = loadTlsMaterial(local.tls, trust.pem);
      this.#vpn?.reload(material);
      this.#relay.listener.reload(material);
      this.#certificate = material.certificate;
      this.#trust = trust;
      this.#reloadFault = undefined;
      log.info({}, "tls.reloaded");
    } catch (error) {
      this.#reloadFault = error instanceof Error ? error.message : "unknown";
      log.warn({ err: error }, "tls.reload-failed");
      return;
    }
    const authorities = [...this.#trust.anchors.values()].flatMap((anchor) => anchor.authorities);
    this.#knowledge.retain(new Set(authorities.map(issuerIdOf)));
    this.#peers = new PeerCertificates(this.#trust.anchors.values());
    this.#surroundingsChanged();
    await this.#revocation.refresh();
  }

  #checks() {
    const checks = healthChecks({
      now: () => this.#kernel.clock.now(),
      isListening: () =>
        this.#vpn ? this.#vpn.fault === undefined : this.#relay.listener.isListening,
      port: () => this.#port,
      certificate: () => this.#certificate,
      reloadFault: () => this.#reloadFault,
      access: this.#access,
      states: this.#states,
      knowledge: this.#knowledge,
      failures: () => this.#revocation.failures,
      open: () => this.#connections.size,
      capacity: () => this.#desired.limits.connections,
    });
    return [...checks, ...(this.#vpn?.checks ?? [])];
  }

  #every(periodMs: number, act: () => void): void {
    const timer = setInterval(act, periodMs);
    this.#resources.defer(() => clearInterval(timer));
  }
}

/** Nothing would ever send device states, so nobody could connect. */
class NoSourceOfDevices extends ConfigurationError {
  constructor() {
    super("the desired configuration", ['devices.source: standalone mode needs "list"']);
  }
}
