import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { makeBatchFrame } from "@isthmus/shared/link/batch-frame";
import { parseEnrolmentToken } from "@isthmus/shared/link/enrolment-token";
import type { InventoryEntry, Lease, SourceType } from "@isthmus/shared/link/inventory-messages";
import { publicKeyOf, verifyJws } from "@isthmus/shared/link/jws";
import {
  type CommandResult,
  type CommandWait,
  enrolmentAnswer,
  enrolmentSigningInput,
  helloSigningInput,
  type IssuanceEvent,
  JWS_TYPES,
  type PublicKey,
  type Service,
  type SignedCommand,
  signedCommand,
  signedConfiguration,
  signedTrust,
} from "@isthmus/shared/link/messages";
import type { ActionEntry } from "@isthmus/shared/link/site-messages";
import { WebSocket } from "ws";
import type { ApiClient, ControlPlaneFixture } from "./control-plane-fixture.ts";

/** A connector for tests that keeps what it is told and says what it is told to say. It verifies every signature. */
export class ConnectorFixture implements AsyncDisposable {
  readonly id: string;
  readonly commands: SignedCommand[] = [];
  readonly configurations: unknown[] = [];
  /** Types of the signed messages, as they came. */
  readonly received: string[] = [];
  readonly #plane: ControlPlaneFixture;
  readonly #key: KeyObject;
  #tenantKey: PublicKey;
  readonly #lastSeq: Record<string, number> = {};
  readonly #onLease = new Map<string, (lease: Lease) => void>();
  #epoch = 0;
  #boots = 0;
  #taking = Promise.resolve();
  #socket: WebSocket | undefined;

  private constructor(
    id: string,
    plane: ControlPlaneFixture,
    key: KeyObject,
    tenantKey: PublicKey,
  ) {
    this.id = id;
    this.#plane = plane;
    this.#key = key;
    this.#tenantKey = tenantKey;
  }

  /** Enrols with a token made for it. */
  static async enrol(
    plane: ControlPlaneFixture,
    admin: ApiClient,
    service: Service,
  ): Promise<ConnectorFixture> {
    const { token } = await admin.post("/enrolmentTokens", { service }, 201);
    const { secret } = parseEnrolmentToken(token);
    const key = generateKeyPairSync("ed25519").privateKey;
    const publicKey = publicKeyOf(key);
    const proof = sign(null, enrolmentSigningInput({ secret, service, x: publicKey.x }), key);
    const signature = proof.toString("base64url");
    const { body } = await plane.send("/enrol", {
      method: "POST",
      body: { secret, service, displayName: service, publicKey, signature },
    });
    const [, payload = ""] = String(body.jws).split(".");
    const answer = enrolmentAnswer.parse(JSON.parse(Buffer.from(payload, "base64url").toString()));
    await verifyJws(body.jws, JWS_TYPES.enrolment, [answer.tenantKey]);
    return new ConnectorFixture(answer.connectorId, plane, key, answer.tenantKey);
  }

