import type { Clock } from "../clock.ts";
import { ConnectorError, ProtocolError } from "../errors.ts";
import type { DownLane } from "./down-lane.ts";
import type { Frame } from "./frame-list.ts";
import type { LinkIdentity, Nonce, Welcome } from "./handshake.ts";
import { makeHello, readWelcome, refusalFrom } from "./handshake.ts";
import type { LeaseWanted } from "./inventory-messages.ts";
import type { Reconciled } from "./lane-operations.ts";
import type { LaneStore } from "./lane-store.ts";
import type { LinkHooks } from "./link-hooks.ts";
import type { LinkLog } from "./link-log.ts";
import type { LinkTransport, TransportListener } from "./link-transport.ts";
import { readFromControlPlane } from "./message-codec.ts";
import type { FromConnector, FromControlPlane } from "./messages.ts";
import { PING_INTERVAL_MS, SILENCE_LIMIT_MS } from "./messages.ts";
import { Reports } from "./reports.ts";
import type { Statements } from "./statements.ts";
import type { UpLane } from "./up-lane.ts";

/** Own limits: messages that wait for their turn, and how long the nonce and the welcome may take. */
const MAX_WAITING_MESSAGES = 256;
const NONCE_TIMEOUT_MS = 10_000;
const WELCOME_TIMEOUT_MS = 30_000;
/** Own choice: how soon it looks again, at the earliest. */
const LOOK_MS = 1_000;
const SILENCE_MS = { nonce: NONCE_TIMEOUT_MS, welcome: WELCOME_TIMEOUT_MS, open: SILENCE_LIMIT_MS };

export interface SessionOptions {
  readonly identity: LinkIdentity;
  /** The host that is dialled. */
  readonly channel: string;
  readonly capabilities: readonly string[];
  readonly store: LaneStore;
  readonly hooks: LinkHooks;
  readonly log: LinkLog;
  readonly clock: Clock;
  readonly upLane: UpLane;
  readonly downLane: DownLane;
  readonly statements: Statements;
  /** Called with what the handshake measured: the control plane's clock minus ours. */
  readonly onOffset: (ms: number) => void;
  /** Called when the session is open. */
  readonly onOpen: (welcome: Welcome) => void;
  /** Called with every sign of life. */
  readonly onHeard: () => void;
  readonly onEnded: (reason: ConnectorError | undefined) => void;
}

/**
 * One connection, from the nonce to its end:
 *
 *     waiting for nonce ──hello──▶ waiting for welcome ──lanes reconciled──▶ open ──▶ ended
 *
 * `ended` resolves once, with the reason.
 */
export class LinkSession implements TransportListener {
  readonly ended: Promise<ConnectorError | undefined>;
  readonly #options: SessionOptions;
  readonly #end: (reason: ConnectorError | undefined) => void;
  #transport: LinkTransport | undefined;
  #reports: Reports | undefined;
  #stage: "nonce" | "welcome" | "open" | "ended" = "nonce";
  #isOpening = false;
  #helloSentAt = 0;
  #helloSentMonotonic = 0;
  #heardAt = performance.now();
  #pingedAt = 0;
  #waiting = 0;
  #work: Promise<void> = Promise.resolve();
  #reporting: Promise<void> = Promise.resolve();
  #reportsUnderWay = 0;
  /** Done when every statement about a tenant key so far is followed: a command may be the first that the next key signed. */
  #trusted: Promise<void> = Promise.resolve();
  #refusal: ConnectorError | undefined;
  #looking: NodeJS.Timeout | undefined;

  constructor(options: SessionOptions) {
    const { promise, resolve } = Promise.withResolvers<ConnectorError | undefined>();
    this.ended = promise;
    this.#end = resolve;
    this.#options = options;
    this.#lookWhenDue();
  }

