import {
  createHash,
  generateKeyPairSync,
  type KeyObject,
  randomUUID,
  X509Certificate,
} from "node:crypto";
import type { Server } from "node:https";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { LinkEndpoint } from "@isthmus/control-plane/connector/link-endpoint";
import type { operations } from "@isthmus/control-plane/store/module";
import { systemClock } from "@isthmus/shared/clock";
import { formatEnrolmentToken } from "@isthmus/shared/link/enrolment-token";
import { publicKeyOf, signJws, thumbprintOf } from "@isthmus/shared/link/jws";
import type { PublicKey, Service, SignedCommand } from "@isthmus/shared/link/messages";
import { JWS_TYPES } from "@isthmus/shared/link/messages";
import { systemRandom } from "@isthmus/shared/random";
import { openStore, type Store } from "@isthmus/shared/store/store";
import type { Row } from "@isthmus/shared/store/transaction";
import { silentLog } from "./silent-log.ts";
import type { ServerTls } from "./tls.ts";

const HOUR_MS = 3_600_000;

/** A control plane that has nothing but its end of the link: real store, real TLS, the tenant key at hand. */
export class ControlPlaneEnd implements AsyncDisposable {
  readonly store: Store<typeof operations>;
  readonly endpoint: LinkEndpoint;
  readonly tenantKey: KeyObject;
  readonly #server: Server;
  readonly #tls: ServerTls;
  #signing: Promise<void> = Promise.resolve();

  static async start(of: {
    readonly folder: string;
    readonly tls: ServerTls;
    readonly tenantKey?: KeyObject;
    readonly port?: number;
    /** Answers WebSockets as a proxy does that knows none. */
    readonly hasNoWebSockets?: boolean;
  }): Promise<ControlPlaneEnd> {
    const store = await openStore<typeof operations>({
      file: join(of.folder, "control-plane.db"),
      module: new URL(import.meta.resolve("@isthmus/control-plane/store/module")),
    });
    const tenantKey = of.tenantKey ?? generateKeyPairSync("ed25519").privateKey;
    const server = createServer({ cert: of.tls.cert, key: of.tls.key });
    await new Promise<void>((resolve) => {
      server.listen(of.port ?? 0, "127.0.0.1", resolve);
    });
    const end = new ControlPlaneEnd(store, server, of.tls, tenantKey);
    await end.endpoint.start();
    if (!of.hasNoWebSockets) end.endpoint.attach(server);
    return end;
  }

  private constructor(
    store: Store<typeof operations>,
    server: Server,
    tls: ServerTls,
    tenantKey: KeyObject,
  ) {
    this.store = store;
    this.tenantKey = tenantKey;
    this.#server = server;
    this.#tls = tls;
    this.endpoint = new LinkEndpoint({
      store,
      signer: {
        tenantKey: async () => this.tenantPublicKey,
        signAuditHead: (head) => signJws(head, JWS_TYPES.auditHead, tenantKey),
        signEnrolment: (answer) => signJws(answer, JWS_TYPES.enrolment, tenantKey),
      },
      unsignedCommands: { nudge: () => void this.sign() },
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      names: ["localhost", "127.0.0.1"],
      linkUrl: this.url,
      caPem: tls.ca,
    });
    server.on("request", (request, response) => {
      if (!this.endpoint.handle(request, response)) response.writeHead(404).end();
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `wss://localhost:${this.port}/link`;
  }

  get ca(): string {
    return this.#tls.ca;
  }

  get tenantPublicKey(): PublicKey {
    return publicKeyOf(this.tenantKey);
  }

  /** A one-time token as an administrator hands it over. */
  async token(service: Service, validForMs = HOUR_MS): Promise<string> {
    const secret = randomUUID().replaceAll("-", "");
    await this.store.run("createEnrolmentToken", {
      secretHash: createHash("sha256").update(secret).digest("hex"),
      service,
      displayName: "test",
      expiresAt: Date.now() + validForMs,
      actor: "test",
      now: Date.now(),
    });
    return formatEnrolmentToken({
      url: `https://localhost:${this.port}`,
      secret,
      tenantKey: thumbprintOf(this.tenantPublicKey),
      caSha256: createHash("sha256").update(new X509Certificate(this.ca).raw).digest("hex"),
    });
  }

  /** Queues a command, signs it and has it delivered. Returns its id. */
  async command(
    connectorId: string,
    kind: string,
    of: Partial<
      Pick<SignedCommand, "payload" | "notBefore" | "expiresAt" | "supersedes" | "id">
    > = {},
  ): Promise<string> {
    const now = Date.now();
    const { id = randomUUID(), payload = {}, notBefore = now, expiresAt = now + HOUR_MS } = of;
    const { supersedes = [] } = of;
    const command = { id, connectorId, kind, payload, supersedes, actor: "test", now };
    await this.store.run("insertCommand", { ...command, notBefore, expiresAt });
    await this.sign();
    return id;
  }

  /** Signs what waits, as the loop of the control plane does. */
  sign(): Promise<void> {
    this.#signing = this.#signing.then(() => this.#signRound());
    return this.#signing;
  }

  async #signRound(): Promise<void> {
    const unsigned = await this.store.run("takeUnsignedCommands", { limit: 100 });
    for (const { connectorId, ...command } of unsigned) {
      const statement = { ...command, aud: connectorId };
      const jws = await signJws(statement, JWS_TYPES.command, this.tenantKey);
      await this.store.run("storeCommandSignature", { id: command.id, jws });
      this.endpoint.wake(connectorId);
    }
  }

  /** Puts a configuration in the store, signs it and has it delivered. Returns its version. */
  async configure(connectorId: string, service: Service, configuration: unknown): Promise<number> {
    const act = { actor: "test", now: Date.now() };
    const { version } = await this.store.run("writeConfiguration", {
      connectorId,
      configuration,
      ...act,
    });
    const statement = { aud: connectorId, version, service, issuedAt: act.now, configuration };
    const jws = await signJws(statement, JWS_TYPES.configuration, this.tenantKey);
    await this.store.run("storeConfigurationSignature", { connectorId, version, jws });
    this.endpoint.wake(connectorId);
    return version;
  }

  async rows(sql: string, ...values: (string | number)[]): Promise<Row[]> {
    return await this.store.query<Row>(sql, values, 10_000);
  }

  async row(sql: string, ...values: (string | number)[]): Promise<Row | undefined> {
    return (await this.rows(sql, ...values))[0];
  }

  async commandState(id: string): Promise<string | undefined> {
    const row = await this.row("SELECT state FROM command WHERE id = ?", id);
    return row && String(row["state"]);
  }

  /** Cuts every connection, as a network does. */
  cut(): void {
    this.#server.closeAllConnections();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.endpoint[Symbol.asyncDispose]();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    await this.store[Symbol.asyncDispose]();
  }
}
