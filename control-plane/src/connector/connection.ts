import { ConnectorError, codeOf, ProtocolError } from "@isthmus/shared/errors";
import type { Frame } from "@isthmus/shared/link/frame-list";
import { readFromConnector } from "@isthmus/shared/link/message-codec";
import type { FromConnector, FromControlPlane } from "@isthmus/shared/link/messages";
import { healthSnapshot, PING_INTERVAL_MS, SILENCE_LIMIT_MS } from "@isthmus/shared/link/messages";
import type {
  Admission,
  HealthReport,
  LeaseClaim,
  Refusal,
  SessionKey,
  Sighting,
} from "../core/link-records.ts";
import type { Hello } from "./admission.ts";
import { admit } from "./admission.ts";
import { CREDIT_COMMANDS, Delivery } from "./delivery.ts";
import { CREDIT_BYTES, Ingest } from "./ingest.ts";
import type { LinkContext } from "./link-context.ts";
import type { LinkPeer, PeerOwner } from "./link-peer.ts";
import type { RegisteredConnection } from "./session-registry.ts";

/** Own limits: how long a hello and the answer to a probe may take, and messages that wait for their turn. */
const HELLO_TIMEOUT_MS = 15_000;
const PROBE_TIMEOUT_MS = 3_000;
const MAX_WAITING_MESSAGES = 256;

/** What exists from the welcome on. */
interface Open {
  readonly key: SessionKey;
  readonly ingest: Ingest;
  readonly delivery: Delivery;
}

/**
 * One connector's connection, from the nonce to its end:
 *
 *     greeting ──hello──▶ being admitted ──▶ open ──▶ closed
 *                              └──refused──────────────▲
 *
 * It has no timer of its own: the endpoint's one tick looks at its deadlines.
 */
export class Connection implements PeerOwner, RegisteredConnection {
  readonly #context: LinkContext;
  readonly #peer: LinkPeer;
  #stage: "greeting" | "admitting" | "open" | "closed" = "greeting";
  #nonce: string;
  #open: Open | undefined;
  readonly #openedAt = performance.now();
  #heardAt = this.#openedAt;
  #heardAtWall: number;
  #pingedAt = 0;
  #probe: { readonly id: number; readonly resolve: (isAlive: boolean) => void } | undefined;
  #work: Promise<void> | undefined;
  #waiting = 0;
  /** What the connector said last of its health, until it is stored. */
  #health: HealthReport | undefined;

  constructor(context: LinkContext, peer: LinkPeer) {
    this.#context = context;
    this.#peer = peer;
    this.#heardAtWall = context.clock.now();
    this.#nonce = context.random.bytes(32).toString("base64url");
    context.sessions.add(this);
  }

  /** Sends the nonce. */
  begin(): void {
    this.#send({ type: "nonce", nonce: this.#nonce, serverTimeMs: this.#context.clock.now() });
  }

  get isWelcome(): boolean {
    return this.#open !== undefined;
  }

  get sighting(): Sighting | undefined {
    return this.#open && { ...this.#open.key, at: this.#heardAtWall };
  }

  wake(): void {
    this.#open?.delivery.wake();
  }

