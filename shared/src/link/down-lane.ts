import { setTimeout as delay } from "node:timers/promises";
import type { Clock } from "../clock.ts";
import { ConnectorError, codeOf, ProtocolError, RefusalError } from "../errors.ts";
import type { Gap } from "./command-lane.ts";
import { CommandQueue } from "./command-queue.ts";
import type { CommandRunner } from "./command-runner.ts";
import { CommandExecutor } from "./command-runner.ts";
import { verifyJws } from "./jws.ts";
import type { LaneStore } from "./lane-store.ts";
import type { LinkLog } from "./link-log.ts";
import type { CommandState, CommandWait, PublicKey, SignedCommand } from "./messages.ts";
import { JWS_TYPES, signedCommand } from "./messages.ts";

/** Own limits: commands being verified and stored, and running at once. */
const MAX_RECEIVING = 64;
const MAX_RUNNING = 8;
const RETRY_MS = 1_000;
/** How long a stop waits for commands that run. */
const STOP_PATIENCE_MS = 5_000;

/** What the lane tells whoever is connected; nothing is lost when nobody is. */
export interface DownConnection {
  progress(id: string, state: CommandState, waitsFor?: CommandWait): void;
  askFor(gap: Gap): void;
}

export interface DownLaneOptions {
  readonly connectorId: string;
  readonly store: LaneStore;
  readonly runner: CommandRunner;
  readonly tenantKeys: () => readonly PublicKey[];
  readonly clock: Clock;
  /** The control plane's time, by which expiries are judged. */
  readonly cloudNow: () => number;
  readonly log: LinkLog;
  /** Called when a result was put into the `commands` stream. */
  readonly onReported: () => void;
  /** Called for a command that does not prove to be one for this connector. */
  readonly onRejected: (error: ConnectorError) => void;
  /** Called for commands that are missing; `isVoid` when the control plane claims that there are none. */
  readonly onGap: (gap: Gap, isVoid: boolean) => void;
}

/**
 * Takes commands: signature, then the inbox, then in the order of their seq guardrails, intent, effect, result, report. Commands of
 * one kind run one after the other. It goes on without a connection, and takes up after a crash what had begun.
 */