  /** Connects as a new process would; resolves once welcome. */
  connect({ isNewEpoch = false } = {}): Promise<void> {
    if (isNewEpoch) this.#epoch += 1;
    this.#boots += 1;
    const socket = new WebSocket(`${this.#plane.url.replace("https", "wss")}/link`, {
      ca: readFileSync(join(this.#plane.folder, "ca.pem")),
    });
    this.#socket = socket;
    return new Promise((resolve, reject) => {
      socket.on("error", reject);
      socket.on("close", () => reject(new Error("the link closed before its welcome")));
      socket.on("message", (data: Buffer, isBinary: boolean) => {
        if (isBinary) return;
        const message = JSON.parse(data.toString());
        if (message.type === "refused") reject(new Error(message.code));
        if (message.type === "welcome") resolve();
        // One after the other, as they came.
        this.#taking = this.#taking.then(() => this.#take(message)).catch(reject);
      });
    });
  }

  // biome-ignore lint/suspicious/noExplicitAny: messages of every type, as they come
  async #take(message: any): Promise<void> {
    if (message.type === "nonce") this.#greet(message.nonce);
    if ("jws" in message) this.received.push(message.type);
    if (message.type === "lease" && message.isHeld) this.#onLease.get(message.source)?.(message);
    if (message.type === "trust") {
      const payload = await verifyJws(message.jws, JWS_TYPES.trust, [this.#tenantKey]);
      this.#tenantKey = signedTrust.parse(payload).tenantKey;
    }
    if (message.type === "command") {
      const payload = await verifyJws(message.jws, JWS_TYPES.command, [this.#tenantKey]);
      const command = signedCommand.parse(payload);
      const isKnown = this.commands.some(({ id }) => id === command.id);
      if (!isKnown) this.commands.push(command);
    }
    if (message.type === "configuration") {
      const payload = await verifyJws(message.jws, JWS_TYPES.configuration, [this.#tenantKey]);
      this.configurations.push(signedConfiguration.parse(payload).configuration);
    }
  }

  #greet(nonce: string): void {
    const [connectorId, bootId, channel] = [this.id, `boot-${this.#boots}`, "localhost"];
    const signed = helloSigningInput({ nonce, connectorId, bootId, channel });
    this.#send({
      type: "hello",
      connectorId,
      bootId,
      channel,
      epoch: this.#epoch,
      protocol: { min: 1, max: 1 },
      capabilities: [],
      lastSeq: this.#lastSeq,
      commandSeq: Math.max(0, ...this.commands.map(({ seq }) => seq)),
      configurationVersion: 0,
      clockMs: Date.now(),
      signature: sign(null, signed, this.#key).toString("base64url"),
    });
  }

  #send(message: unknown): void {
    this.#socket?.send(JSON.stringify(message));
  }

  /** Reports how a command ended. */
  report(result: Omit<CommandResult, "endedAt">): Promise<void> {
    return this.#append("commands", { ...result, endedAt: Date.now() });
  }

  /** Reports what happened to a certificate. */
  issuance(event: IssuanceEvent): Promise<void> {
    return this.#append("issuance", event);
  }

  /** Asks for the lease of a source and answers it once it is held. */
  lease(source: string, sourceType: SourceType): Promise<Lease> {
    const held = new Promise<Lease>((resolve) => this.#onLease.set(source, resolve));
    this.#send({ type: "lease-wanted", source, sourceType, lease: 0 });
    return held;
  }

  giveUpLease(source: string, sourceType: SourceType): void {
    this.#send({ type: "lease-wanted", source, sourceType, lease: 0, isGivenUp: true });
  }

  /** Tells of inventory. */
  inventory(...entries: readonly InventoryEntry[]): Promise<void> {
    return this.#append("inventory", ...entries);
  }

  /** Tells how actions at a site fare. */
  actions(...entries: readonly ActionEntry[]): Promise<void> {
    return this.#append("actions", ...entries);
  }

  /** Says that it has a command which waits for something, or (without a reason) that it runs it. */
  progress(id: string, waitsFor?: CommandWait): void {
    const state = waitsFor === undefined ? "running" : "accepted";
    this.#send({ type: "command-progress", id, state, ...(waitsFor && { waitsFor }) });
  }

  /** Says that a version of the configuration is in force, or why it is not. */
  configurationState(version: number, refusal?: string): void {
    const error = refusal === undefined ? {} : { error: { code: "refused", message: refusal } };
    const state = refusal === undefined ? "applied" : "refused";
    this.#send({ type: "configuration-state", version, state, ...error });
  }

  /** Sends its health. */
  health(
    status: "healthy" | "warning" | "unhealthy",
    told: {
      readonly figures?: Record<string, number>;
      readonly facts?: Record<string, string>;
    } = {},
  ): void {
    const snapshot = {
      service: "tunnel-gateway",
      version: "1",
      startedAt: 0,
      checks: [{ name: "listener", status, reason: "it says so" }],
      figures: {},
      ...told,
    };
    const digest = createHash("sha256").update(JSON.stringify(snapshot)).digest("hex");
    this.#send({ type: "state", stream: "health", version: 1, digest, snapshot });
  }

  async #append(stream: string, ...entries: readonly unknown[]): Promise<void> {
    const firstSeq = (this.#lastSeq[stream] ?? 0) + 1;
    this.#lastSeq[stream] = firstSeq + entries.length - 1;
    const lines = entries.map((entry) => JSON.stringify(entry));
    this.#socket?.send(await makeBatchFrame({ stream, firstSeq, isAfterPruned: false, lines }));
  }

  /** Ends the connection as a crash would. */
  disconnect(): Promise<void> {
    const socket = this.#socket;
    return new Promise((resolve) => {
      if (socket === undefined || socket.readyState === WebSocket.CLOSED) return resolve();
      socket.once("close", () => resolve());
      socket.terminate();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.disconnect();
  }
}