  isAlive(): Promise<boolean> {
    if (this.#stage !== "open" || this.#probe !== undefined) return Promise.resolve(false);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    // Only the answer to this very ping counts: other frames may have been on their way from a process that is gone.
    const id = this.#context.random.bytes(6).readUIntBE(0, 6);
    const timer = setTimeout(() => resolve(false), PROBE_TIMEOUT_MS);
    this.#probe = { id, resolve };
    this.#send({ type: "ping", id });
    return promise.finally(() => {
      clearTimeout(timer);
      this.#probe = undefined;
    });
  }

  tick(nowMs: number): void {
    const silentMs = nowMs - this.#heardAt;
    // Whatever else is said: who only pings would hold a place among the few that strangers have.
    if (this.#stage === "greeting" && nowMs - this.#openedAt > HELLO_TIMEOUT_MS) this.close();
    else if (silentMs > SILENCE_LIMIT_MS) this.close();
    else if (silentMs > PING_INTERVAL_MS && nowMs - this.#pingedAt > PING_INTERVAL_MS) {
      this.#pingedAt = nowMs;
      this.#send({ type: "ping", id: Math.floor(nowMs) });
    }
  }

  refuse(refusal: Refusal): void {
    this.#send({ type: "refused", ...refusal });
    this.close();
  }

  close(): void {
    this.#peer.close();
    this.#end();
  }

  onFrame(frame: Frame): void {
    if (this.#stage === "closed") return;
    this.#heardAt = performance.now();
    this.#heardAtWall = this.#context.clock.now();
    try {
      if (typeof frame === "string") this.#hear(frame);
      else this.#ingest().add(frame);
    } catch (error) {
      this.#fail(error);
    }
  }

  onClosed(): void {
    this.#end();
  }

  #ingest(): Ingest {
    if (this.#open !== undefined) return this.#open.ingest;
    throw new ProtocolError("link-handshake", "a batch before the welcome");
  }

  #hear(text: string): void {
    const { message, unsupported } = readFromConnector(text);
    if (message === undefined) this.#send({ type: "unsupported", of: unsupported });
    else if (message.type === "ping") this.#send({ type: "pong", id: message.id });
    else if (message.type === "pong") this.#hearPong(message.id);
    else if (message.type === "unsupported") this.#note(message.of);
    else if (message.type === "hello") this.#hearHello(message);
    else this.#handle(message, this.#opened());
  }

  #hearPong(id: number): void {
    if (this.#probe?.id === id) this.#probe.resolve(true);
  }

  #note(of: string): void {
    this.#context.log.info({ ...this.#open?.key, of }, "link.unsupported");
  }

  #hearHello(hello: Hello): void {
    if (this.#stage !== "greeting") {
      throw new ProtocolError("link-handshake", "a second hello on one connection");
    }
    this.#stage = "admitting";
    this.#greet(hello).catch((error: unknown) => this.#fail(error));
  }

  async #greet(hello: Hello): Promise<void> {
    const admitted = await admit(this.#context, hello, this.#nonce);
    this.#nonce = "";
    if (admitted.refusal !== undefined) {
      const { code } = admitted.refusal;
      this.#context.log.info({ connectorId: hello.connectorId, code }, "connector.turned-away");
      this.refuse(admitted.refusal);
      return;
    }
    this.#welcome(hello, admitted.admission, admitted.protocol);
  }