  /** Gives the session its transport, of which it is the listener. */
  begin(transport: LinkTransport): void {
    this.#transport = transport;
    if (this.#stage === "ended") transport.close();
  }

  /** Sends nothing more and ends. */
  close(): void {
    this.#leave(undefined);
  }

  /** Tells the state of a stream now, e.g. `health`. */
  wake(stream: string): void {
    if (this.#stage === "open" && stream === "health") this.#report((to) => to.health(true));
  }

  /** Sends a message that is worth nothing later; false where nobody would hear it. */
  tell(message: LeaseWanted): boolean {
    if (this.#stage !== "open") return false;
    this.#send(message);
    return true;
  }

  /** Ends a connection that is silent, asks for a sign of life, and reports, each where it is due. */
  tick(now = performance.now()): void {
    if (this.#stage === "ended") return;
    const silentMs = now - this.#heardAt;
    if (silentMs > SILENCE_MS[this.#stage]) {
      this.#leave(silent(this.#stage, silentMs));
      return;
    }
    if (this.#stage === "open") {
      if (now > this.#pingAt()) {
        this.#pingedAt = now;
        this.#send({ type: "ping", id: Math.floor(now) });
      }
      this.#report((to) => to.tick());
    }
    this.#lookWhenDue(now);
  }

  #pingAt(): number {
    return Math.max(this.#heardAt, this.#pingedAt) + PING_INTERVAL_MS;
  }

  /** Sets the one timer for what is due next: one that looked each second woke a connector that has nothing to do, all day. */
  #lookWhenDue(now = performance.now()): void {
    clearTimeout(this.#looking);
    if (this.#stage === "ended") return;
    const ends = this.#heardAt + SILENCE_MS[this.#stage];
    const next =
      this.#stage === "open" ? Math.min(ends, this.#pingAt(), this.#reports?.nextAt ?? now) : ends;
    // One more, since a time that is just reached is not over.
    this.#looking = setTimeout(() => this.tick(), Math.max(next - now + 1, LOOK_MS));
  }

  onFrame(frame: Frame): void {
    if (this.#stage === "ended") return;
    this.#heardAt = performance.now();
    this.#options.onHeard();
    try {
      this.#hear(frame);
    } catch (error) {
      this.#fail(error);
    }
  }

  onClose(reason: ConnectorError | undefined): void {
    this.#finish(this.#refusal ?? reason);
  }

  #hear(frame: Frame): void {
    if (typeof frame !== "string") {
      this.#send({ type: "unsupported", of: "binary" });
      return;
    }
    const { message, unsupported } = readFromControlPlane(frame);
    if (message === undefined) this.#send({ type: "unsupported", of: unsupported });
    else if (message.type === "refused") this.#leave(refusalFrom(message));
    else if (this.#stage === "open" && !this.#isOpening) this.#handle(message);
    else this.#handshake(message);
  }

  #handshake(message: FromControlPlane): void {
    if (message.type === "ping" || message.type === "pong") this.#handle(message);
    // What comes right behind the welcome waits until the lanes are reconciled.
    else if (this.#isOpening) this.#later(async () => this.#handle(message));
    else if (this.#stage === "welcome") {
      this.#isOpening = true;
      this.#later(() => this.#open(readWelcome(message)));
    } else if (message.type === "nonce") this.#later(() => this.#greet(message));
    else throw new ProtocolError("link-handshake", `got ${message.type}, expected nonce`);
  }

  async #greet(nonce: Nonce): Promise<void> {
    const { identity, channel, capabilities, store, hooks, clock } = this.#options;
    const lanes = await store.run("laneState");
    const hello = await makeHello({
      identity,
      channel,
      capabilities,
      nonce,
      lanes,
      configurationVersion: hooks.configurationVersion(),
      clockMs: clock.now(),
    });
    if (this.#stage === "ended") return;
    this.#stage = "welcome";
    this.#lookWhenDue();
    this.#helloSentAt = clock.now();
    this.#helloSentMonotonic = performance.now();
    this.#send(hello);
  }

  async #open(welcome: Welcome): Promise<void> {
    const { store, clock, upLane, downLane, hooks, log } = this.#options;
    const now = clock.now();
    // The server's clock was read about half-way between the hello and the welcome.
    this.#options.onOffset(welcome.serverTimeMs - (this.#helloSentAt + now) / 2);
    const { epoch, lastAppliedSeq, commandSeq } = welcome;
    const roundTripMs = performance.now() - this.#helloSentMonotonic;
    const reconciled = await store.run("reconcileLanes", {
      epoch,
      lastAppliedSeq,
      commandSeq,
      now,
    });
    if (this.#stage === "ended") return;
    this.#stage = "open";
    this.#noteRestore(reconciled, epoch);
    this.#reports = new Reports({ hooks, log, send: (message) => this.#send(message) });
    upLane.attach({
      creditBytes: welcome.credit.bytes,
      roundTripMs,
      cursors: reconciled.cursors,
      send: (frame) => this.#transport?.send(frame),
    });
    this.#options.onOpen(welcome);
    await downLane.attach({
      progress: (id, state, waitsFor) =>
        this.#send({ type: "command-progress", id, state, ...(waitsFor && { waitsFor }) }),
      askFor: ({ from, to }) => this.#send({ type: "command-gap", from, to }),
    });
    // Behind the messages that have waited for this, so that those that come now do not overtake them.
    this.#later(async () => {
      this.#isOpening = false;
    });
    this.#report((to) => to.tick());
  }

  #noteRestore({ isNewEpoch, forgottenCommands }: Reconciled, epoch: number): void {
    if (!isNewEpoch) return;
    this.#options.downLane.forgetWaiting();
    this.#options.hooks.onEvent({ event: "link.restored", epoch, forgottenCommands });
  }

  #handle(message: FromControlPlane): void {
    const { upLane, downLane, statements, hooks } = this.#options;
    switch (message.type) {
      case "command":
        this.#meanwhile(this.#trusted.then(() => downLane.receive(message.jws)));
        break;
      case "ack":
        this.#meanwhile(upLane.acknowledge(message.stream, message.seq, message.rejected));
        break;
      case "command-void":
        this.#meanwhile(
          this.#trusted.then(() => downLane.receiveVoid({ from: message.from, to: message.to })),
        );
        break;
      case "state-wanted":
        if (message.stream === "health") this.#report((to) => to.health(true));
        else this.#send({ type: "unsupported", of: `state-wanted:${message.stream}` });
        break;
      case "configuration":
        this.#later(async () => this.#sendIf(await statements.configuration(message.jws)));
        break;
      case "countersigned":
        this.#later(() => statements.countersigned(message.jws));
        break;
      case "trust":
        this.#later(() => statements.trust(message.jws));
        this.#trusted = this.#work;
        break;
      case "lease":
      case "inventory-differs":
        if (hooks.onInventory === undefined) this.#send({ type: "unsupported", of: message.type });
        else hooks.onInventory(message);
        break;
      case "unsupported":
        this.#options.log.warn({ of: message.of }, "link.unsupported");
        if (message.of.startsWith("stream:")) upLane.stop(message.of.slice("stream:".length));
        break;
      case "ping":
        this.#send({ type: "pong", id: message.id });
        break;
      case "pong":
        break;
      case "nonce":
      case "welcome":
      case "refused":
        throw new ProtocolError("link-handshake", `${message.type} after the handshake`);
    }
  }

  #send(message: FromConnector): void {
    this.#transport?.send(JSON.stringify(message));
  }

  #sendIf(message: FromConnector | undefined): void {
    if (message !== undefined) this.#send(message);
  }

