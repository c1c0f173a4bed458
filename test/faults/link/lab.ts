import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { LinkOptions } from "@isthmus/shared/link/connector-link";
import type { LinkHooks } from "@isthmus/shared/link/link-hooks";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import {
  type ConnectorEnd,
  type ConnectorStore,
  type Enrolled,
  enrolConnector,
  openConnectorStore,
  startConnector,
} from "./connector-end.ts";
import { ControlPlaneEnd } from "./control-plane-end.ts";
import { RawConnector } from "./raw-connector.ts";
import { makeServerTls, type ServerTls } from "./tls.ts";

const DATABASE_FILES = [".db", ".db-wal", ".db-shm"];

function copyDatabase(name: string, from: string, to: string): void {
  for (const suffix of DATABASE_FILES) {
    const file = join(from, name + suffix);
    if (existsSync(file)) copyFileSync(file, join(to, name + suffix));
  }
}

/** Both ends of one link on loopback, each of which can be stopped, started, copied and restored. */
export class Lab implements AsyncDisposable {
  readonly folder: Disposable & { readonly path: string };
  readonly tls: ServerTls;
  readonly enrolled: Enrolled;
  cloud: ControlPlaneEnd;
  store: ConnectorStore;
  connector: ConnectorEnd | undefined;
  readonly #port: number;

  static async start(service: Enrolled["service"] = "cert-connector"): Promise<Lab> {
    const folder = temporaryFolder();
    const tls = await makeServerTls();
    const cloud = await ControlPlaneEnd.start({ folder: folder.path, tls });
    const enrolled = await enrolConnector(cloud, service);
    return new Lab(folder, tls, cloud, enrolled, await openConnectorStore(folder.path));
  }

  private constructor(
    folder: Disposable & { readonly path: string },
    tls: ServerTls,
    cloud: ControlPlaneEnd,
    enrolled: Enrolled,
    store: ConnectorStore,
  ) {
    this.#port = cloud.port;
    this.folder = folder;
    this.tls = tls;
    this.cloud = cloud;
    this.enrolled = enrolled;
    this.store = store;
  }

  get connectorId(): string {
    return this.enrolled.answer.connectorId;
  }

  /** Starts the connector and waits until it is connected. */
  async connect(
    hooks: Partial<LinkHooks> = {},
    options: Partial<LinkOptions> = {},
  ): Promise<ConnectorEnd> {
    const connector = await this.begin(hooks, options);
    await until(() => connector.link.state().connected, "the connection");
    return connector;
  }

  /** Starts the connector and does not wait. */
  async begin(
    hooks: Partial<LinkHooks> = {},
    options: Partial<LinkOptions> = {},
  ): Promise<ConnectorEnd> {
    const { enrolled, store } = this;
    this.connector = await startConnector({ enrolled, store, hooks, options });
    return this.connector;
  }

  /** A connector played by hand, with this connector's identity. */
  raw(
    of: { readonly bootId?: string; readonly privateKey?: KeyObject } = {},
  ): Promise<RawConnector> {
    return RawConnector.open({ enrolled: this.enrolled, url: this.cloud.url, ...of });
  }

  async disconnect(): Promise<void> {
    await this.connector?.[Symbol.asyncDispose]();
    this.connector = undefined;
  }

  /** Stops the control plane. The port stays known, so that `restartCloud` is found again. */
  async stopCloud(): Promise<void> {
    await this.cloud[Symbol.asyncDispose]();
  }

  /** Starts it again on the same port; `hasOtherCa` and `tenantKey` make it another one. */
  async restartCloud(
    of: {
      readonly hasNoWebSockets?: boolean;
      readonly hasOtherCa?: boolean;
      readonly tenantKey?: KeyObject;
    } = {},
  ): Promise<void> {
    this.cloud = await ControlPlaneEnd.start({
      folder: this.folder.path,
      tls: of.hasOtherCa ? await makeServerTls() : this.tls,
      tenantKey: of.tenantKey ?? this.cloud.tenantKey,
      port: this.#port,
      hasNoWebSockets: of.hasNoWebSockets ?? false,
    });
  }

  /** A control plane that answers in the place of the first with a tenant key of its own. */
  async replaceTenantKey(): Promise<ControlPlaneEnd> {
    await this.stopCloud();
    await this.restartCloud({ tenantKey: generateKeyPairSync("ed25519").privateKey });
    return this.cloud;
  }

  /** Copies the connector's state as it is now; the connector is stopped for it. */
  async backUpConnector(): Promise<string> {
    return await this.#copyOf("connector", () => this.#closeStore());
  }

  /** Puts the connector's state back to a copy. */
  async restoreConnector(backup: string): Promise<void> {
    await this.#closeStore();
    this.#put("connector", backup);
    this.store = await openConnectorStore(this.folder.path);
  }

  /** A second store with the same state, as a cloned machine has it. */
  async cloneStore(): Promise<ConnectorStore> {
    const folder = await this.backUpConnector();
    return await openConnectorStore(folder);
  }

  /** Copies the control plane's state as it is now; the control plane is stopped for it and started again. */
  async backUpCloud(): Promise<string> {
    const backup = await this.#copyOf("control-plane", () => this.stopCloud());
    await this.restartCloud();
    return backup;
  }

  /** Puts the control plane's state back to a copy and starts it. */
  async restoreCloud(backup: string): Promise<void> {
    await this.stopCloud();
    this.#put("control-plane", backup);
    await this.restartCloud();
  }

  async #closeStore(): Promise<void> {
    await this.disconnect();
    await this.store[Symbol.asyncDispose]();
  }

  async #copyOf(name: string, close: () => Promise<void>): Promise<string> {
    await close();
    const folder = mkdtempSync(join(this.folder.path, "copy-"));
    copyDatabase(name, this.folder.path, folder);
    if (name === "connector") this.store = await openConnectorStore(this.folder.path);
    return folder;
  }

  #put(name: string, backup: string): void {
    for (const suffix of DATABASE_FILES)
      rmSync(join(this.folder.path, name + suffix), { force: true });
    copyDatabase(name, backup, this.folder.path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.disconnect();
    await this.stopCloud().catch(() => undefined);
    await this.store[Symbol.asyncDispose]();
    this.folder[Symbol.dispose]();
  }
}
