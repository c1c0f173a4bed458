import { setTimeout as delay } from "node:timers/promises";
import { ConnectorError } from "../errors.ts";
import type { Random } from "../random.ts";
import { BackOff } from "./back-off.ts";
import type { CloudAddress } from "./cloud-address.ts";
import { LinkRefusal } from "./handshake.ts";
import type { LinkHooks } from "./link-hooks.ts";
import type { LinkLog } from "./link-log.ts";
import type { LinkSession } from "./link-session.ts";
import type { TransportKind } from "./link-transport.ts";
import { openLongPoll } from "./long-poll-transport.ts";
import { TransportChoice } from "./transport-choice.ts";
import { openWebSocket } from "./web-socket-transport.ts";

interface LoopOptions {
  readonly address: CloudAddress;
  readonly transport: TransportKind | "auto";
  readonly newSession: () => LinkSession;
  readonly hooks: LinkHooks;
  readonly log: LinkLog;
  readonly random: Random;
  readonly signal: AbortSignal;
  /** How long it waits between attempts; of its own where none is given. */
  readonly backOff?: Pick<BackOff, "next" | "afterRefusal">;
}

const OPENERS = { websocket: openWebSocket, "long-poll": openLongPoll };

/**
 * The one owner of connecting and reconnecting: one session at a time, until a stop. A refusal that needs a person only
 * makes it slow: the refusal is not signed, and a link node that was taken for a minute must not switch off a fleet.
 */
export class LinkLoop {
  readonly #options: LoopOptions;
  readonly #backOff: Pick<BackOff, "next" | "afterRefusal">;
  readonly #choice: TransportChoice;
  #session: LinkSession | undefined;
  #refusal: ConnectorError | undefined;

  constructor(options: LoopOptions) {
    this.#options = options;
    this.#backOff = options.backOff ?? new BackOff(options.random);
    this.#choice = new TransportChoice(options.transport);
  }

  /** The session under way, open or not. */
  get session(): LinkSession | undefined {
    return this.#session;
  }

  /** The refusal that a person has to settle, until a connection is open again. */
  get refusal(): ConnectorError | undefined {
    return this.#refusal;
  }

  /** A session has opened: whatever was refused before is settled. */
  noteOpen(): void {
    this.#refusal = undefined;
  }

  /** Resolves when the signal aborts. */
  async run(): Promise<void> {
    const { signal, log } = this.#options;
    while (!signal.aborted) {
      const begunAt = performance.now();
      const reason = await this.#attempt(this.#choice.next(begunAt));
      if (signal.aborted) break;
      const waitMs = this.#waitAfter(reason, performance.now() - begunAt);
      log.info({ code: reason?.code, waitMs: Math.round(waitMs) }, "link.waits");
      await delay(waitMs, undefined, { signal }).catch(() => {});
    }
  }

  #waitAfter(reason: ConnectorError | undefined, lastedMs: number): number {
    if (reason === undefined || !needsPerson(reason)) return this.#backOff.next(lastedMs);
    if (this.#refusal?.code !== reason.code) {
      const { code, message } = reason;
      this.#options.hooks.onEvent({ event: "link.refused", code, message });
    }
    this.#refusal = reason;
    return this.#backOff.afterRefusal();
  }

  async #attempt(kind: TransportKind): Promise<ConnectorError | undefined> {
    const session = this.#options.newSession();
    const reason = await this.#lived(kind, session);
    this.#choice.ended(kind, reason, performance.now());
    return reason;
  }

  async #lived(kind: TransportKind, session: LinkSession): Promise<ConnectorError | undefined> {
    const { address, signal, hooks, log } = this.#options;
    const onAbort = () => session.close();
    signal.addEventListener("abort", onAbort);
    this.#session = session;
    try {
      session.begin(await OPENERS[kind](address, session, signal));
      const reason = await session.ended;
      hooks.onEvent({ event: "link.lost", code: reason?.code ?? "closed" });
      return reason;
    } catch (error) {
      session.close();
      log.info({ err: error, transport: kind }, "link.not-opened");
      return asConnectorError(error);
    } finally {
      this.#session = undefined;
      signal.removeEventListener("abort", onAbort);
    }
  }
}

function asConnectorError(error: unknown): ConnectorError {
  if (error instanceof ConnectorError) return error;
  return new ConnectorError("link-failed", "the link failed", { isRetryable: true, cause: error });
}

/** Only the control plane's own word makes it wait for a person; a fault on the way may pass. */
function needsPerson(reason: ConnectorError): boolean {
  return reason instanceof LinkRefusal && !reason.isRetryable;
}