  #welcome(hello: Hello, admission: Admission, protocol: number): void {
    const { sessionNo } = admission;
    const key = { connectorId: hello.connectorId, sessionNo };
    const context = this.#context;
    const peer = this.#peer;
    if (this.#stage === "closed") {
      this.#endSession(key);
      return;
    }
    const send = (message: FromControlPlane) => this.#send(message);
    const onFailed = (error: unknown) => this.#fail(error);
    const { configurationVersion } = hello;
    const common = { context, session: key, peer, send, onFailed };
    const delivery = new Delivery({ ...common, configurationVersion });
    const onCommandsEnded = (ids: readonly string[]) => delivery.answered(ids);
    const ingest = new Ingest({ ...common, onCommandsEnded });
    this.#stage = "open";
    this.#open = { key, ingest, delivery };
    context.sessions.open(key.connectorId, this);
    send({
      type: "welcome",
      sessionNo,
      protocol,
      epoch: admission.epoch,
      lastAppliedSeq: { ...admission.lastAppliedSeq },
      commandSeq: admission.commandSeq,
      credit: { commands: CREDIT_COMMANDS, bytes: CREDIT_BYTES },
      configurationVersion: admission.configurationVersion,
      serverTimeMs: context.clock.now(),
    });
    const { isFirst, isRestored } = admission;
    context.log.info({ ...key, isFirst, isRestored }, "connector.connected");
    // A new gateway, and one whose state went back, have to be told of all devices.
    if (isFirst || isRestored) context.unsignedCommands.nudge();
    delivery.wake();
  }

  #opened(): Open {
    if (this.#open !== undefined) return this.#open;
    throw new ProtocolError("link-handshake", "a message before the welcome");
  }

  #handle(message: Exclude<FromConnector, { type: Handled }>, { key, delivery }: Open): void {
    const { store, clock } = this.#context;
    const now = clock.now();
    switch (message.type) {
      case "command-gap":
        delivery.fillGap({ from: message.from, to: message.to });
        break;
      case "command-progress": {
        const { id, state, waitsFor } = message;
        this.#later(() => store.run("noteCommandProgress", { ...key, id, state, waitsFor, now }));
        delivery.answered([id]);
        break;
      }
      case "configuration-state": {
        const { version, error, state } = message;
        const refused = { code: error?.code ?? "refused", message: error?.message ?? "" };
        const report = { ...key, version, now, error: state === "applied" ? undefined : refused };
        this.#later(() => store.run("storeConfigurationReport", report));
        break;
      }
      case "audit-head":
        this.#later(() => this.#countersign({ ...key, ...message, now }));
        break;
      case "lease-wanted":
        // A bridge that stops gives its leases up and closes: the last word counts, however late its turn comes.
        this.#later(() => this.#answerLease({ ...key, ...message, now }), message.isGivenUp);
        break;
      case "state":
        this.#hearState(message, key, now);
        break;
    }
  }

  #hearState(message: Extract<FromConnector, { type: "state" }>, key: SessionKey, now: number) {
    const { stream, digest, snapshot } = message;
    if (stream !== "health") {
      this.#send({ type: "unsupported", of: `state:${stream}` });
      return;
    }
    const parsed = snapshot === undefined ? undefined : healthSnapshot.safeParse(snapshot);
    if (parsed?.success === false) {
      throw new ProtocolError("link-message-invalid", "the health snapshot is invalid");
    }
    const json = parsed && JSON.stringify(parsed.data);
    // Only the last one counts: snapshots that come faster than they are stored do not pile up.
    const isWaiting = this.#health !== undefined;
    this.#health = { ...key, digest, snapshot: json, now };
    if (isWaiting) return;
    this.#later(async () => {
      const report = this.#health;
      this.#health = undefined;
      if (report === undefined) return;
      const { isSnapshotWanted } = await this.#context.store.run("storeHealth", report);
      if (isSnapshotWanted) this.#send({ type: "state-wanted", stream });
    });
  }

  async #answerLease(claim: LeaseClaim): Promise<void> {
    const answer = await this.#context.store.run("renewLease", claim);
    this.#send(answer ?? { type: "unsupported", of: "lease-wanted" });
  }

  /** A receipt that cannot be had now (the signer is away) is asked for again with the next head. */
  async #countersign(claim: SessionKey & { index: number; hash: string; now: number }) {
    const { store, signer, log } = this.#context;
    const { connectorId, index, hash, now } = claim;
    const verdict = await store.run("judgeAuditHead", claim);
    if (verdict === "fork") log.warn({ connectorId, index }, "connector.audit-forked");
    if (verdict !== "countersign") return;
    try {
      const jws = await signer.signAuditHead({ aud: connectorId, index, hash, receivedAt: now });
      await store.run("storeAuditHead", { ...claim, jws });
      this.#send({ type: "countersigned", jws });
    } catch (error) {
      log.warn({ connectorId, code: codeOf(error) }, "connector.audit-head-not-signed");
    }
  }

  #send(message: FromControlPlane): void {
    if (this.#stage !== "closed") this.#peer.send(JSON.stringify(message));
  }

  /** In turn, one after the other, while the connection is open or where it is owed all the same. */
  #later(step: () => Promise<void>, isOwed = false): void {
    if (this.#waiting >= MAX_WAITING_MESSAGES) {
      throw new ProtocolError("link-credit-exceeded", `over ${MAX_WAITING_MESSAGES} messages wait`);
    }
    this.#waiting += 1;
    this.#work = (this.#work ?? Promise.resolve())
      .then(() => (this.#stage === "open" || isOwed ? step() : undefined))
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#waiting -= 1;
      });
  }

  #fail(error: unknown): void {
    if (this.#stage === "closed") return;
    const code = codeOf(error);
    if (error instanceof ConnectorError) {
      this.#context.log.info({ ...this.#open?.key, code, err: error }, "link.ended-by-error");
      this.refuse({ code, message: error.message.slice(0, 1_024), isFinal: false });
    } else {
      this.#context.log.error({ ...this.#open?.key, err: error }, "link.failed");
      this.refuse({ code, message: "an unexpected error", isFinal: false });
    }
  }

  #end(): void {
    if (this.#stage === "closed") return;
    this.#stage = "closed";
    this.#probe?.resolve(false);
    this.#context.sessions.remove(this, this.#open?.key.connectorId);
    if (this.#open === undefined) return;
    this.#open.ingest.stop();
    this.#open.delivery.stop();
    this.#endSession(this.#open.key);
  }

  #endSession(key: SessionKey): void {
    const { store, log } = this.#context;
    store.run("endSession", { ...key, at: this.#heardAtWall }).catch((error: unknown) => {
      log.warn({ ...key, code: codeOf(error) }, "connector.end-not-stored");
    });
  }
}

/** Kinds that need no open session. */
type Handled = "ping" | "pong" | "unsupported" | "hello";
