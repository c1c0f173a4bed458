import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { ConnectorError } from "@isthmus/shared/errors";
import { SERVICES, type Service } from "@isthmus/shared/link/messages";
import { DEMO } from "./configurations.ts";
import {
  type DeviceIdentity,
  findScepServer,
  identityToPem,
  type ScepServer,
} from "./device/scep-device.ts";
import { openTunnel, type TunnelAnswer, type TunnelDevice } from "./device/tunnel-client.ts";
import type { Layout, SuiteService } from "./layout.ts";
import type { Ports } from "./ports.ts";
import { allSettled } from "./process/all-settled.ts";
import { ChildService } from "./process/child-service.ts";
import {
  type ConfigurationManager,
  startConfigurationManager,
} from "./process/configuration-manager.ts";
import { GraphClient } from "./process/graph-client.ts";
import { type InternalSite, startInternalSite } from "./process/internal-site.ts";

const ADMINISTRATOR = "admin";
const HOST = "localhost";

export interface SuiteOptions {
  readonly layout: Layout;
  readonly ports: Ports;
  /** The `cloud` key of every connector's local configuration, e.g. a proxy. */
  readonly cloud?: Readonly<Record<string, unknown>>;
  /** Further options of the simulated Configuration Manager site. */
  readonly configurationManager?: Readonly<Record<string, unknown>>;
  /** Each line a service prints, which is in its log file, too. */
  readonly onLine?: (service: SuiteService, line: string) => void;
}

/** The four services and an internal web site on this machine, each service a process that can be stopped and killed. */
export class Suite implements AsyncDisposable {
  readonly layout: Layout;
  readonly ports: Ports;
  readonly cloud: Readonly<Record<string, unknown>> | undefined;
  readonly #options: SuiteOptions;
  readonly #services = new Map<SuiteService, ChildService>();
  #site: InternalSite | undefined;
  #configurationManager: ConfigurationManager | undefined;
  #graph: Promise<GraphClient> | undefined;

  constructor(options: SuiteOptions) {
    this.#options = options;
    this.layout = options.layout;
    this.ports = options.ports;
    this.cloud = options.cloud;
  }

  /** Starts the internal web site. */
  async openSite(): Promise<void> {
    this.#site ??= await startInternalSite(this.ports.site);
  }

  /**
   * Starts the simulated Configuration Manager site. It keeps nothing: after each start its fleet is the same again. Its
   * dates go by the age of its token, which is made once: else every device would have changed by a start.
   */
  async openConfigurationManager(): Promise<ConfigurationManager> {
    const { authority, tokenFile } = this.layout.configurationManager;
    this.#configurationManager ??= await startConfigurationManager({
      port: this.ports.configurationManager,
      token: readFileSync(tokenFile, "utf8"),
      caFile: authority,
      given: {
        since: Math.floor(statSync(tokenFile).mtimeMs),
        ...this.#options.configurationManager,
      },
    });
    return this.#configurationManager;
  }

  /** Starts a service from its files and waits until it is ready. Throws `service-failed`. */
  async launch(service: SuiteService): Promise<void> {
    const { configFile, stateFolder, logFile } = this.layout.of(service);
    const { onLine } = this.#options;
    const started = await ChildService.start({
      name: service,
      entry: entryOf(service),
      configFile,
      stateFolder,
      logFile,
      ...(onLine && { onLine: (line) => onLine(service, line) }),
    });
    this.#services.set(service, started);
  }

  /** The control plane first, so that the connectors find it; then the connectors. */
  async launchAll(): Promise<void> {
    await this.launch("control-plane");
    await this.launchConnectors();
  }

  /** The cert-connector first, so that the gateway finds its revocation list at the first look. */
  async launchConnectors(): Promise<void> {
    await this.launch("cert-connector");
    await allSettled([this.launch("tunnel-gateway"), this.launch("comgmt-bridge")]);
  }

  /** Stops a service as an administrator would, or kills it without a word. */
  async halt(service: SuiteService, how: "stop" | "kill" = "stop"): Promise<void> {
    await this.#services.get(service)?.[how]();
    this.#services.delete(service);
    if (service === "control-plane") this.#graph = undefined;
  }

  /** Resolves with the first service that ends without having been told to. */
  async untilOneEnds(): Promise<ChildService> {
    return Promise.race(
      [...this.#services.values()].map(async (service) => {
        await service.ended;
        return service;
      }),
    );
  }

  /** The control plane's API as the first administrator. */
  graph(): Promise<GraphClient> {
    this.#graph ??= GraphClient.signIn({
      url: new URL(`https://${HOST}:${this.ports.controlPlane}`),
      authority: this.read("control-plane", "ca.pem"),
      userName: ADMINISTRATOR,
      password: this.read("control-plane", "initial-admin-password").trim(),
    });
    return this.#graph;
  }

  /** A file of a service's state folder. */
  read(service: SuiteService, file: string): string {
    return readFileSync(join(this.layout.of(service).stateFolder, file), "utf8");
  }

  /** The cert-connector's SCEP front door of the demonstration's profile. */
  scepServer(): Promise<ScepServer> {
    return findScepServer(`http://127.0.0.1:${this.ports.scep}/scep/${DEMO.profileId}`);
  }

  tunnelDevice(identity: DeviceIdentity): TunnelDevice {
    return {
      gateway: { host: HOST, port: this.ports.tunnel },
      gatewayAuthority: readFileSync(this.layout.tls.authority, "utf8"),
      ...identityToPem(identity),
    };
  }

  /** Asks the gateway for a connection to a host of the internal site, with a device's certificate. */
  connect(identity: DeviceIdentity, host: string): Promise<TunnelAnswer> {
    return openTunnel(this.tunnelDevice(identity), `${host}:${this.ports.site}`);
  }

  /** The connectors first, so that they can tell the control plane what they did last. */
  async [Symbol.asyncDispose](): Promise<void> {
    await allSettled(SERVICES.map((service) => this.halt(service)));
    await this.halt("control-plane");
    await this.#site?.[Symbol.asyncDispose]();
    this.#site = undefined;
    await this.#configurationManager?.[Symbol.asyncDispose]();
    this.#configurationManager = undefined;
  }
}

/** The program of a service. */
export function entryOf(service: SuiteService): string {
  return join(import.meta.dirname, "../..", service, "src/main.ts");
}

/** Throws `service-missing` for a connector whose id the record lacks. */
export function connectorId(ids: Readonly<Partial<Record<Service, string>>>, of: Service): string {
  const id = ids[of];
  if (id !== undefined) return id;
  throw new ConnectorError("service-missing", `suite.json has no connector id for ${of}`);
}
