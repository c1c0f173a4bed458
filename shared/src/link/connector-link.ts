import type { KeyObject } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { ConnectorError } from "../errors.ts";
import type { Random } from "../random.ts";
import { hostOf, parseCloudUrl } from "./cloud-address.ts";
import { DownLane } from "./down-lane.ts";
import type { HttpProxy } from "./http-proxy.ts";
import { COMMANDS_STREAM } from "./inbox-operations.ts";
import type { LeaseWanted } from "./inventory-messages.ts";
import type { LaneStore } from "./lane-store.ts";
import type { LinkHooks } from "./link-hooks.ts";
import type { LinkLog } from "./link-log.ts";
import { LinkLoop } from "./link-loop.ts";
import { LinkSession } from "./link-session.ts";
import type { TransportKind } from "./link-transport.ts";
import type { PublicKey, Service, SignedCommand } from "./messages.ts";
import { MAX_CLOCK_OFFSET_MS } from "./messages.ts";
import { Statements } from "./statements.ts";
import { UpLane } from "./up-lane.ts";

/** Own limit: how long entries are kept after their acknowledgement, for a control plane that is restored. */
const RETENTION_MS = 14 * 86_400_000;
const PRUNE_INTERVAL_MS = 3_600_000;

export interface LinkOptions {
  readonly identity: {
    readonly connectorId: string;
    readonly service: Service;
    /** Ed25519. */
    readonly privateKey: KeyObject;
  };
  /** From the enrolment; `wss:`, or `ws:` on loopback. */
  readonly url: string;
  /** PEM of the CAs to trust instead of the public ones. */
  readonly ca?: string | undefined;
  readonly proxy?: HttpProxy | undefined;
  readonly transport?: TransportKind | "auto" | undefined;
  readonly capabilities?: readonly string[];
  /** A store with `laneOperations` among its operations. */
  readonly store: LaneStore;
  /** The keys that commands, configurations and receipts may be signed with. */
  readonly tenantKeys: () => readonly PublicKey[];
  readonly hooks: LinkHooks;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: LinkLog;
}

export interface ConnectorLinkState {
  readonly connected: boolean;
  /** Local time of the last message from the control plane. */
  readonly lastContactAt: number | undefined;
  /** The control plane's clock minus ours, as the last handshake measured it. */
  readonly clockOffsetMs: number | undefined;
  readonly sessionNo: number | undefined;
  /** Why the last connection ended or did not come about. */
  readonly lastError: { readonly code: string; readonly message: string } | undefined;
  /** The control plane wants a person to act; until then an attempt is made every 15 to 60 minutes. */
  readonly isRefused: boolean;
}

/** The connector's end of the link. Disposing of it ends the connection and waits for running commands. */
export interface ConnectorLink extends AsyncDisposable {
  state(): ConnectorLinkState;
  /** Whether the two clocks are too far apart for certificates to be signed; false before any handshake. */
  isClockOff(): boolean;
  /** The control plane's time as far as it is known. */
  cloudNow(): number;
  /** Says that a stream has new entries (or `health` a new state), so that they are sent now. */
  wake(stream: string): void;
  /** Sends a message that is worth nothing later; false where nobody would hear it. */
  tell(message: LeaseWanted): boolean;
  /** Lets a command run that waits for a local approval. Throws RefusalError `command-not-open`. */
  approve(id: string): Promise<void>;
  /** Ends a command that waits for a local approval as refused, for this reason. Throws RefusalError `command-not-open`. */
  deny(id: string, reason: string): Promise<void>;
  awaitingApproval(): readonly SignedCommand[];
  /** Bytes of batches on their way, and measured goodput. */
  figures(): { readonly bytesInFlight: number; readonly bytesPerSecond: number };
}

/**
 * Connects, stays connected, and once connected takes up the commands that the last process left. Throws `cloud-url-plain`,
 * `cloud-url-invalid`; what fails later is told by `state` and `hooks.onEvent`.
 */
export function startLink(options: LinkOptions): ConnectorLink {
  const link = new Link(options);
  link.start();
  return link;
}

class Link implements ConnectorLink {
  readonly #options: LinkOptions;
  readonly #stop = new AbortController();
  readonly #upLane: UpLane;
  readonly #downLane: DownLane;
  readonly #loop: LinkLoop;
  #running: Promise<void> | undefined;
  #pruning: NodeJS.Timeout | undefined;
  #lastContactAt: number | undefined;
  #clockOffsetMs: number | undefined;
  #sessionNo: number | undefined;
  #lastError: ConnectorError | undefined;