export class DownLane implements AsyncDisposable {
  readonly #options: DownLaneOptions;
  readonly #executor: CommandExecutor;
  readonly #queue = new CommandQueue(MAX_RUNNING);
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<void>>();
  #connection: DownConnection | undefined;
  /** What was asked for on this connection. */
  #asked: Gap | undefined;
  #receiving: Promise<void> = Promise.resolve();
  #receivingCount = 0;
  #hasTakenUp = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: DownLaneOptions) {
    this.#options = options;
    const { store, runner, clock, cloudNow, log } = options;
    this.#executor = new CommandExecutor({
      store,
      runner,
      clock,
      cloudNow,
      log,
      signal: this.#stop.signal,
      onProgress: (id, state) => this.#connection?.progress(id, state),
      onReported: options.onReported,
    });
  }

  /** Begins to take commands from a connection, after `reconcileLanes`; what is missing is asked for. */
  attach(connection: DownConnection): Promise<void> {
    this.#connection = connection;
    this.#asked = undefined;
    return this.#inTurn(async () => {
      await this.#takeUp();
      // Whoever is connected now may not have heard of those that have waited since before.
      for (const command of this.#queue.awaitingApproval()) this.#tellWait(command);
      this.#askFor(await this.#options.store.run("firstGap"));
    });
  }

  /**
   * Once in a process, what the last one left: begun commands are reconciled before any other of their kind runs. Not before
   * the control plane was heard: only its welcome tells whether this state is a restored backup, and all of it done already.
   */
  async #takeUp(): Promise<void> {
    if (this.#hasTakenUp) return;
    const { store } = this.#options;
    const begun = await store.run("openCommands", { state: "running" });
    const waiting = await store.run("openCommands", { state: "accepted" });
    this.#hasTakenUp = true;
    for (const open of begun) this.#queue.add({ ...open, hasBegun: true });
    for (const { command, approvedAt } of waiting) this.#queue.add({ command, approvedAt });
    this.#pump();
  }

  detach(): void {
    this.#connection = undefined;
  }

  /** The store has ended all commands in flight: those that have not begun are not to begin. */
  forgetWaiting(): void {
    this.#queue.clearWaiting();
  }

  /**
   * Takes a delivered command, one after the other. Rejects only with what ends the connection: `link-credit-exceeded`, and
   * store errors.
   */
  receive(jws: string): Promise<void> {
    return this.#inTurn(() => this.#receive(jws));
  }

  /** Takes the control plane's claim that no command has these seqs. */
  receiveVoid(gap: Gap): Promise<void> {
    return this.#inTurn(async () => {
      const { wasMissing } = await this.#options.store.run("voidCommands", gap);
      if (!wasMissing) return;
      this.#options.onGap(gap, true);
      this.#askFor(await this.#options.store.run("firstGap"));
    });
  }

  /** Asks once for each missing seq; the control plane answers all of a gap, a piece at a time. */
  #askFor(gap: Gap | undefined): void {
    const isAsked = gap === undefined || (this.#asked !== undefined && gap.from <= this.#asked.to);
    if (isAsked || this.#connection === undefined) return;
    this.#asked = gap;
    this.#options.onGap(gap, false);
    this.#connection.askFor(gap);
  }

  #inTurn(step: () => Promise<void>): Promise<void> {
    if (this.#receivingCount >= MAX_RECEIVING) {
      return Promise.reject(
        new ProtocolError("link-credit-exceeded", `over ${MAX_RECEIVING} commands at once`),
      );
    }
    this.#receivingCount += 1;
    const received = this.#receiving.then(step);
    this.#receiving = received
      .catch(() => {})
      .finally(() => {
        this.#receivingCount -= 1;
      });
    return received;
  }

  async #receive(jws: string): Promise<void> {
    const command = await this.#verified(jws);
    if (command === undefined) return;
    const { clock, cloudNow, store } = this.#options;
    const times = { now: clock.now(), cloudNow: cloudNow() };
    const receipt = await store.run("receiveCommand", { command, ...times });
    for (const id of command.supersedes) this.#queue.drop(id);
    for (const id of receipt.toStop) this.#executor.stop(id);
    this.#askFor(receipt.gap);
    this.#connection?.progress(command.id, receipt.state);
    if (receipt.outcome !== "accepted") {
      this.#options.onReported();
      return;
    }
    this.#queue.add({ command });
    this.#pump();
  }

  /** Bytes first, then meaning. What fails is no command: nothing of it is stored or answered, but it is told. */
  async #verified(jws: string): Promise<SignedCommand | undefined> {
    const { tenantKeys, connectorId, onRejected } = this.#options;
    try {
      const parsed = signedCommand.safeParse(await verifyJws(jws, JWS_TYPES.command, tenantKeys()));
      if (!parsed.success) {
        throw new ProtocolError("command-invalid", "the payload is no command", parsed.error);
      }
      if (parsed.data.aud !== connectorId) {
        throw new ProtocolError("command-audience", "the command is for another connector");
      }
      return parsed.data;
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      onRejected(error);
      return undefined;
    }
  }

  /** Lets a command run that waits for a local approval. Throws RefusalError `command-not-open`. */
  async approve(id: string): Promise<void> {
    const now = this.#options.clock.now();
    this.#checkAwaits(id, "approve");
    await this.#options.store.run("approveCommand", { id, now });
    this.#queue.approve(id, now);
    this.#pump();
  }

  /** Ends a command that waits for a local approval as refused. Throws RefusalError `command-not-open`. */
  async deny(id: string, reason: string): Promise<void> {
    this.#checkAwaits(id, "deny");
    await this.#options.store.run("denyCommand", { id, reason, now: this.#options.clock.now() });
    this.#queue.drop(id);
    this.#connection?.progress(id, "refused");
    this.#options.onReported();
    this.#pump();
  }

  #checkAwaits(id: string, rule: string): void {
    if (this.#queue.isAwaitingApproval(id)) return;
    throw new RefusalError("command-not-open", rule, `no command ${id} waits for an approval`);
  }

  /** Commands that wait for a local approval. */
  awaitingApproval(): readonly SignedCommand[] {
    return this.#queue.awaitingApproval();
  }

  /** Looks whether a command's time has come or gone. */
  tick(): void {
    this.#pump();
  }

  #pump(): void {
    clearTimeout(this.#timer);
    if (this.#stop.signal.aborted) return;
    const { due, nextAt } = this.#queue.takeDue(this.#options.cloudNow());
    for (const entry of due) {
      const run = this.#executor
        .execute(entry)
        .then((outcome) => {
          this.#queue.settle(entry, outcome);
          if (outcome === "awaits-approval") this.#tellWait(entry.command);
        })
        .catch((error: unknown) => this.#retry(entry.command.id, error))
        .then(() => {
          this.#running.delete(run);
          this.#pump();
        });
      this.#running.add(run);
    }
    if (nextAt !== undefined) this.#wakeAt(nextAt);
  }

  #tellWait(command: SignedCommand): void {
    const waitsFor = this.#options.runner.waitOf?.(command);
    if (waitsFor !== undefined) this.#connection?.progress(command.id, "accepted", waitsFor);
  }

  #wakeAt(cloudTime: number): void {
    const delay = Math.min(Math.max(cloudTime - this.#options.cloudNow(), 1), 60_000);
    this.#timer = setTimeout(() => this.#pump(), delay);
    this.#timer.unref();
  }

  /** Only the store can have failed: the command stands there as it was, and is looked at again. */
  async #retry(id: string, error: unknown): Promise<void> {
    this.#options.log.warn({ code: codeOf(error), err: error, id }, "link.command-store-failed");
    await delay(RETRY_MS, undefined, { signal: this.#stop.signal }).catch(() => {});
    this.#queue.release(id);
  }

  /** Asks running commands to stop and waits for them; what does not stop is reconciled at the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer);
    this.#stop.abort(new ConnectorError("service-stopping", "the service is stopping"));
    await this.#receiving;
    const patience = delay(STOP_PATIENCE_MS, undefined, { ref: false });
    await Promise.race([Promise.all(this.#running), patience]);
  }
}