  /** In turn, one after the other. */
  #later(step: () => Promise<void> | undefined): void {
    if (this.#waiting >= MAX_WAITING_MESSAGES) {
      throw new ProtocolError("link-credit-exceeded", `over ${MAX_WAITING_MESSAGES} messages wait`);
    }
    this.#waiting += 1;
    this.#work = this.#work
      .then(() => (this.#stage === "ended" ? undefined : step()))
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#waiting -= 1;
      });
  }

  /** Beside everything else, because health checks may take their time. One that waits already tells what is new, too. */
  #report(make: (to: Reports) => Promise<void>): void {
    const reports = this.#reports;
    if (reports === undefined || this.#reportsUnderWay > 1) return;
    this.#reportsUnderWay += 1;
    this.#reporting = this.#reporting
      .then(() => (this.#stage === "open" ? make(reports) : undefined))
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#reportsUnderWay -= 1;
        this.#lookWhenDue();
      });
  }

  #meanwhile(work: Promise<void>): void {
    work.catch((error: unknown) => this.#fail(error));
  }

  #fail(error: unknown): void {
    if (error instanceof ConnectorError) {
      this.#leave(error);
      return;
    }
    this.#options.log.error({ err: error }, "link.failed");
    const failed = new ConnectorError("internal", "the link failed", { isRetryable: true });
    this.#leave(failed);
  }

  #leave(reason: ConnectorError | undefined): void {
    this.#refusal ??= reason;
    const transport = this.#transport;
    this.#finish(reason);
    transport?.close();
  }

  #finish(reason: ConnectorError | undefined): void {
    if (this.#stage === "ended") return;
    this.#stage = "ended";
    clearTimeout(this.#looking);
    this.#options.upLane.detach();
    this.#options.downLane.detach();
    this.#options.onEnded(reason);
    this.#end(reason);
  }
}

function silent(stage: "nonce" | "welcome" | "open", ms: number): ConnectorError {
  const code = stage === "nonce" ? "link-no-nonce" : "link-silent";
  return new ConnectorError(code, `nothing came for ${Math.round(ms)} ms`, { isRetryable: true });
}