  constructor(options: LinkOptions) {
    const { store, log, clock, hooks, tenantKeys } = options;
    const { connectorId, service, privateKey } = options.identity;
    const url = parseCloudUrl(options.url);
    this.#options = options;
    this.#upLane = new UpLane({ store, log, clock });
    this.#downLane = new DownLane({
      connectorId,
      store,
      runner: hooks,
      tenantKeys,
      clock,
      cloudNow: () => this.cloudNow(),
      log,
      onReported: () => this.#upLane.wake(COMMANDS_STREAM),
      onRejected: (error) =>
        hooks.onEvent({ event: "link.statement-rejected", kind: "command", code: error.code }),
      onGap: ({ from, to }, isVoid) =>
        hooks.onEvent({ event: "link.command-gap", from, to, isVoid }),
    });
    const statements = new Statements({ connectorId, service, tenantKeys, hooks, log });
    const bootId = options.random.bytes(16).toString("base64url");
    const newSession = () =>
      new LinkSession({
        identity: { connectorId, privateKey, bootId },
        channel: hostOf(url),
        capabilities: options.capabilities ?? [],
        store,
        hooks,
        log,
        clock,
        upLane: this.#upLane,
        downLane: this.#downLane,
        statements,
        onOffset: (ms) => {
          this.#clockOffsetMs = ms;
        },
        onOpen: ({ sessionNo }) => this.#noteOpen(sessionNo),
        onHeard: () => {
          this.#lastContactAt = clock.now();
        },
        onEnded: (reason) => {
          this.#sessionNo = undefined;
          this.#lastError = reason;
        },
      });
    const { ca, proxy, random, transport = "auto" } = options;
    const address = { url, ca, proxy };
    const signal = this.#stop.signal;
    this.#loop = new LinkLoop({ address, transport, newSession, hooks, log, random, signal });
  }

  start(): void {
    this.#pruning = setInterval(() => void this.#prune(), PRUNE_INTERVAL_MS);
    this.#pruning.unref();
    this.#running = this.#loop.run();
  }

  #noteOpen(sessionNo: number): void {
    this.#sessionNo = sessionNo;
    this.#lastError = undefined;
    this.#loop.noteOpen();
    this.#downLane.tick();
    this.#options.hooks.onEvent({ event: "link.connected", sessionNo });
  }

  async #prune(): Promise<void> {
    const now = this.#options.clock.now();
    const of = { now, cloudNow: this.cloudNow(), retentionMs: RETENTION_MS };
    try {
      await this.#options.store.run("pruneLanes", of);
    } catch (error) {
      this.#options.log.warn({ err: error }, "link.not-pruned");
    }
  }

  state(): ConnectorLinkState {
    const { refusal } = this.#loop;
    const error = refusal ?? this.#lastError;
    return {
      connected: this.#sessionNo !== undefined,
      lastContactAt: this.#lastContactAt,
      clockOffsetMs: this.#clockOffsetMs,
      sessionNo: this.#sessionNo,
      lastError: error && { code: error.code, message: error.message },
      isRefused: refusal !== undefined,
    };
  }

  isClockOff(): boolean {
    return Math.abs(this.#clockOffsetMs ?? 0) > MAX_CLOCK_OFFSET_MS;
  }

  cloudNow(): number {
    return this.#options.clock.now() + (this.#clockOffsetMs ?? 0);
  }

  wake(stream: string): void {
    this.#loop.session?.wake(stream);
    if (stream !== "health") this.#upLane.wake(stream);
  }

  tell(message: LeaseWanted): boolean {
    return this.#loop.session?.tell(message) ?? false;
  }

  approve(id: string): Promise<void> {
    return this.#downLane.approve(id);
  }

  deny(id: string, reason: string): Promise<void> {
    return this.#downLane.deny(id, reason);
  }

  awaitingApproval(): readonly SignedCommand[] {
    return this.#downLane.awaitingApproval();
  }

  figures() {
    return this.#upLane.figures();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#pruning);
    this.#stop.abort();
    await this.#running;
    await this.#downLane[Symbol.asyncDispose]();
  }
}
