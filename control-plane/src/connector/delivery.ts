import type { FromControlPlane } from "@isthmus/shared/link/messages";
import type { SessionKey } from "../core/link-records.ts";
import type { LinkContext } from "./link-context.ts";
import type { LinkPeer } from "./link-peer.ts";

/** Own limits: commands sent and not answered, taken from the store at once, and bytes that may wait on the socket. */
export const CREDIT_COMMANDS = 32;
const COMMANDS_AT_ONCE = 8;
const MAX_BUFFERED_BYTES = 1_048_576;

interface DeliveryOptions {
  readonly context: LinkContext;
  readonly session: SessionKey;
  readonly peer: LinkPeer;
  /** Version of the configuration that the connector has in force. */
  readonly configurationVersion: number;
  readonly send: (message: FromControlPlane) => void;
  readonly onFailed: (error: unknown) => void;
}

/** Hands one connector its commands in the order of their seq, as far as its credit goes, and newer configurations. */
export class Delivery {
  readonly #options: DeliveryOptions;
  /** Commands that were sent on this connection and not answered. */
  readonly #unanswered = new Set<string>();
  #afterSeq = 0;
  #configurationSent: number;
  #trustSent = 0;
  #gap: { readonly from: number; readonly to: number } | undefined;
  #isPumping = false;
  #hasNews = false;
  #isStopped = false;

  constructor(options: DeliveryOptions) {
    this.#options = options;
    this.#configurationSent = options.configurationVersion;
  }

  /** Looks for what there is to send. */
  wake(): void {
    this.#hasNews = true;
    if (!this.#isPumping && !this.#isStopped) void this.#pump();
  }

  /** The connector lacks these; they are sent before anything else. A second request takes the place of the first. */
  fillGap(gap: { readonly from: number; readonly to: number }): void {
    this.#gap = gap;
    this.wake();
  }

  /** The connector has these commands. */
  answered(ids: readonly string[]): void {
    let hasRoom = false;
    for (const id of ids) hasRoom = this.#unanswered.delete(id) || hasRoom;
    if (hasRoom) this.wake();
  }

  stop(): void {
    this.#isStopped = true;
  }

  async #pump(): Promise<void> {
    this.#isPumping = true;
    try {
      while (this.#hasNews && !this.#isStopped) {
        this.#hasNews = false;
        await this.#sendTrust();
        await this.#sendConfiguration();
        while (await this.#sendSome()) {
          // As long as there is credit and something to send.
        }
      }
    } catch (error) {
      if (!this.#isStopped) this.#options.onFailed(error);
    } finally {
      this.#isPumping = false;
    }
  }

  /** Before anything that the next tenant key signed. */
  async #sendTrust(): Promise<void> {
    const { context, session, send } = this.#options;
    const ask = { connectorId: session.connectorId, afterId: this.#trustSent };
    for (const { id, jws } of await context.store.run("trustStatements", ask)) {
      if (this.#isStopped) return;
      this.#trustSent = id;
      send({ type: "trust", jws });
    }
  }

  async #sendConfiguration(): Promise<void> {
    const { context, session, send } = this.#options;
    const { connectorId } = session;
    const ask = { connectorId, version: this.#configurationSent };
    const newest = await context.store.run("configurationAfter", ask);
    if (newest === undefined || this.#isStopped) return;
    this.#configurationSent = newest.version;
    send({ type: "configuration", jws: newest.jws });
  }

  async #sendSome(): Promise<boolean> {
    const { peer } = this.#options;
    const room = Math.min(COMMANDS_AT_ONCE, CREDIT_COMMANDS - this.#unanswered.size);
    if (this.#isStopped || room <= 0 || peer.bufferedBytes > MAX_BUFFERED_BYTES) return false;
    return this.#gap === undefined ? await this.#sendNext(room) : await this.#answerGap(room);
  }

  async #sendNext(limit: number): Promise<boolean> {
    const { context, session } = this.#options;
    const ask = { ...session, afterSeq: this.#afterSeq, limit, now: context.clock.now() };
    const deliveries = await context.store.run("takeDeliveries", ask);
    for (const { id, seq, jws } of deliveries) {
      this.#afterSeq = seq;
      this.#sendCommand(id, jws);
    }
    return deliveries.length > 0;
  }

  async #answerGap(limit: number): Promise<boolean> {
    const gap = this.#gap;
    if (gap === undefined) return true;
    const { context, session, send } = this.#options;
    const answer = await context.store.run("answerGap", { ...session, ...gap, limit });
    for (const { id, jws } of answer.deliveries) this.#sendCommand(id, jws);
    for (const hole of answer.voids) send({ type: "command-void", ...hole });
    if (this.#gap === gap) {
      this.#gap = answer.restFrom === undefined ? undefined : { ...gap, from: answer.restFrom };
    }
    return true;
  }

  #sendCommand(id: string, jws: string): void {
    if (this.#isStopped) return;
    this.#unanswered.add(id);
    this.#options.send({ type: "command", jws });
  }
}
